"""Packages that a registration names by a URL: fetched once for each registration, and kept with the others.

What was fetched for a URL stays what it means here until somebody registers or updates with the same URL; a restart of
the worker fetches nothing that is there. The file name in the registration begins with a mark of the content, by which
other workers see that they have to fetch it again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.model.registration import PackageLocation

from .broker_packages import BrokerPackages
from .errors import RefusedError
from .own_packages import own_digest
from .package_fetch import FetchLimits, fetch_package
from .package_urls import REFUSED, UrlRules, is_package_name
from .packages import PackageStore

_MARK_LENGTH = 16
_MARKED = re.compile(rf"([0-9a-f]{{{_MARK_LENGTH}}})-")
_log = logging.getLogger(__name__)

FETCHED_SCHEMES = ("http", "https", "function", "sink", "source")


class FetchedPackages:
    """What was fetched, noted in the store's ``directory``.

    ``brokers`` gives the brokers' packages, and is ``None`` where functionsWorkerEnablePackageManagement is off.
    """

    def __init__(
        self,
        store: PackageStore,
        rules: UrlRules,
        brokers: BrokerPackages | None = None,
        limits: FetchLimits | None = None,
    ) -> None:
        self._store = store
        self._rules = rules
        self._brokers = brokers
        self._limits = limits or FetchLimits()

    @property
    def brokers(self) -> BrokerPackages:
        """The brokers' packages. ``RefusedError`` where they are not used."""
        if self._brokers is None:
            raise RefusedError(
                "Function Package management service is disabled: set functionsWorkerEnablePackageManagement "
                "and pulsarWebServiceUrl"
            )
        return self._brokers

    def register(self, kind: ComponentType, url: str) -> PackageLocation:
        """Fetch the package of a new registration, whatever is there. ``RefusedError`` when it must not, or cannot."""
        url = url.strip()
        if not is_package_name(url) and not self._rules.allows(kind, url):
            raise RefusedError(REFUSED)
        name = _file_name(url)
        if urlsplit(url).scheme == "file":
            if not Path(unquote(urlsplit(url).path)).is_file():
                raise RefusedError(f'Encountered error "there is no such file" when getting package from {url}')
        else:
            kept = self._fetch(url, name, lambda target: self._rules.allows(kind, target))
            name = f"{_mark(kept)}-{name}"
        return PackageLocation(url, name)

    def path(self, location: PackageLocation) -> Path:
        """The file of a registration's package, fetched when it is not there any more."""
        url = location.path
        if urlsplit(url).scheme not in FETCHED_SCHEMES:
            return self._store.path(location)
        kept = self._kept(url)
        if kept is None or not self._store.has(kept) or not _means(location, kept):
            # A redirect of one that was registered is followed within what the rules are now, for either kind.
            name = location.original_file_name if own_digest(url) else ""
            kept = self._fetch(url, name or _file_name(url), lambda target: target == url or self._allows_any(target))
            if not _means(location, kept):
                _log.warning("%s: is not what it was when it was registered", url)
        return self._store.path(kept)

    def _allows_any(self, url: str) -> bool:
        return any(self._rules.allows(kind, url) for kind in (ComponentType.FUNCTION, ComponentType.SINK))

    def kept_for(self, url: str) -> str:
        """Where the store has what was fetched for ``url``, empty when it has not."""
        kept = self._kept(url)
        return kept.path if kept is not None else ""

    def _fetch(self, url: str, name: str, allows: Callable[[str], bool]) -> PackageLocation:
        with tempfile.TemporaryFile() as content:
            self.copy(url, content, allows)
            content.seek(0)
            with self._store.request():
                kept = self._store.add(content, name)
                if not _digest(kept).startswith(own_digest(url)):
                    told = f"the SHA-256 of its content is {_digest(kept)}"
                    raise PfrunError(f"{url}: is not what was registered: {told}")
                self.keep_for(url, kept)
        return kept

    def keep_for(self, url: str, kept: PackageLocation) -> None:
        """Note that ``kept``, in the store, is what is at ``url``. ``PfrunError`` when that cannot be written."""
        note = self._note(url)
        try:
            note.parent.mkdir(mode=0o700, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", prefix=".", dir=note.parent, delete=False) as text:
                text.write(json.dumps({"path": kept.path}))
            Path(text.name).replace(note)
        except OSError as error:
            raise PfrunError(f"{note}: cannot be written: {error.strerror or error}") from error

    def forget_lost(self) -> None:
        """Forget where things were that the store has no more."""
        for note in self._notes.glob("[0-9a-f]*"):
            kept = _read(note)
            if kept is not None and not self._store.has(kept):
                note.unlink(missing_ok=True)

    def open(self, url: str) -> BinaryIO:
        """What is at ``url``, as a file of its own. ``RefusedError`` where a component must not come from, either."""
        if urlsplit(url).scheme not in (*FETCHED_SCHEMES, "file"):
            raise RefusedError(f"path: must be a package's name or URL (got {url!r})")
        if not is_package_name(url) and not self._allows_any(url):
            raise RefusedError(REFUSED)
        if urlsplit(url).scheme == "file":
            return self._store.path(PackageLocation(url)).open("rb")
        content = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
        try:
            self.copy(url, content, self._allows_any)
            content.seek(0)
        except BaseException:
            content.close()
            raise
        return content

    def copy(self, url: str, target: BinaryIO, allows: Callable[[str], bool]) -> None:
        """Write the package at ``url`` to ``target``, and keep nothing."""
        if is_package_name(url):
            self.brokers.download(url, target, self._limits.max_bytes)
        else:
            fetch_package(url, target, allows, self._limits)

    @property
    def _notes(self) -> Path:
        return self._store.directory / "urls"

    def _note(self, url: str) -> Path:
        return self._notes / hashlib.sha256(url.encode()).hexdigest()

    def _kept(self, url: str) -> PackageLocation | None:
        return _read(self._note(url))


def _read(note: Path) -> PackageLocation | None:
    try:
        return PackageLocation(str(json.loads(note.read_text())["path"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(kept: PackageLocation) -> str:
    return PurePosixPath(urlsplit(kept.path).path).parent.name


def _mark(kept: PackageLocation) -> str:
    """The beginning of the content's digest."""
    return _digest(kept)[:_MARK_LENGTH]


def _means(location: PackageLocation, kept: PackageLocation) -> bool:
    """Whether ``kept`` is what was registered; a worker of Apache Pulsar does not tell."""
    own = own_digest(location.path)
    if own:
        return _digest(kept).startswith(own)
    mark = _MARKED.match(location.original_file_name)
    return mark is None or mark[1] == _mark(kept)


def _file_name(url: str) -> str:
    """A name for what is fetched: the last part of the path, with an end that tells what it is."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name.partition("@")[0]
    return name or "package"
