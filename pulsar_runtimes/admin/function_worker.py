"""A worker as Apache Pulsar knows one: the registered functions are kept in Pulsar, and the admin API changes them."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

from pulsar_runtimes.metadata.admin_client import AdminClient
from pulsar_runtimes.metadata.assignments import AssignmentTable
from pulsar_runtimes.metadata.election import Election, Member
from pulsar_runtimes.metadata.registrations import RegistrationTable
from pulsar_runtimes.metadata.topic_admin import ensure_topics
from pulsar_runtimes.metadata.topic_names import TopicNames
from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.service.cluster import Cadence, Cluster
from pulsar_runtimes.service.functions import FunctionService
from pulsar_runtimes.service.metrics import MetricsPage
from pulsar_runtimes.service.packages import PackageStore
from pulsar_runtimes.service.peers import HttpPeers
from pulsar_runtimes.service.schedule import ROUND_ROBIN, SCHEDULERS, Scheduler
from pulsar_runtimes.worker.worker import Worker

from .instances import Instances
from .server import AdminServer


class FunctionWorker:
    """The part of ``worker`` in its cluster, and the admin API on ``host`` and the configuration's ``workerPort``.

    Started after the worker and stopped before it. A broker without an admin REST API of its own has one worker only.
    """

    def __init__(self, worker: Worker, host: str) -> None:
        self._worker = worker
        self._host = host
        self._open = ExitStack()
        self._cluster: Cluster | None = None
        self._server: AdminServer | None = None

    @property
    def address(self) -> str:
        """Where the API is, once it was started."""
        assert self._server is not None
        host = f"[{self._server.host}]" if ":" in self._server.host else self._server.host
        return f"http://{host}:{self._server.port}"

    def start(self) -> None:
        """Join the cluster, run what it gives this worker, and serve.

        ``PfrunError`` when the state of record cannot be reached, or the port cannot be had; :meth:`stop` is needed
        after that, too.
        """
        from pulsar_runtimes.admin.app import build_app

        worker, config = self._worker, self._worker.config
        scheduler = SCHEDULERS.find(config.scheduler_class_name or ROUND_ROBIN)()
        client = _Client(worker)
        self._open.callback(client.close)
        peers = HttpPeers(config.own_client_auth)
        self._open.callback(peers.close)
        cluster = self._join(client.get(), peers, scheduler)
        packages = PackageStore(worker.state_dir / "packages")
        service = FunctionService(worker, cluster, packages, client=client.get)
        self._open.callback(cluster.stop)
        cluster.start(service.take)
        service.remove_unused_packages()
        self._cluster = cluster
        metrics = MetricsPage(worker, config.pulsar_functions_cluster or "standalone")
        self._open.callback(metrics.stop)
        metrics.start()
        instances = Instances(service, cluster.me, cluster.owner, peers)
        self._server = AdminServer(build_app(instances, cluster, cluster, metrics), self._host, config.worker_port or 0)
        self._open.callback(self._server.stop)
        self._server.start()

    def _join(self, client: Any, peers: HttpPeers, scheduler: Scheduler) -> Cluster:
        config, limits = self._worker.config, self._worker.broker_limits
        names = TopicNames.from_config(config)
        admin = self._brokers_admin(names)
        worker_id = config.worker_id
        me = Member(worker_id, config.worker_hostname.strip() or "localhost", config.worker_port or 0)
        asks_end = limits.last_message_id
        return Cluster(
            me,
            RegistrationTable(
                client,
                names.metadata,
                worker_id=worker_id,
                compacted=config.use_compacted_metadata_topic,
                asks_end=asks_end,
            ),
            AssignmentTable(client, names.assignments, worker_id=worker_id, asks_end=asks_end),
            Election(client, names.coordination, me, admin),
            peers,
            scheduler,
            cadence=Cadence(
                failure_check=config.failure_check_freq_ms / 1000 or Cadence().failure_check,
                reschedule_after=config.reschedule_timeout_ms / 1000 or Cadence().reschedule_after,
                rebalance=float(config.rebalance_check_freq_sec),
            ),
        )

    def _brokers_admin(self, names: TopicNames) -> AdminClient | None:
        config = self._worker.config
        if not self._worker.broker_limits.admin:
            return None
        if not config.pulsar_web_service_url:
            raise ConfigError(
                Problem(
                    "pulsarWebServiceUrl",
                    "must be given beside workerPort: the workers of a cluster find each "
                    "other through the brokers' admin API",
                    config.file,
                )
            )
        admin = AdminClient(config.pulsar_web_service_url, config.own_client_auth)
        self._open.callback(admin.close)
        ensure_topics(admin, names)
        return admin

    def check(self) -> None:
        """``PfrunError`` once this worker cannot follow its cluster any more, and should end."""
        if self._cluster is not None:
            self._cluster.check()

    def stop(self) -> None:
        """Serve nobody any more, and leave the cluster. Idempotent; functions go on until the worker is stopped."""
        self._open.close()


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
