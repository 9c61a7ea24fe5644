"""Packages that pfrun itself gives to the brokers: those that come with a request, where the brokers keep packages.

A package is called ``function://tenant/namespace/NAME@DIGEST-MARK``, with ``sink`` or ``source`` for connectors. The
digest is the beginning of the SHA-256 of its content, by which whoever fetches it sees that it is the right one. The
mark is random, so that no two registrations ever share a package: that of a function which is gone can be deleted while
another worker registers the same one again. What pfrun puts beside it tells whose it is; packages of users, and of
other clusters of workers, are never touched.
"""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.model.names import FunctionKey

from .broker_packages import BrokerPackages
from .errors import NotFoundError
from .package_urls import PACKAGE_SCHEMES

_DIGITS = 32
_OWN = re.compile(rf"\w+://[^/@]+/[^/@]+/[^/@]+@([0-9a-f]{{{_DIGITS}}})-[0-9a-f]{{8}}")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]")
_THREADS = 8

_RECORD = "pfrunRecord"
_FUNCTION = "functionName"
_FILE = "fileName"
_SIZE = "fileSize"
_DIGEST = "sha256"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnPackage:
    """One package that pfrun gave to the brokers. ``function`` is the full name of the function it came with."""

    name: str
    function: str
    digest: str
    file_name: str
    size_bytes: int
    created_ms: int


def own_digest(name: str) -> str:
    """The beginning of the content's SHA-256, empty when ``name`` is not as pfrun names packages."""
    found = _OWN.fullmatch(name)
    return found[1] if found else ""


class OwnPackages:
    """Those of one cluster of workers. ``record`` tells it from others: the full name of its metadata topic."""

    def __init__(self, brokers: BrokerPackages, record: str) -> None:
        self._brokers = brokers
        self._record = record
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextlib.contextmanager
    def under_way(self, name: str) -> Iterator[None]:
        """Meanwhile nobody here takes ``name`` for unused."""
        with self._lock:
            self._under_way[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= Counter([name])

    def names_under_way(self) -> frozenset[str]:
        """What belongs to registrations that are not finished."""
        with self._lock:
            return frozenset(self._under_way)

    def new_name(self, kind: ComponentType, key: FunctionKey, digest: str) -> str:
        """A name for the package of ``digest`` that nothing has."""
        place = _place(kind, key)
        return f"{place[0]}://{'/'.join(place[1:])}@{digest[:_DIGITS]}-{secrets.token_hex(4)}"

    def put(self, name: str, key: FunctionKey, path: Path, digest: str, file_name: str) -> None:
        """Give the file at ``path`` to the brokers. ``PfrunError`` when they do not take it."""
        properties = {
            _RECORD: self._record,
            _FUNCTION: str(key),
            _FILE: file_name,
            _SIZE: str(path.stat().st_size),
            _DIGEST: digest,
        }
        try:
            with path.open("rb") as content:
                self._brokers.upload(name, content, path.name, properties)
        except PfrunError as error:
            raise PfrunError(f"the brokers do not keep the package: {error}") from None

    def remove(self, name: str) -> None:
        """Delete a package, when it is pfrun's. Nothing when it is gone. ``PfrunError`` when the brokers do not."""
        if self._find(name) is None:
            return
        try:
            self._brokers.delete(name)
        except PfrunError:
            if self._find(name) is not None:
                raise

    def remove_quietly(self, name: str) -> None:
        """The same; what stays is left to a later clean-up, and logged."""
        try:
            self.remove(name)
        except PfrunError as error:
            _log.warning("a package stays with the brokers until pfrun packages gc: %s", error)

    def remove_before(self, name: str, key: FunctionKey, used: Collection[str]) -> None:
        """Delete what the function ``key`` had before the package ``name``, but for those that are used. Quiet."""
        try:
            newest = self._find(name)
            if newest is None:
                return
            kind = name.partition("://")[0]
            for each in self._kept(kind, key.tenant, key.namespace, _plain(key.name)):
                older = each.created_ms < newest.created_ms and each.function == str(key)
                if older and each.name not in used and each.name not in self.names_under_way():
                    self.remove(each.name)
        except PfrunError as error:
            _log.warning("packages of %s stay with the brokers until pfrun packages gc: %s", key, error)

    def kept(self, namespaces: Iterable[tuple[str, str]] = ()) -> list[OwnPackage]:
        """All of them, by name: of every namespace that there is, and of ``namespaces``. It asks the brokers a lot."""
        places = sorted({*self._brokers.namespaces(), *namespaces})
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(self._kept_in, places)
            return sorted((package for packages in found for package in packages), key=lambda each: each.name)

    def _kept_in(self, place: tuple[str, str]) -> list[OwnPackage]:
        return [
            package
            for kind in PACKAGE_SCHEMES
            for name in self._brokers.names(kind, *place)
            for package in self._kept(kind, *place, name)
        ]

    def _kept(self, kind: str, tenant: str, namespace: str, name: str) -> list[OwnPackage]:
        names = (
            f"{kind}://{tenant}/{namespace}/{name}@{version}"
            for version in self._brokers.versions(kind, tenant, namespace, name)
        )
        return [found for each in names if (found := self._find(each)) is not None]

    def _find(self, name: str) -> OwnPackage | None:
        """A package of this cluster; what only looks like one is none."""
        if not own_digest(name):
            return None
        try:
            note = self._brokers.note(name)
        except NotFoundError:  # a file system keeps the names of what was deleted
            return None
        told = note.properties
        if told.get(_RECORD) != self._record:
            return None
        size = told.get(_SIZE, "")
        return OwnPackage(
            name,
            told.get(_FUNCTION, ""),
            told.get(_DIGEST, own_digest(name)),
            told.get(_FILE, ""),
            int(size) if size.isdecimal() else 0,
            note.created_ms,
        )


def _place(kind: ComponentType, key: FunctionKey) -> tuple[str, str, str, str]:
    return kind.name.lower(), key.tenant, key.namespace, _plain(key.name)


def _plain(name: str) -> str:
    """A function's name as a package may be called: functions of two names may then share it, but no package."""
    return _NOT_IN_A_NAME.sub("_", name)
