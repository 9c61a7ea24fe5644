"""Functions as the admin API knows them: registered, changed, stopped, asked for their state.

What is registered is kept by a :class:`Record`, which also says what of it this worker is to run. Functions that were
given on the worker's command line are shown as well, and changed there only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pulsar_runtimes.config.function import PACKAGE_KEYS, parse_function_config
from pulsar_runtimes.config.function_json import build_function_config
from pulsar_runtimes.config.function_update import merge_update
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError, ConfigError, PfrunError
from pulsar_runtimes.model.function import FunctionSpec, Language
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import PackageLocation, Registration, can_change, change
from pulsar_runtimes.model.status import FunctionStatus, InstanceStatus
from pulsar_runtimes.runtimes.base import LogPart
from pulsar_runtimes.worker.worker import Worker

from .errors import NotFoundError, NotReadyError, RefusedError
from .function_state import StateAccess
from .packages import PackageStore
from .trigger import trigger

Seen = tuple[int, InstanceStatus | None, bool]
"""An instance's number, what is seen of it (``None``: it is not there), and whether somebody stopped it."""

_LAST_WRITES_SECONDS = 15.0
"""A stop has 10 seconds of grace, and then uses force."""

_LOOK_SECONDS = 0.05
_log = logging.getLogger(__name__)


class Record(Protocol):
    """The state of record. What ``put`` and ``delete`` have done is durable when they return.

    Whoever keeps it calls :meth:`FunctionService.take` with what this worker is to run.
    """

    def registrations(self) -> Mapping[FunctionKey, Registration]: ...

    def put(self, registration: Registration) -> None: ...

    def delete(self, registration: Registration) -> None:
        """Forget the function. The version is that of the deletion, above the one that is kept."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A package that came with a request."""

    content: BinaryIO
    file_name: str


