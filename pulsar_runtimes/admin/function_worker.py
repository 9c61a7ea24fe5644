"""A worker as Apache Pulsar knows one: the registered functions are kept in Pulsar, and the admin API changes them."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from functools import partial
from typing import Any

from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.metadata.admin_client import AdminClient
from pulsar_runtimes.metadata.assignments import AssignmentTable
from pulsar_runtimes.metadata.election import Election, Member
from pulsar_runtimes.metadata.registrations import RegistrationTable
from pulsar_runtimes.metadata.topic_admin import compact, ensure_topics
from pulsar_runtimes.metadata.topic_names import TopicNames
from pulsar_runtimes.model.errors import ConfigError, MetadataError, PfrunError, Problem
from pulsar_runtimes.service.backlog import Backlogs
from pulsar_runtimes.service.broker_packages import BrokerPackages
from pulsar_runtimes.service.cluster import Cadence, Cluster
from pulsar_runtimes.service.fetched_packages import FetchedPackages
from pulsar_runtimes.service.functions import FunctionService
from pulsar_runtimes.service.leftovers import REQUEST_SECONDS, Cleaner
from pulsar_runtimes.service.metrics import MetricsPage
from pulsar_runtimes.service.neighbours import Neighbours
from pulsar_runtimes.service.own_packages import OwnPackages
from pulsar_runtimes.service.package_urls import UrlRules
from pulsar_runtimes.service.packages import PackageStore
from pulsar_runtimes.service.peers import HttpPeers
from pulsar_runtimes.service.schedule import ROUND_ROBIN, SCHEDULERS, Scheduler
from pulsar_runtimes.worker.worker import Worker

from .access import AccessControl
from .instances import Instances
from .listening import listening_host
from .server import AdminServer
from .server_tls import ServerTls

_RECONNECT_SECONDS = 1.0
_log = logging.getLogger(__name__)


class FunctionWorker:
    """The part of ``worker`` in its cluster, and the admin API on the configuration's ``workerPort`` and
    ``workerPortTls``.

    Started after the worker and stopped before it. A broker without an admin REST API of its own has one worker only.
    ``host`` is the address to listen on, by default as :func:`listening_host` has it with ``insecure``.
    ``ConfigError`` when the configuration does not allow that, or what it says of authentication cannot be used.
    """

    def __init__(self, worker: Worker, *, host: str = "", insecure: bool = False) -> None:
        config = worker.config
        self._worker = worker
        self._access = AccessControl.from_config(config)
        self._host = listening_host(authenticated=config.authentication_enabled, insecure=insecure, host=host)
        self._tls = ServerTls.from_config(config)
        self._open = ExitStack()
        self._ending = threading.Event()
        self._cluster: Cluster | None = None
        self._servers: list[AdminServer] = []

    @property
    def address(self) -> str:
        """Where the API is, once it was started: with TLS, if it is served both ways."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{host}:{self._servers[-1].port}"

    def start(self) -> None:
        """Join the cluster, run what it gives this worker, and serve.

        ``PfrunError`` when the state of record cannot be reached, or the port cannot be had; :meth:`stop` is needed
        after that, too.
        """
        from pulsar_runtimes.admin.app import build_app
        from pulsar_runtimes.admin.opening import Opening

        worker, config = self._worker, self._worker.config
        opening = Opening("the brokers, and the topics of its cluster")
        if config.worker_port is not None:
            self._serve(opening, config.worker_port)
        if self._tls is not None:
            self._serve(opening, config.worker_port_tls or 0, self._tls)
        scheduler = SCHEDULERS.find(config.scheduler_class_name or ROUND_ROBIN)()
        client = _Client(worker)
        self._open.callback(client.close)
        peers = HttpPeers(config.own_client_auth, scheme="http" if self._tls is None else "https")
        self._open.callback(peers.close)
        names = TopicNames.from_config(config)
        admin = self._brokers_admin(names)
        brokers = self._broker_packages(admin)
        cluster = self._join(client.get(), peers, scheduler, names, admin)
        packages = PackageStore(worker.state_dir / "packages")
        fetched = FetchedPackages(packages, UrlRules.from_config(config), brokers)
        quick = None if admin is None else self._admin(seconds=REQUEST_SECONDS)
        service = FunctionService(
            worker,
            cluster,
            packages,
            client=client.get,
            state_url=worker.state_url,
            fetched=fetched,
            cleaner=Cleaner(quick),
            own=None if brokers is None else OwnPackages(brokers, names.metadata),
        )
        self._open.callback(cluster.stop)
        opening.awaited = "what is registered, which it reads, and a worker that leads"
        cluster.start(service.take)
        service.inventory.remove_unused(brokers=False)
        self._cluster = cluster
        label = config.pulsar_functions_cluster or "standalone"
        metrics = MetricsPage(worker, label, lambda: service.specs() if cluster.leads else None)
        self._open.callback(metrics.stop)
        metrics.start()
        instances = Instances(service, cluster.me, cluster.owner, peers)
        neighbours = Neighbours(cluster.me, cluster.members, peers.overview)
        backlogs = Backlogs(quick, service.specs)
        for collector in (neighbours, backlogs):
            self._open.callback(collector.stop)
            collector.start()
        opening.open(
            build_app(instances, cluster, cluster, metrics, self._access, neighbours=neighbours, backlogs=backlogs)
        )
        for server in self._servers:  # at the end they go first: what is asked of them needs the rest
            self._open.callback(server.stop)

    def _serve(self, app: Any, port: int, tls: ServerTls | None = None) -> None:
        server = AdminServer(app, self._host, port, tls=tls)
        self._open.callback(server.stop)
        server.start()
        self._servers.append(server)

    def _join(
        self, client: Any, peers: HttpPeers, scheduler: Scheduler, names: TopicNames, admin: AdminClient | None
    ) -> Cluster:
        config, limits = self._worker.config, self._worker.broker_limits
        worker_id = config.worker_id
        port = config.worker_port if self._tls is None else config.worker_port_tls
        me = Member(worker_id, config.worker_hostname.strip() or "localhost", port or 0)
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
                compaction=float(config.topic_compaction_frequency_sec),
            ),
            as_whole=self._worker.factory.capabilities.runs_all_replicas,
            compact=None if admin is None else partial(_compact, admin, names, config),
        )

    def _broker_packages(self, admin: AdminClient | None) -> BrokerPackages | None:
        """Where the brokers are to keep what is uploaded. ``ConfigError`` when they cannot."""
        config = self._worker.config
        if not config.functions_worker_enable_package_management:
            return None
        if admin is None:
            key, text = "functionsWorkerEnablePackageManagement", "needs the packages service of a real Apache Pulsar"
            raise ConfigError(Problem(key, f"{text}; this broker has none, so it must be false", config.file))
        packages = BrokerPackages(admin)
        packages.check()
        return packages

    def _admin(self, **options: Any) -> AdminClient:
        """The brokers' admin API, until this worker ends."""
        config = self._worker.config
        admin = AdminClient(config.pulsar_web_service_url, config.own_client_auth, **options)
        self._open.callback(admin.close)
        return admin

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
        admin = self._admin()
        retries = config.initial_broker_reconnect_max_retries
        for attempt in range(retries + 1):
            try:
                ensure_topics(admin, names)
                break
            except MetadataError as error:
                if attempt == retries:
                    raise
                _log.warning("the brokers are not ready, try %d of %d: %s", attempt + 1, retries + 1, error)
                if self._ending.wait(_RECONNECT_SECONDS):
                    raise PfrunError("the worker was ended before it was up") from None
        return admin

    def check(self) -> None:
        """``PfrunError`` once this worker cannot follow its cluster any more, and should end."""
        if self._cluster is not None:
            self._cluster.check()

    def give_up(self) -> None:
        """Have a :meth:`start` that is under way fail soon. From any thread."""
        self._ending.set()

    def stop(self) -> None:
        """Serve nobody any more, and leave the cluster. Idempotent; functions go on until the worker is stopped."""
        self._open.close()


def serves(config: WorkerConfig) -> bool:
    """Whether there is to be an admin API at all."""
    return config.worker_port is not None or (config.tls_enabled and config.worker_port_tls is not None)


def _compact(admin: AdminClient, names: TopicNames, config: WorkerConfig) -> None:
    compact(admin, names.assignments)
    if config.use_compacted_metadata_topic:
        compact(admin, names.metadata)


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
