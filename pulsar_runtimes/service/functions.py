"""Functions, sinks and sources as the admin API knows them: registered, changed, stopped, asked for their state.

What is registered is kept by a :class:`Record`, which also says what of it this worker is to run. Functions that were
given on the worker's command line are shown as well, and changed there only.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from pulsar_runtimes.model.component import BUILTIN, component_of
from pulsar_runtimes.model.errors import AdmissionError, PfrunError
from pulsar_runtimes.model.function import ComponentType, FunctionSpec, Language
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import PackageLocation, Registration, can_change, change
from pulsar_runtimes.model.status import FunctionStatus, InstanceStatus
from pulsar_runtimes.runtimes.base import LogPart
from pulsar_runtimes.worker.worker import Worker

from .component import FUNCTIONS, Component
from .errors import NotFoundError, NotReadyError, RefusedError
from .fetched_packages import FetchedPackages
from .function_state import StateAccess
from .function_tokens import FunctionTokens, auth_data
from .leftovers import Cleaner
from .own_packages import OwnPackages
from .package_inventory import PackageInventory, Uses
from .package_urls import UrlRules, is_package_name
from .packages import PackageStore
from .trigger import trigger
from .uploaded_packages import NOWHERE, Keeping, Upload, UploadedPackages

Seen = tuple[int, InstanceStatus | None, bool]
"""An instance's number, what is seen of it (``None``: it is not there), and whether somebody stopped it."""

_LAST_WRITES_SECONDS = 15.0
"""A stop has 10 seconds of grace, and then uses force."""

_LOOK_SECONDS = 0.05
_log = logging.getLogger(__name__)


class Record(Uses, Protocol):
    """The state of record. What ``put`` and ``delete`` have done is durable when they return.

    Whoever keeps it calls :meth:`FunctionService.take` with what this worker is to run.
    """

    def registrations(self) -> Mapping[FunctionKey, Registration]: ...

    def put(self, registration: Registration) -> None: ...

    def delete(self, registration: Registration) -> None:
        """Forget the function. The version is that of the deletion, above the one that is kept."""


