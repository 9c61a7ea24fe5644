"""The worker: configuration, broker, runtime factory and supervisor put together."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pulsar_runtimes.brokers.base import BrokerLimits
from pulsar_runtimes.brokers.greeting import read_server_version
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import DEFAULT_SECRETS_CONFIGURATOR, WorkerConfig
from pulsar_runtimes.model.component import is_connector
from pulsar_runtimes.model.errors import AdmissionError, ConfigError, PfrunError, Problem, StateError
from pulsar_runtimes.model.function import FunctionSpec, InstanceSpec, Language
from pulsar_runtimes.model.names import ALL_REPLICAS, FunctionKey, InstanceKey
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.model.status import FunctionStatus, InstanceStatus
from pulsar_runtimes.runtimes.base import (
    STRICT_VARIABLE,
    FactoryContext,
    Replica,
    RuntimeFactory,
    read_strict_reference,
)
from pulsar_runtimes.runtimes.plan import InstanceDefaults, plan_instances
from pulsar_runtimes.runtimes.registry import RUNTIME_FACTORIES
from pulsar_runtimes.runtimes.resource_bounds import ResourceBounds, check_resources
from pulsar_runtimes.state.registry import open_state_store
from pulsar_runtimes.state.sqlite_store import sqlite_url
from pulsar_runtimes.supervisor.policy import RestartPolicy
from pulsar_runtimes.supervisor.supervisor import Supervisor

from .admission import check_broker
from .archives import Archives, scan_archives
from .broker_keeper import BROKERS, EMBEDDED_BROKER, BrokerKeeper
from .consumer_numbers import ConsumerNumbers
from .java_types import resolve_java_types
from .memory_ceiling import memory_ceiling_bytes as find_memory_ceiling
from .package import resolve_package
from .replicas import replica_status

DEFAULT_FACTORY = "process"
"""The runtime when the configuration names none (the reference does not start then)."""

_STATS_THREADS = 16
_log = logging.getLogger(__name__)


def default_state_dir(environment: Mapping[str, str]) -> Path:
    """Where a worker keeps what has to survive it: ``PFRUN_STATE_DIR``, else the user's state directory."""
    named = environment.get("PFRUN_STATE_DIR")
    if named:
        return Path(named).absolute()
    base = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "~"), ".local/state").expanduser())
    return Path(base) / "pfrun"


def _state_store_warnings(config: WorkerConfig) -> Iterator[Problem]:
    if url := config.state_storage_service_url:
        try:
            open_state_store(url).close()
        except StateError as error:
            reason = str(error).removeprefix("stateStorageServiceUrl: ")
            yield Problem("stateStorageServiceUrl", f"pfrun itself cannot use it: {reason}", config.file)