class FunctionService:
    """One worker's functions. All methods may be called from any thread; changes happen one after another.

    ``RefusedError`` for a request that is wrong, with every problem; ``NotFoundError`` for a function that is not
    there; ``PfrunError`` when something outside failed.
    """

    def __init__(
        self,
        worker: Worker,
        record: Record,
        packages: PackageStore,
        *,
        client: Callable[[], Any],
        state_url: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``client`` gives the worker's own Pulsar client; ``state_url`` names the state store of functions."""
        self.worker = worker
        self.packages = packages
        self._record = record
        self._client = client
        self._clock = clock
        self._changing = threading.Lock()
        self._problems: dict[FunctionKey, str] = {}
        self._taken: set[FunctionKey] = set()
        self.state = StateAccess(state_url, lambda key: key in self.functions())

    def take(self, key: FunctionKey, registration: Registration | None, numbers: Collection[int]) -> None:
        """Run these instances of a function from now on, and no others; ``None`` when the function is gone.

        ``PfrunError`` when it cannot be run here; :meth:`problem` tells why until it can.
        """
        self._problems.pop(key, None)
        if registration is None:
            with contextlib.suppress(PfrunError):  # it never came to run here
                self.worker.remove(key)
            self._taken.discard(key)
            return
        self._taken.add(key)
        try:
            function = replace(registration.function, package=str(self.packages.path(registration.package)))
            self.worker.submit(function, only=[each for each in numbers if not registration.is_stopped(each)])
        except PfrunError as error:
            self._problems[key] = str(error)
            raise

    def problem(self, key: FunctionKey) -> str:
        """Why a function cannot be run by this worker, empty when nothing is known against it."""
        return self._problems.get(key, "")

    def remove_unused_packages(self) -> None:
        """Throw away what nothing registered means any more. Only while nothing runs that may need it."""
        registrations = self._record.registrations().values()
        used = {location.path for each in registrations for location in (each.package, each.transform_package)}
        for package in self.packages.unused(used):
            self.packages.remove(package)

    # What there is

    def names(self, tenant: str, namespace: str) -> list[str]:
        """The names of the functions of a namespace; none for one that does not exist."""
        return [key.name for key in self.functions() if (key.tenant, key.namespace) == (tenant, namespace)]

    def functions(self) -> list[FunctionKey]:
        """Every function there is."""
        return list(self._everything())

    def _everything(self) -> dict[FunctionKey, Registration]:
        """What is registered, and what the command line has, in the order of names."""
        found = {function.key: Registration(function) for function in self.worker.functions()}
        found = {key: given for key, given in found.items() if key not in self._taken}
        found |= self._record.registrations()
        return {key: found[key] for key in sorted(found)}

    def specs(self) -> list[FunctionSpec]:
        """Every function there is, as :meth:`get` answers it."""
        return [registration.function for registration in self._everything().values()]

    def get(self, key: FunctionKey) -> FunctionSpec:
        """A function as it is registered, or as the command line has it."""
        return self._registration(key).function

    def _registration(self, key: FunctionKey) -> Registration:
        registration = self._record.registrations().get(key)
        if registration is not None:
            return registration
        given = self.worker.function(key) if key not in self._taken else None
        if given is not None:
            return Registration(given)
        raise NotFoundError(f"Function {key.name} doesn't exist")

    def _changeable(self, key: FunctionKey) -> Registration:
        registration = self._registration(key)
        if key not in self._record.registrations():
            raise RefusedError(f"Function {key.name} was given on the worker's command line, and is changed there only")
        return registration

    def package(self, key: FunctionKey) -> Path:
        """The file that the function's code is in."""
        registration = self._registration(key)
        if registration.package.path:
            return self.packages.path(registration.package)
        return Path(registration.function.package)

    # Changes

    def register(
        self, key: FunctionKey, config: Mapping[str, Any], upload: Upload | None = None, url: str = ""
    ) -> None:
        """Register a new function and run it. The names in ``key`` count, not those in ``config``."""
        with self._changing:
            if key in self.functions():
                raise RefusedError(f"Function {key.name} already exists")
            function = self._parse(key, config)
            package = self._keep(config, upload, url)
            function = self._admit(function, package)
            self._record.put(Registration(function, package, created_ms=int(self._clock() * 1000)))

    def update(self, key: FunctionKey, config: Mapping[str, Any], upload: Upload | None = None, url: str = "") -> None:
        """Change a function. What ``config`` does not name stays, and so does the package when none is given."""
        with self._changing:
            try:
                before = self._changeable(key)
            except NotFoundError as error:
                raise RefusedError(str(error)) from None
            existing = build_function_config(before.function)
            with _refusing():
                merged = merge_update(existing, config)
            function = _carry_over(before.function, self._parse(key, merged))
            package = self._keep(config, upload, url) if upload or url else before.package
            if build_function_config(function) == existing and package.path == before.package.path:
                raise RefusedError("Update contains no change")
            function = self._admit(function, package)
            self._record.put(replace(before, function=function, package=package, version=before.version + 1))

    def deregister(self, key: FunctionKey) -> None:
        """Stop a function and forget it, and its state when none of its instances is there any more.

        It waits for them no longer than a stop may take. A failure to take the state away is logged.
        """
        with self._changing:
            registration = self._changeable(key)
            self._record.delete(replace(registration, version=registration.version + 1))
        if self.state.enabled:
            self._forget_state(key)

    def _forget_state(self, key: FunctionKey) -> None:
        """Instances that are still there would bring it back. The wait is for them alone: other changes go on."""
        deadline = time.monotonic() + _LAST_WRITES_SECONDS
        while any(seen.key == key and seen.instances for seen in self.worker.statuses()):
            if time.monotonic() > deadline:
                _log.error("%s: its instances are still there, and may write state after it is taken away", key)
                break
            time.sleep(_LOOK_SECONDS)
        with self._changing:
            if key in self.functions():  # somebody has registered another one of that name
                return
            try:
                self.state.forget(key)
            except PfrunError as error:
                _log.error("%s: its state stays: %s", key, error)

    def set_stopped(self, key: FunctionKey, instance_id: int | None, *, stopped: bool) -> None:
        """Stop or start an instance, or all (``None``). Returns when it is decided, not when it is done."""
        with self._changing:
            registration = self._changeable(key)
            if not can_change(registration, instance_id, stop=stopped):
                raise RefusedError("Operation not permitted")
            self._record.put(change(registration, instance_id, stop=stopped))

    def restart(self, key: FunctionKey, instance_id: int | None = None) -> None:
        """Stop what this worker runs of a function, and start it anew."""
        function = self.get(key)
        if instance_id is not None and not 0 <= instance_id < function.parallelism:
            raise RefusedError(f"{key}/{instance_id} doesn't exist")
        with contextlib.suppress(AdmissionError):  # nothing of it runs here
            self.worker.restart(key, instance_id)

    # What comes with a request

    def _keep(self, config: Mapping[str, Any], upload: Upload | None, url: str) -> PackageLocation:
        if url.strip():
            raise RefusedError(
                "Function Package url is not valid: this worker takes packages that come with the request only"
            )
        builtin = str(config.get("jar") or "")
        if builtin.startswith("builtin://"):
            raise RefusedError(f"{builtin}: this worker has no built-in functions")
        if upload is None:
            raise RefusedError("Function package is not provided")
        return self.packages.add(upload.content, upload.file_name)

    def _parse(self, key: FunctionKey, config: Mapping[str, Any]) -> FunctionSpec:
        """The function that ``config`` describes, whose code is looked at later."""
        given = {name: value for name, value in config.items() if name not in (*PACKAGE_KEYS, "fqfn")}
        names = {"tenant": key.tenant, "namespace": key.namespace, "name": key.name}
        language = _language(config)
        code = {name: "the package" for name, implied in PACKAGE_KEYS.items() if implied is language}
        with _refusing():
            return parse_function_config(Section({**given, **names, **code}))

    def _admit(self, function: FunctionSpec, package: PackageLocation) -> FunctionSpec:
        """As the worker would run it; what is kept does not say where the code lies."""
        try:
            admitted = self.worker.admit(replace(function, package=str(self.packages.path(package))))
        except PfrunError as error:
            raise RefusedError(str(error).removeprefix(f"{function.key}: ")) from None
        return replace(admitted, package="")

    # State

    def status(self, key: FunctionKey, *, stats: bool = True) -> list[Seen]:
        """Each instance of one function. With ``stats`` this may wait for slow instances, some seconds at the most."""
        registration = self._registration(key)
        try:
            seen = self.worker.status(key, stats=stats)
        except PfrunError:
            seen = FunctionStatus(key, ())
        return _seen(registration, seen.instances)

    def statuses(self, *, stats: bool = False) -> dict[FunctionKey, list[Seen]]:
        """The same of every function there is, in the order of their names, seen at one moment."""
        seen = {function.key: function.instances for function in self.worker.statuses(stats=stats)}
        return {key: _seen(each, seen.get(key, ())) for key, each in self._everything().items()}

    def log(self, key: FunctionKey, instance_id: int, mark: str, last: int) -> LogPart:
        """What an instance wrote after ``mark``, of an earlier answer; with ``""`` its ``last`` lines.

        ``RefusedError`` when its runtime cannot tell what is new, ``NotReadyError`` when nothing of it is here.
        """
        if not 0 <= instance_id < self.get(key).parallelism:
            raise RefusedError(f"Function {key.name} doesn't have instance with id {instance_id}")
        instance = InstanceKey(key, instance_id)
        runtime = self.worker.runtime(instance)
        if runtime is None:
            raise NotReadyError(f"{instance} does not run, so that nobody has its log")
        part = runtime.log_after(mark, last)
        if part is not None:
            return part
        if mark:
            raise RefusedError(f"{instance}: its runtime cannot tell what is new in the log")
        return LogPart(tuple(runtime.log_lines(last)), "")

    def trigger(self, key: FunctionKey, data: bytes, topic: str | None = None) -> bytes:
        """Send one message to the function, and its answer."""
        return trigger(self._client(), self.get(key), data, topic)


def _seen(registration: Registration, instances: Iterable[InstanceStatus]) -> list[Seen]:
    by_number = {instance.key.instance_id: instance for instance in instances}
    return [
        (number, by_number.get(number), registration.is_stopped(number))
        for number in range(registration.function.parallelism)
    ]


def parse_config_text(text: str) -> dict[str, Any]:
    """A function config as it comes with a request. ``RefusedError`` when it is no JSON object."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"functionConfig: is not valid JSON ({error})") from None
    if not isinstance(config, dict):
        raise RefusedError("functionConfig: must be a JSON object")
    return config


def _carry_over(before: FunctionSpec, after: FunctionSpec) -> FunctionSpec:
    """``after`` with what a function config does not tell, and no update changes."""
    source = replace(after.source, skip_to_latest=before.source.skip_to_latest)
    sink = replace(
        after.sink,
        schema_properties=before.sink.schema_properties,
        consumer_properties=before.sink.consumer_properties,
    )
    if before.language is not Language.JAVA:  # those of Java are read from the code
        source = replace(source, type_class_name=before.source.type_class_name)
        sink = replace(sink, type_class_name=before.sink.type_class_name)
    return replace(after, source=source, sink=sink)


def _language(config: Mapping[str, Any]) -> Language:
    """As ``runtime`` says, else as the package's key does."""
    stated = config.get("runtime")
    if stated:
        language = Language.__members__.get(str(stated).upper())
        if language is None:
            known = ", ".join(Language.__members__)
            raise RefusedError(f"runtime: must be one of {known} (got {stated!r})")
        return language
    for name, implied in PACKAGE_KEYS.items():
        if config.get(name):
            return implied
    raise RefusedError("Function language runtime is either not set or cannot be determined")


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """What is wrong with a config is the request's fault."""
    try:
        yield
    except ConfigError as error:
        raise RefusedError("; ".join(str(problem) for problem in error.problems)) from None