class FunctionService:
    """One worker's functions, sinks or sources, each kind with a service that :meth:`for_component` gives.

    All methods may be called from any thread; changes happen one after another, of all kinds.

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
        fetched: FetchedPackages | None = None,
        cleaner: Cleaner | None = None,
        own: OwnPackages | None = None,
    ) -> None:
        """``client`` gives the worker's own Pulsar client; ``state_url`` names the state store of functions.

        ``fetched`` is by default without the brokers' packages, ``cleaner`` without the brokers' admin API; with
        ``own`` the brokers keep what is uploaded.
        """
        self.component = FUNCTIONS
        self.worker = worker
        self.packages = packages
        self.fetched = fetched or FetchedPackages(packages, UrlRules.from_config(worker.config))
        self._cleaner = cleaner or Cleaner()
        self._tokens = FunctionTokens(worker)
        self.inventory = PackageInventory(packages, self.fetched, own, record, worker)
        self._uploads = UploadedPackages(packages, self.fetched, own)
        self._record = record
        self._client = client
        self._clock = clock
        self._changing = threading.Lock()
        self._problems: dict[FunctionKey, str] = {}
        self._taken: set[FunctionKey] = set()
        self.state = StateAccess(state_url, lambda key: self._find(key) is not None)

    def for_component(self, component: Component) -> Self:
        """The same service for components of another kind. What is of a third kind is not there."""
        other = copy.copy(self)
        other.component = component
        return other

    def take(self, key: FunctionKey, registration: Registration | None, numbers: Collection[int]) -> None:
        """Run these instances of a function from now on, and no others; ``None`` when the function is gone.

        None of them are left where others run it from now on: what a backend runs as a whole goes on for those.
        ``PfrunError`` when it cannot be run here; :meth:`problem` tells why until it can.
        """
        self._problems.pop(key, None)
        if registration is None or not numbers:
            goes_on = registration is not None and self.runs_as_whole
            with contextlib.suppress(PfrunError):  # it never came to run here
                (self.worker.leave if goes_on else self.worker.remove)(key)
            self._taken.discard(key)
            return
        self._taken.add(key)
        try:
            function = self._placed(registration.function, registration.package, registration.transform_package)
            running = [each for each in numbers if not registration.is_stopped(each)]
            self.worker.submit(function, only=running, auth_data=auth_data(registration))
        except PfrunError as error:
            self._problems[key] = str(error)
            raise

    @property
    def runs_as_whole(self) -> bool:
        """Whether all replicas of a function are run as one, on one worker."""
        return self.worker.factory.capabilities.runs_all_replicas

    def problem(self, key: FunctionKey) -> str:
        """Why a function cannot be run by this worker, empty when nothing is known against it."""
        return self._problems.get(key, "")

    # What there is

    def names(self, tenant: str, namespace: str) -> list[str]:
        """The names of this kind of component in a namespace; none for one that does not exist."""
        return [
            function.name
            for function in self.specs()
            if (function.tenant, function.namespace) == (tenant, namespace) and self.component.holds(function)
        ]

    def functions(self) -> list[FunctionKey]:
        """Every function there is, of whatever kind."""
        return list(self._everything())

    def _everything(self) -> dict[FunctionKey, Registration]:
        """What is registered, and what the command line has, in the order of names."""
        found = {function.key: Registration(function) for function in self.worker.functions()}
        found = {key: given for key, given in found.items() if key not in self._taken}
        found |= self._record.registrations()
        return {key: found[key] for key in sorted(found)}

    def registered(self) -> Collection[FunctionKey]:
        """Those of all workers; the others are of this worker's command line."""
        return self._record.registrations().keys()

    def specs(self) -> list[FunctionSpec]:
        """The same, each as :meth:`get` answers it."""
        return [registration.function for registration in self._everything().values()]

    def get(self, key: FunctionKey) -> FunctionSpec:
        """A function as it is registered, or as the command line has it."""
        return self._registration(key).function

    def _registration(self, key: FunctionKey) -> Registration:
        found = self._find(key)
        if found is None or not self.component.holds(found.function):
            raise NotFoundError(self.component.missing(key.name))
        return found

    def _find(self, key: FunctionKey) -> Registration | None:
        """What has that name, of whatever kind."""
        registration = self._record.registrations().get(key)
        if registration is not None:
            return registration
        given = self.worker.function(key) if key not in self._taken else None
        return None if given is None else Registration(given)

    def _changeable(self, key: FunctionKey) -> Registration:
        registration = self._registration(key)
        if key not in self._record.registrations():
            raise RefusedError(f"Function {key.name} was given on the worker's command line, and is changed there only")
        return registration

    def package(self, key: FunctionKey, *, transform: bool = False) -> Path:
        """The file that the code of a component of any kind is in, or with ``transform`` that of a sink's function."""
        registration = self._find(key)
        if registration is None:
            raise NotFoundError(self.component.missing(key.name))
        location = registration.transform_package if transform else registration.package
        if not location.path:
            if transform:
                raise NotFoundError(f"{self.component.title} {key.name} doesn't have a transform function")
            return Path(registration.function.package)
        if location.path.startswith(BUILTIN):
            kind = ComponentType.FUNCTION if transform else component_of(registration.function)
            return self.worker.archives.find(kind, location.path.removeprefix(BUILTIN)).path
        return self.fetched.path(location)

    def open_package(self, path: str) -> BinaryIO:
        """The package at ``path``: one that a registration means, is built in, or that a request may name."""
        if path.startswith(BUILTIN):
            archives = self.worker.archives
            found = {**archives.functions, **archives.connectors}.get(path.removeprefix(BUILTIN))
            if found is None:
                raise NotFoundError(f"{path} is not available")
            return found.path.open("rb")
        if path in self.inventory.used():
            return self.fetched.path(PackageLocation(path)).open("rb")
        return self.fetched.open(path)

    def keep_package(self, path: str, upload: Upload) -> None:
        """Give a package to the brokers. ``path`` is its name, ``function://tenant/namespace/name@version``."""
        if not is_package_name(path):
            raise RefusedError(f"path: must be function://tenant/namespace/name@version (got {path!r})")
        self.fetched.brokers.upload(path, upload.content, upload.file_name)

    # Changes

    def register(
        self,
        key: FunctionKey,
        config: Mapping[str, Any],
        upload: Upload | None = None,
        url: str = "",
        *,
        token: str = "",
    ) -> None:
        """Register a new component and run it. The names in ``key`` count, not those in ``config``.

        ``token`` is what the caller has proved himself with, for the instances to do so; blank for none.
        """
        self._refuse_existing(key)
        function = self.component.parse(key, config)
        with self._uploads.request() as keeping:
            # Both may take minutes, in which other changes go on.
            transform = self._keep_transform(function.transform_package)
            package = self._keep(keeping, key, function.package, upload, url)
            with self._changing:
                self._refuse_existing(key)
                function = self._admit(function, package, transform)
                created_ms = int(self._clock() * 1000)
                keeping.register()
                registration = Registration(function, package, transform_package=transform, created_ms=created_ms)
                self._put(registration, token)

    def _refuse_existing(self, key: FunctionKey) -> None:
        if self._find(key) is not None:
            raise RefusedError(f"{self.component.title} {key.name} already exists")

    def update(
        self,
        key: FunctionKey,
        config: Mapping[str, Any],
        upload: Upload | None = None,
        url: str = "",
        *,
        token: str | None = None,
    ) -> None:
        """Change a component. What ``config`` does not name stays, and so does the package when none is given.

        A ``token`` takes the place of the one that was kept; a blank one of none.
        """
        if self._find(key) is None:
            raise RefusedError(self.component.missing(key.name))
        before = self._changeable(key)
        with self._uploads.request() as keeping:
            given = None
            wanted = str(config.get("transformFunction") or "") if self.component.type is ComponentType.SINK else ""
            transform = self._keep_transform(wanted)
            if upload or url.strip():
                given = self._keep(keeping, key, _builtin_in(config), upload, url, before.package)
            with self._changing:
                before = self._changeable(key)
                anew = bool(url.strip()) or token is not None
                after = self._changed(before, config, given, transform if wanted else None, anew=anew)
                keeping.register()
                self._put(after, token)
            self._uploads.replaced(before.package, after.package, key, self.inventory.used)

    def _changed(
        self,
        before: Registration,
        config: Mapping[str, Any],
        given: PackageLocation | None,
        transform_given: PackageLocation | None,
        *,
        anew: bool,
    ) -> Registration:
        """``before`` with the changes of ``config``; ``RefusedError`` when there are none, unless it is ``anew``."""
        build = self.component.build
        existing = build(before.function)
        merged = self.component.merge(existing, config)
        if given is not None:
            merged.pop("archive", None)
        elif config.get("jar") and _builtin_in(config):
            merged["jar"] = config["jar"]
        if before.transform_package.path:
            merged.setdefault("transformFunction", before.transform_package.path)
        function = self.component.carry_over(before.function, self.component.parse(before.key, merged))
        package, transform = before.package, before.transform_package
        if given is not None:
            package = given
        elif function.package.startswith(BUILTIN):
            package = PackageLocation(function.package)
        elif package.path.startswith(BUILTIN):
            function = replace(function, builtin=before.function.builtin)
        if transform_given is not None:
            transform = transform_given
        if build(replace(function, parallelism=before.function.parallelism)) == existing:
            # What a config does not tell apart is no change either: instances that are there stay as they are.
            function = replace(before.function, parallelism=function.parallelism)
        same_code = (package.path, transform.path) == (before.package.path, before.transform_package.path)
        if build(function) == existing and same_code and not anew:
            raise RefusedError("Update contains no change")
        function = self._admit(function, package, transform)
        return replace(
            before, function=function, package=package, transform_package=transform, version=before.version + 1
        )

    def _put(self, registration: Registration, token: str | None) -> None:
        """Write it down, with what is kept of ``token``; ``None`` changes nothing of that."""
        kept = registration if token is None else self._tokens.keep(registration, token)
        try:
            self._record.put(kept)
        except PfrunError:
            if registration.auth is None:
                self._tokens.forget(kept)
            raise

    def deregister(self, key: FunctionKey) -> None:
        """Stop a component and forget it; then its state and its subscriptions, when none of its instances is there.

        It waits for them no longer than a stop may take. What cannot be taken away is logged.
        """
        with self._changing:
            registration = self._changeable(key)
            self._record.delete(replace(registration, version=registration.version + 1))
        self._uploads.forget(registration.package, key, partial(self._used_without, registration))
        function = registration.function
        if self.state.enabled or self._cleaner.has_work(function):
            self._await_end(key)
        if self.state.enabled:
            self._forget_state(key)
        self._tokens.forget(registration)
        self._cleaner.clean(function, is_back=lambda: self._find(key) is not None)

    def _used_without(self, gone: Registration) -> set[str]:
        """What packages are used when that function is gone, whose instances may still be assigned."""
        used = {path for path, keys in self.inventory.used().items() if set(keys) - {gone.key}}
        now = self._record.registrations().get(gone.key)
        return used if now is None else {*used, now.package.path}

    def _await_end(self, key: FunctionKey) -> None:
        """Instances that are still there would bring back what is taken away. Other changes go on meanwhile."""
        deadline = time.monotonic() + _LAST_WRITES_SECONDS
        while self.worker.has_instances(key):
            if time.monotonic() > deadline:
                _log.error("%s: its instances are still there, and may bring back what is taken away", key)
                break
            time.sleep(_LOOK_SECONDS)

    def _forget_state(self, key: FunctionKey) -> None:
        with self._changing:
            if self._find(key) is not None:  # somebody has registered another one of that name
                return
            try:
                self.state.forget(key)
            except PfrunError as error:
                _log.error("%s: its state stays: %s", key, error)

    def set_stopped(self, key: FunctionKey, instance_id: int | None, *, stopped: bool) -> None:
        """Stop or start an instance, or all (``None``). Returns when it is decided, not when it is done."""
        if instance_id is not None:
            self._refuse_part_of_whole("stopped or started")
        with self._changing:
            registration = self._changeable(key)
            if not can_change(registration, instance_id, stop=stopped):
                raise RefusedError("Operation not permitted")
            self._record.put(change(registration, instance_id, stop=stopped))

    def restart(self, key: FunctionKey, instance_id: int | None = None) -> None:
        """Stop what this worker runs of a function, and start it anew."""
        function = self.get(key)
        if instance_id is not None:
            if not 0 <= instance_id < function.parallelism:
                raise RefusedError(f"{key}/{instance_id} doesn't exist")
            self._refuse_part_of_whole("restarted")
        with contextlib.suppress(AdmissionError):  # nothing of it runs here
            self.worker.restart(key, instance_id)

    def _refuse_part_of_whole(self, what: str) -> None:
        if self.runs_as_whole:
            raise RefusedError(f"the {self.worker.factory.name} runtime has all instances {what} together only")

    # What comes with a request

    def _keep(
        self,
        keeping: Keeping,
        key: FunctionKey,
        package: str,
        upload: Upload | None,
        url: str,
        before: PackageLocation = NOWHERE,
    ) -> PackageLocation:
        """Where the code is from now on. ``package`` names it when it is built in; ``before`` is where it was."""
        title = self.component.title
        if package.startswith(BUILTIN):
            if upload or url.strip():
                raise RefusedError(f"{title} package is given twice: {package}, and another one with the request")
            return PackageLocation(package)
        if url.strip():
            return self.fetched.register(self.component.type, url)
        if upload is None:
            raise RefusedError(f"{title} package is not provided")
        return keeping.add(self.component.type, key, upload, before)

    def _keep_transform(self, package: str) -> PackageLocation:
        """The same for the function that a sink applies to its input; no location when it has none."""
        if not package or package.startswith(BUILTIN):
            return PackageLocation(package)
        return self.fetched.register(ComponentType.FUNCTION, package)

    def _placed(self, function: FunctionSpec, package: PackageLocation, transform: PackageLocation) -> FunctionSpec:
        """``function`` with the files of its code, or what is built in."""
        placed = replace(function, package=self._place(package), transform_package=self._place(transform))
        if placed.language is Language.GO and placed.package:  # an upload says nothing of a file's mode
            self.packages.make_executable(Path(placed.package))
        return placed

    def _place(self, location: PackageLocation) -> str:
        if not location.path or location.path.startswith(BUILTIN):
            return location.path
        return str(self.fetched.path(location))

    def _admit(self, function: FunctionSpec, package: PackageLocation, transform: PackageLocation) -> FunctionSpec:
        """As the worker would run it; what is kept does not say where the code lies."""
        try:
            admitted = self.worker.admit(self._placed(function, package, transform))
        except PfrunError as error:
            raise RefusedError(str(error).removeprefix(f"{function.key}: ")) from None
        return replace(admitted, package="", transform_package="")

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
        """The same of every function of this kind, in the order of their names, seen at one moment."""
        seen = {function.key: function.instances for function in self.worker.statuses(stats=stats)}
        return {
            key: _seen(each, seen.get(key, ()))
            for key, each in self._everything().items()
            if self.component.holds(each.function)
        }

    def log(self, key: FunctionKey, instance_id: int, mark: str, last: int) -> LogPart:
        """What an instance wrote after ``mark``, of an earlier answer; with ``""`` its ``last`` lines.

        ``RefusedError`` when its runtime cannot tell what is new, ``NotReadyError`` when nothing of it is here.
        """
        if not 0 <= instance_id < self.get(key).parallelism:
            raise RefusedError(self.component.missing_instance(key.name, instance_id))
        instance = InstanceKey(key, instance_id)
        replica = self.worker.replica(instance)
        if replica is None:
            raise NotReadyError(f"{instance} does not run, so that nobody has its log")
        part = replica.log_after(mark, last)
        if part is not None:
            return part
        if mark:
            raise RefusedError(f"{instance}: its runtime cannot tell what is new in the log")
        return LogPart(tuple(replica.log_lines(last)), "")

    def trigger(self, key: FunctionKey, data: bytes, topic: str | None = None) -> bytes:
        """Send one message to the function, and its answer."""
        return trigger(self._client(), self.get(key), data, topic)


def _seen(registration: Registration, instances: Iterable[InstanceStatus]) -> list[Seen]:
    by_number = {instance.key.instance_id: instance for instance in instances}
    return [
        (number, by_number.get(number), registration.is_stopped(number))
        for number in range(registration.function.parallelism)
    ]


def _builtin_in(config: Mapping[str, Any]) -> str:
    """What a config names as its package, when that is built in."""
    named = str(config.get("archive") or config.get("jar") or "")
    return named if named.startswith(BUILTIN) else ""