class Worker:
    """Runs functions as a configuration says. For embedding: it touches no signal and no logging set-up.

    Made with a parsed configuration; ``ConfigError`` when the runtime's part of it is wrong. Nothing runs before
    :meth:`start`. Without ``pulsarServiceUrl`` it brings its own broker, kept in ``state_dir``. Also a context
    manager that starts and stops. All methods may be called from any thread. ``memory_ceiling_bytes`` is what a
    percentage of the client memory limit is taken of, by default what this machine or its cgroup allows.
    """

    def __init__(
        self,
        config: WorkerConfig | None = None,
        *,
        state_dir: Path | str | None = None,
        environment: Mapping[str, str] | None = None,
        broker: str = EMBEDDED_BROKER,
        restart_policy: RestartPolicy | None = None,
        stop_grace_seconds: float = 10.0,
        memory_ceiling_bytes: int | None = None,
    ) -> None:
        self.config = config or WorkerConfig()
        self.environment = dict(os.environ if environment is None else environment)
        self.state_dir = Path(state_dir).absolute() if state_dir else default_state_dir(self.environment)
        self.memory_ceiling_bytes = memory_ceiling_bytes or find_memory_ceiling()
        self.service_url = self.config.pulsar_service_url
        self._broker = BROKERS.find(broker)
        self._broker_limits = BrokerLimits() if self.service_url else self._broker.limits
        self._keeper: BrokerKeeper | None = None
        self._numbers: ConsumerNumbers | None = None
        self._archives: Archives | None = None
        self._lock = threading.Lock()
        self._functions: dict[FunctionKey, FunctionSpec] = {}
        self._only: dict[FunctionKey, frozenset[int] | None] = {}
        self._auth_data: dict[FunctionKey, str] = {}
        self.factory = self._make_factory()
        self._supervisor = Supervisor(
            self.factory, restart_policy, stop_grace_seconds=stop_grace_seconds, prepare=self._prepare
        )
        self._started = False
        self._stopped = False

    def _make_factory(self) -> RuntimeFactory:
        factory_class = RUNTIME_FACTORIES.find(self.config.runtime_factory or DEFAULT_FACTORY)
        if not factory_class.capabilities.secret_references:
            self._refuse_secret_references()
        context = FactoryContext(self.state_dir, self.memory_ceiling_bytes, self.environment, self._wake, self.config)
        if read_strict_reference(Section({}), context):
            self._need_what_the_reference_needs()
        section = self.config.runtime_section
        factory = factory_class.from_config(section, context)
        section.warn_unread()
        self.warnings: tuple[Problem, ...] = (
            *self.config.warnings,
            *section.warnings,
            *_state_store_warnings(self.config),
        )
        return factory

    def _need_what_the_reference_needs(self) -> None:
        """Without a runtime, or with a null in place of its settings, the reference does not start."""
        named = bool(self.config.function_runtime_factory_class_name.strip())
        if not self.config.runtime_factory:
            key, lack = "functionRuntimeFactoryClassName", "must name a runtime"
        elif named and self.config.function_runtime_factory_configs is None:
            key, lack = "functionRuntimeFactoryConfigs", "must be there, even if it is empty"
        else:
            return
        raise ConfigError(Problem(key, f"{lack}, as {STRICT_VARIABLE} asks for", self.config.file))

    def _refuse_secret_references(self) -> None:
        configurator = self.config.secrets_provider_configurator_class_name
        if configurator and configurator != DEFAULT_SECRETS_CONFIGURATOR:
            raise ConfigError(
                Problem(
                    "secretsProviderConfiguratorClassName",
                    f"must be absent or {DEFAULT_SECRETS_CONFIGURATOR} with this runtime (got {configurator!r})",
                    self.config.file,
                )
            )

    @property
    def archives(self) -> Archives:
        """The connectors and functions that are built in, as they were when they were looked for last."""
        if self._archives is None:
            self.reload_archives()
        assert self._archives is not None
        return self._archives

    def reload_archives(self) -> None:
        """Look for built-in connectors and functions anew. What runs already goes on as it is."""
        found = scan_archives(Path(self.config.connectors_directory), Path(self.config.functions_directory))
        for failure in found.failures:
            _log.warning("%s", failure)
        self._archives = found

    @property
    def broker_limits(self) -> BrokerLimits:
        """What the broker lacks, as far as it is known; all of it once the worker was started."""
        return self._broker_limits

    @property
    def embedded_state_url(self) -> str:
        """The state store beside the embedded broker; empty when the configuration names a broker or a state store."""
        config = self.config
        if config.pulsar_service_url or config.state_storage_service_url:
            return ""
        return sqlite_url(self.state_dir / "function-state.db")

    @property
    def state_url(self) -> str:
        """Where functions keep their state; empty when they cannot."""
        return self.config.state_storage_service_url or self.embedded_state_url

    def _wake(self) -> None:
        supervisor: Supervisor | None = getattr(self, "_supervisor", None)
        if supervisor is not None:
            supervisor.wake()

    # Life

    def start(self) -> None:
        """Start the broker, if it is ours, and begin to run what was submitted.

        ``BrokerError`` when it cannot be started, ``AdmissionError`` when the one that was named turns out to be
        unable to serve a function that was submitted, ``LaunchError`` when an earlier worker still holds its
        instances; nothing runs then.
        """
        if self._started:
            raise PfrunError("this worker was started already")
        self._meet_broker()
        self._started = True
        for warning in self.warnings:
            _log.warning("%s", warning)
        if not self.service_url:
            self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            keeper = BrokerKeeper(self._broker, self.state_dir, self.environment)
            self.service_url = keeper.start()
            self._keeper = keeper
        if not self._broker_limits.tells_consumers_apart:
            self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._numbers = ConsumerNumbers(self.state_dir / "consumer-numbers.json")
        try:
            self.factory.open()
        except PfrunError:
            self.stop()
            raise
        with self._lock:
            for function in self._functions.values():
                self._want(function)
        self._supervisor.start()

    def _meet_broker(self) -> None:
        """A broker that is only named by its address may be of the kind whose limits are known."""
        if not self.service_url or not self._broker.server_name:
            return
        if read_server_version(self.service_url).startswith(self._broker.server_name):
            self._broker_limits = self._broker.limits
            for function in self.functions():
                self._check_broker(function)

    def _check_broker(self, function: FunctionSpec) -> None:
        as_whole = self.factory.capabilities.runs_all_replicas
        check_broker(function, self._broker.name, self._broker_limits, as_whole=as_whole)

    def stop(self, grace_seconds: float | None = None) -> None:
        """Stop all functions, then the broker if it is ours. When this returns nothing runs. Idempotent."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        self._supervisor.stop(grace_seconds)
        self.factory.close()
        if self._keeper is not None:
            self._keeper.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # Functions

    def admit(self, function: FunctionSpec, base: Path | None = None) -> FunctionSpec:
        """``function`` as it would be run: its package found, the worker's settings applied.

        A relative package path starts at ``base``, by default the working directory. ``AdmissionError`` when the
        worker's runtime or broker cannot run it. Starts nothing.
        """
        function = resolve_java_types(resolve_package(function, base or Path.cwd(), self.archives))
        if not self.config.forward_source_message_property and not is_connector(function):
            function = replace(function, sink=replace(function.sink, forward_source_message_property=False))
        check_resources(function, ResourceBounds.from_settings(self.config))
        self._check_broker(function)
        for spec in self.plan(function):
            self.factory.check(spec)
        return function

    def submit(
        self,
        function: FunctionSpec,
        base: Path | None = None,
        *,
        only: Collection[int] | None = None,
        auth_data: str = "",
    ) -> None:
        """Run ``function``, now or when the worker is started; one of the same name is updated to it.

        The instances of before keep working until all new ones are ready. If one of those is given up first, they
        go on, :meth:`status` tells why, and :meth:`functions` has the function of before; submitting the new one
        again tries again. Another parallelism only adds or ends instances, and so do other numbers in ``only``: where
        that is given, just these instances run here; a runtime that stands for all of them runs if there are any.
        Submitting what runs already changes nothing. ``auth_data`` is what the runtime has kept of the function's own
        credentials. ``AdmissionError`` as :meth:`admit` has it.
        """
        function = self.admit(function, base)
        with self._lock:
            self._functions[function.key] = function
            self._only[function.key] = None if only is None else frozenset(only)
            self._auth_data[function.key] = auth_data
            if self._started:
                self._want(function)

    def _want(self, function: FunctionSpec) -> None:
        # Only our Python instance counts its consumers from where it is told: others would meet.
        in_place = not self._broker_limits.tells_consumers_apart and function.language is not Language.PYTHON
        only = self._only.get(function.key)
        planned = self.plan(function, self._auth_data.get(function.key, ""))
        specs = [spec for spec in planned if only is None or _is_among(spec, only)]
        self._supervisor.want(function.key, specs, in_place=in_place)

    def _prepare(self, spec: InstanceSpec) -> InstanceSpec:
        return spec if self._numbers is None else self._numbers.number(spec)

    def remove(self, key: FunctionKey | str) -> None:
        """Stop a function and forget it. ``AdmissionError`` when there is none of that name."""
        key = self._known(key)
        with self._lock:
            self._functions.pop(key, None)
            self._only.pop(key, None)
            self._auth_data.pop(key, None)
            self._supervisor.want(key, ())

    def leave(self, key: FunctionKey | str) -> None:
        """Forget a function that another worker looks after from now on: all its replicas go on.

        Only for a runtime that runs all replicas as one. ``AdmissionError`` when there is none of that name.
        """
        key = self._known(key)
        with self._lock:
            self._functions.pop(key, None)
            self._only.pop(key, None)
            self._auth_data.pop(key, None)
            self._supervisor.leave(key)

    def revive(self, key: FunctionKey | str) -> None:
        """Give the instances that were given up a new chance, with the code as it is now."""
        self._supervisor.revive(self._known(key))

    def restart(self, key: FunctionKey | str, instance_id: int | None = None) -> None:
        """Stop an instance, or all (``None``), and start it anew. Returns when that is asked for."""
        self._supervisor.restart(self._known(key), instance_id)

    def functions(self) -> tuple[FunctionSpec, ...]:
        """What was submitted, in the order of names; where an update failed, the function that runs in its place."""
        with self._lock:
            return tuple(self._current(key) for key in sorted(self._functions))

    def function(self, key: FunctionKey) -> FunctionSpec | None:
        """One of :meth:`functions`, ``None`` when there is none of that name."""
        with self._lock:
            return self._current(key) if key in self._functions else None

    def _current(self, key: FunctionKey) -> FunctionSpec:
        for spec in self._supervisor.wanted(key)[:1]:
            self._functions[key] = spec.function
        return self._functions[key]

    def plan(self, function: FunctionSpec, auth_data: str = "") -> tuple[InstanceSpec, ...]:
        """The instances ``function`` consists of on this worker, with what is kept of its own credentials."""
        config = self.config
        defaults = InstanceDefaults(
            service_url=self.service_url or "pulsar://127.0.0.1",
            web_service_url=config.pulsar_web_service_url,
            cluster_name=config.pulsar_functions_cluster or "standalone",
            expected_health_check_seconds=config.expected_health_check_seconds,
            auth=config.broker_client_auth,
            state_storage_url=config.state_storage_service_url,
            embedded_state_url=self.embedded_state_url,
            java_arguments=config.additional_java_runtime_arguments,
            pending_async_requests=config.max_pending_async_requests,
            expose_admin=config.expose_admin_client_enabled,
            ignore_unknown_config_fields=config.ignore_unknown_config_fields,
            nar_extraction_directory=config.nar_extraction_directory,
        )
        return plan_instances(function, self.factory.capabilities, defaults, auth_data=auth_data)

    # Status

    def status(self, key: FunctionKey | str, *, stats: bool = False) -> FunctionStatus:
        """One function's instances as they are seen now; with ``stats`` each is asked what it has counted."""
        key = self._known(key)
        seen = self._by_replica(self._supervisor.statuses(key))
        return FunctionStatus(key, tuple(self._with_all_stats(seen) if stats else seen))

    def has_instances(self, key: FunctionKey) -> bool:
        """Whether anything of a function is here still, be it wanted or on its way out."""
        return bool(self._supervisor.statuses(key))

    def statuses(self, *, stats: bool = False) -> tuple[FunctionStatus, ...]:
        """Every function's instances. With ``stats`` this may wait for slow instances, some seconds at the most."""
        seen = self._by_replica(self._supervisor.statuses())
        if stats:
            seen = self._with_all_stats(seen)
        grouped: dict[FunctionKey, list[InstanceStatus]] = {function.key: [] for function in self.functions()}
        for status in seen:
            grouped.setdefault(status.key.function, []).append(status)
        return tuple(FunctionStatus(key, tuple(instances)) for key, instances in sorted(grouped.items()))

    def _by_replica(self, seen: Iterable[InstanceStatus]) -> list[InstanceStatus]:
        statuses = []
        for status in seen:
            if status.key.instance_id != ALL_REPLICAS:
                statuses.append(status)
                continue
            runtime = self._supervisor.runtime(status.key)
            for number in range(self._parallelism(status.key.function)):
                replica = runtime.replica(number).observe() if runtime is not None else Observation(Phase.CREATED)
                statuses.append(replica_status(status, number, replica))
        return statuses

    def _parallelism(self, key: FunctionKey) -> int:
        """Of a function that runs here; one that has been removed and is not gone yet counts once."""
        with self._lock:
            function = self._functions.get(key)
        return 1 if function is None else function.parallelism

    def _with_all_stats(self, seen: list[InstanceStatus]) -> list[InstanceStatus]:
        with ThreadPoolExecutor(_STATS_THREADS) as pool:
            return list(pool.map(self._with_stats, seen))

    def _with_stats(self, status: InstanceStatus) -> InstanceStatus:
        replica = self.replica(status.key)
        return status if replica is None else replace(status, stats=replica.stats())

    def replica(self, key: InstanceKey) -> Replica | None:
        """An instance, for what only its backend can tell. ``None`` while there is none."""
        whole = InstanceKey(key.function, ALL_REPLICAS) if self.factory.capabilities.runs_all_replicas else key
        runtime = self._supervisor.runtime(whole)
        return None if runtime is None else runtime.replica(key.instance_id)

    def replicas(self) -> dict[InstanceKey, Replica]:
        """Each instance that has a runtime."""
        found: dict[InstanceKey, Replica] = {}
        for key, runtime in self._supervisor.runtimes().items():
            whole = key.instance_id == ALL_REPLICAS
            for number in range(self._parallelism(key.function)) if whole else (key.instance_id,):
                found[InstanceKey(key.function, number)] = runtime.replica(number)
        return found

    def files_in_use(self) -> set[str]:
        """The files that instances were made from or are to be, of whatever version of their function."""
        with self._lock:
            functions = list(self._functions.values())
        found = {file for each in functions for file in (each.package, each.transform_package)}
        return found | {file for each in self._supervisor.specs() for file in (each.code_file, each.transform_file)}

    def wait(
        self, key: FunctionKey | str, until: Callable[[FunctionStatus], bool], *, seconds: float
    ) -> FunctionStatus:
        """Wait until ``until`` says yes of the function's status, and answer that. ``TimeoutError`` tells the last."""
        deadline = time.monotonic() + seconds
        while not until(status := self.status(key)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{key}: not so within {seconds:g} s; last seen: {status}")
            time.sleep(0.02)
        return status

    def wait_running(self, key: FunctionKey | str, *, seconds: float = 30.0) -> FunctionStatus:
        """Wait until all instances run and no update is under way any more.

        ``PfrunError`` with the reason as soon as an instance is given up, or when the last update failed.
        """

        def is_settled(seen: FunctionStatus) -> bool:
            return (seen.is_running and not seen.is_updating) or seen.has_failed or bool(seen.update_failure)

        status = self.wait(key, is_settled, seconds=seconds)
        if status.update_failure:
            raise PfrunError(f"{key}: the update failed: {status.update_failure}")
        if status.has_failed:
            raise PfrunError(f"{key}: {next(i.reason for i in status.instances if i.reason)}")
        return status

    def _known(self, key: FunctionKey | str) -> FunctionKey:
        if isinstance(key, str):
            try:
                key = FunctionKey.parse(key)
            except ValueError as error:
                raise AdmissionError(str(error)) from None
        with self._lock:
            if key not in self._functions:
                known = ", ".join(str(name) for name in sorted(self._functions)) or "none"
                raise AdmissionError(f"{key}: there is no such function; there are: {known}")
        return key


def _is_among(spec: InstanceSpec, numbers: Collection[int]) -> bool:
    """Whether ``spec`` is one of the instances ``numbers``, or all of a function that has one of them."""
    return spec.instance_id in numbers or (spec.instance_id == ALL_REPLICAS and bool(numbers))
