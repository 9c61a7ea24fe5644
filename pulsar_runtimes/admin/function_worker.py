"""A worker as Apache Pulsar knows one: the registered functions are kept in Pulsar, and the admin API changes them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.registration import Registration
from pulsar_runtimes.service.functions import FunctionService
from pulsar_runtimes.service.metrics import MetricsPage
from pulsar_runtimes.service.packages import PackageStore
from pulsar_runtimes.worker.worker import Worker

from .server import AdminServer

_log = logging.getLogger(__name__)


class FunctionWorker:
    """The admin API of ``worker``, served on ``host`` and the ``workerPort`` of its configuration.

    Started after the worker and stopped before it. This worker is the only one that writes the metadata topic.
    """

    def __init__(self, worker: Worker, host: str) -> None:
        self._worker = worker
        self._host = host
        self._client = _Client(worker)
        self._table: Any = None
        self._metrics = MetricsPage(worker, worker.config.pulsar_functions_cluster or "standalone")
        self._server: AdminServer | None = None

    @property
    def address(self) -> str:
        """Where the API is, once it was started."""
        assert self._server is not None
        host = f"[{self._server.host}]" if ":" in self._server.host else self._server.host
        return f"http://{host}:{self._server.port}"

    def start(self) -> None:
        """Run what is registered, and serve. ``PfrunError`` when the topic or the port cannot be had."""
        from pulsar_runtimes.admin.app import build_app
        from pulsar_runtimes.metadata.registrations import RegistrationTable
        from pulsar_runtimes.metadata.topic_names import TopicNames

        config = self._worker.config
        limits = self._worker.broker_limits
        self._table = RegistrationTable(
            self._client.get(),
            TopicNames.from_config(config).metadata,
            worker_id=config.worker_id,
            compacted=config.use_compacted_metadata_topic,
            asks_end=limits.last_message_id,
        )
        self._table.load()
        self._table.lead()
        packages = PackageStore(self._worker.state_dir / "packages")
        service = FunctionService(self._worker, _Record(self._table), packages, client=self._client.get)
        for failure in service.start():
            _log.error("%s", failure)
        self._metrics.start()
        port = config.worker_port or 0
        app = build_app(service, self._metrics, worker_id=config.worker_id, host=_shown_host(config), port=port)
        self._server = AdminServer(app, self._host, port)
        self._server.start()

    def stop(self) -> None:
        """Serve nobody any more. Idempotent; the functions go on until the worker is stopped."""
        if self._server is not None:
            self._server.stop()
        self._metrics.stop()
        if self._table is not None:
            self._table.close()
        self._client.close()


def _shown_host(config: WorkerConfig) -> str:
    return config.worker_hostname.strip() or "localhost"


@dataclass(frozen=True, slots=True)
class _Record:
    """The metadata topic as the service's state of record."""

    table: Any

    def registrations(self) -> Mapping[FunctionKey, Registration]:
        found: Mapping[FunctionKey, Registration] = self.table.registrations()
        return found

    def put(self, registration: Registration) -> None:
        self.table.put(registration)

    def delete(self, registration: Registration) -> None:
        self.table.delete(registration.key, registration.version)


class _Client:
    """The worker's own Pulsar client, made when the first one asks."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._lock = threading.Lock()
        self._client: Any = None

    def get(self) -> Any:
        from pulsar_runtimes.instance.client import open_client

        with self._lock:
            if self._client is None:
                worker = self._worker
                worker.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                log_file = worker.state_dir / "worker-client.log"
                self._client = open_client(worker.service_url, worker.config.own_client_auth, log_file=log_file)
            return self._client

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.shutdown()
