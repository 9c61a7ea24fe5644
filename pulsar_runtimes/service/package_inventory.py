"""Which packages are kept, what they are for, and what nothing needs any more."""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.registration import Registration

from .fetched_packages import FetchedPackages
from .own_packages import OwnPackage, OwnPackages
from .packages import YOUNG_SECONDS, Package, PackageStore

_log = logging.getLogger(__name__)


class Place(enum.Enum):
    """Where a package is kept."""

    DIRECTORY = "directory"
    """That of the worker which is asked."""
    BROKERS = "brokers"


class Use(enum.Enum):
    """Why a package is kept."""

    REGISTERED = "registered"
    """A function is registered with it, or an instance assigned with it."""
    RUNNING = "running"
    """Instances run it, of a version that is not registered any more."""
    NEW = "new"
    """It may belong to a registration that is under way, or instances of the version before may still run it."""
    UNKNOWN = "unknown"
    """Something may need it: a function that this version of pfrun cannot read, or a worker that does not answer."""
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class KeptPackage:
    """``name`` is a path, or the name that the brokers know. ``digest`` is the SHA-256 of the content."""

    place: Place
    name: str
    digest: str
    file_name: str
    size_bytes: int
    kept_since_ms: int
    functions: tuple[FunctionKey, ...]
    use: Use


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, or would be; what could not be, with the reason; and how many were only too new for it."""

    packages: tuple[KeptPackage, ...]
    problems: tuple[str, ...] = ()
    too_new: int = 0


class Uses(Protocol):
    """What is registered. May be asked from any thread."""

    def meant(self) -> Collection[Registration]:
        """Every registration, and those that an instance is assigned with, which may be older."""

    def unreadable(self) -> Collection[FunctionKey]:
        """The functions that this version cannot read."""

    def files_elsewhere(self) -> Collection[str]:
        """The files that the instances of other workers were made from. ``PfrunError`` when one does not tell."""


class InUse(Protocol):
    """What runs here."""

    def files_in_use(self) -> Collection[str]:
        """The files that instances were made from, or are to be."""


class PackageInventory:
    """The packages of one worker's directory, and those that its cluster gave to the brokers."""

    def __init__(
        self, store: PackageStore, fetched: FetchedPackages, own: OwnPackages | None, uses: Uses, in_use: InUse
    ) -> None:
        self._store = store
        self._fetched = fetched
        self._own = own
        self._uses = uses
        self._in_use = in_use

    def used(self) -> Mapping[str, Collection[FunctionKey]]:
        """The functions that mean each location, or the copy in the directory of what is there."""
        found: dict[str, set[FunctionKey]] = {}
        for registration in self._uses.meant():
            for location in (registration.package, registration.transform_package):
                for path in filter(None, (location.path, location.path and self._fetched.kept_for(location.path))):
                    found.setdefault(path, set()).add(registration.key)
        return found

    def files_in_use(self) -> list[str]:
        """The files that the instances of this worker were made from, or are to be; others ask for them."""
        return sorted(filter(None, self._in_use.files_in_use()))

    def packages(self, older_than_seconds: float = YOUNG_SECONDS) -> list[KeptPackage]:
        """All of them. ``PfrunError`` when the brokers do not tell."""
        return [kept for kept, _ in self._look(older_than_seconds, brokers=True)]

    def remove_unused(
        self, *, older_than_seconds: float = YOUNG_SECONDS, dry_run: bool = False, brokers: bool = True
    ) -> Removal:
        """Remove what nothing needs, and what came before that many seconds; with ``dry_run`` only tell it.

        A package that belongs to a change on this worker is spared however young it may be; the seconds are for
        changes on other workers. ``PfrunError`` when the brokers do not tell what they keep.
        """
        removed, problems, too_new = [], [], 0
        for kept, remove in self._look(older_than_seconds, brokers=brokers):
            too_new += kept.use is Use.NEW
            if kept.use is not Use.UNUSED:
                continue
            try:
                if dry_run or remove():
                    removed.append(kept)
            except (PfrunError, OSError) as error:
                problems.append(f"{kept.name}: is not removed: {error}")
        if not dry_run:
            self._fetched.forget_lost()
        for problem in problems:
            _log.warning("%s", problem)
        return Removal(tuple(removed), tuple(problems), too_new)

    def _look(self, older_than_seconds: float, *, brokers: bool) -> list[tuple[KeptPackage, partial[bool]]]:
        """Each package with what removes it. First what there is, then who needs it: what comes between is no loss."""
        files = self._store.packages()
        own: list[OwnPackage] = []
        if brokers and self._own is not None:
            namespaces = {(each.key.tenant, each.key.namespace) for each in self._uses.meant()}
            own = self._own.kept(namespaces)
        new_files = {each.path for each in files if self._store.is_new(each, older_than_seconds)}
        under_way = self._own.names_under_way() if self._own is not None else frozenset()
        unreadable = {str(key) for key in self._uses.unreadable()}
        running, used = set(self._in_use.files_in_use()), self.used()
        needed = {file.path for file in files if file.path.as_uri() in used or str(file.path) in running} | new_files
        all_told = True
        if any(file.path not in needed for file in files):  # else the other workers need not be asked
            try:
                running.update(self._uses.files_elsewhere())
            except PfrunError as error:
                _log.warning("packages that seem to be unused stay: %s", error)
                all_told = False

        found = []
        for file in files:
            functions = used.get(file.path.as_uri(), ())
            use = _use(
                registered=bool(functions),
                running=str(file.path) in running,
                new=file.path in new_files,
                unknown=bool(unreadable) or not all_told,
            )
            found.append((_of_directory(file, functions, use), partial(self._store.remove, file)))
        replaced = _replaced(own, used)
        latest_ms = (time.time() - older_than_seconds) * 1000
        for package in own:
            functions = used.get(package.name, ())
            use = _use(
                registered=bool(functions),
                running=False,  # instances run what is in a directory
                new=package.name in under_way or max(package.created_ms, replaced.get(package.name, 0)) > latest_ms,
                unknown=package.function in unreadable,
            )
            found.append((_of_brokers(package, functions, use), partial(self._remove_own, package.name)))
        return found

    def _remove_own(self, name: str) -> bool:
        assert self._own is not None
        self._own.remove(name)
        return True


def _use(*, registered: bool, running: bool, new: bool, unknown: bool) -> Use:
    for holds, use in ((registered, Use.REGISTERED), (running, Use.RUNNING), (new, Use.NEW), (unknown, Use.UNKNOWN)):
        if holds:
            return use
    return Use.UNUSED


def _replaced(packages: Collection[OwnPackage], used: Collection[str]) -> Mapping[str, int]:
    """When each package gave way to the one that its function is registered with, in milliseconds."""
    current = {each.function: each.created_ms for each in packages if each.name in used}
    return {each.name: current[each.function] for each in packages if each.function in current}


def _of_directory(file: Package, functions: Collection[FunctionKey], use: Use) -> KeptPackage:
    since = file.kept_ns // 1_000_000
    return KeptPackage(
        Place.DIRECTORY, str(file.path), file.digest, file.file_name, file.size_bytes, since, _sorted(functions), use
    )


def _of_brokers(package: OwnPackage, functions: Collection[FunctionKey], use: Use) -> KeptPackage:
    return KeptPackage(
        Place.BROKERS,
        package.name,
        package.digest,
        package.file_name,
        package.size_bytes,
        package.created_ms,
        _sorted(functions),
        use,
    )


def _sorted(functions: Collection[FunctionKey]) -> tuple[FunctionKey, ...]:
    return tuple(sorted(functions))
