"""Packages that come with a request: kept in the worker's directory, and with the brokers where those keep packages.

What is with the brokers stays in the directory as well, as what was fetched: a registration has the name that the
brokers know, and every worker fetches that once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.registration import PackageLocation

from .fetched_packages import FetchedPackages
from .own_packages import OwnPackages, own_digest
from .packages import PackageStore

NOWHERE = PackageLocation()

Used = Callable[[], Collection[str]]
"""Which locations are needed."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A package that came with a request."""

    content: BinaryIO
    file_name: str


class UploadedPackages:
    """``own`` is ``None`` where the brokers keep no packages."""

    def __init__(self, store: PackageStore, fetched: FetchedPackages, own: OwnPackages | None = None) -> None:
        self._store = store
        self._fetched = fetched
        self._own = own

    @contextlib.contextmanager
    def request(self) -> Iterator[Keeping]:
        """One request. Meanwhile nothing that it keeps is taken for unused; when it fails before
        :meth:`Keeping.register`, the brokers do not keep what it gave them."""
        with self._store.request(), contextlib.ExitStack() as under_way:
            keeping = Keeping(self._store, self._fetched, self._own, under_way)
            try:
                yield keeping
            except BaseException:
                keeping.take_back()
                raise

    def replaced(self, before: PackageLocation, after: PackageLocation, key: FunctionKey, used: Used) -> None:
        """Forget what is older than the package ``before``, which instances may still run while ``after`` comes."""
        if self._own is not None and before.path != after.path and own_digest(before.path):
            self._own.remove_before(before.path, key, used())

    def forget(self, location: PackageLocation, key: FunctionKey, used: Used) -> None:
        """Forget the package of a function that is gone, and those that it had before."""
        if self._own is not None and own_digest(location.path):
            needed = used()
            self._own.remove_before(location.path, key, needed)
            if location.path not in needed:
                self._own.remove_quietly(location.path)


class Keeping:
    """What one request keeps. Made by :meth:`UploadedPackages.request`."""

    def __init__(
        self, store: PackageStore, fetched: FetchedPackages, own: OwnPackages | None, under_way: contextlib.ExitStack
    ) -> None:
        self._store = store
        self._fetched = fetched
        self._own = own
        self._under_way = under_way
        self._given: list[str] = []

    def add(
        self, kind: ComponentType, key: FunctionKey, upload: Upload, before: PackageLocation = NOWHERE
    ) -> PackageLocation:
        """Keep a package of the function ``key``; ``before`` is the one it has, and stays when it is the same.

        ``PfrunError`` when it cannot be kept.
        """
        kept = self._store.add(upload.content, upload.file_name)
        own = self._own
        if own is None:
            return kept
        path = self._store.path(kept)
        digest = path.parent.name
        same = own_digest(before.path)
        if same and digest.startswith(same) and before.original_file_name == upload.file_name:
            self._under_way.enter_context(own.under_way(before.path))
            self._fetched.keep_for(before.path, kept)
            return before
        name = own.new_name(kind, key, digest)
        self._under_way.enter_context(own.under_way(name))
        self._given.append(name)
        own.put(name, key, path, digest, upload.file_name)
        self._fetched.keep_for(name, kept)
        return PackageLocation(name, upload.file_name)

    def register(self) -> None:
        """What was kept is about to be registered. From now on it stays, as nobody knows how a failure ended."""
        self._given.clear()

    def take_back(self) -> None:
        """The brokers need not keep what was given to them."""
        for name in self._given:
            assert self._own is not None
            self._own.remove_quietly(name)
