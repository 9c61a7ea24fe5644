"""Where the code of registered functions is kept: a directory, each package under the hash of its content.

The same content is kept once, whoever registers it, and a package never changes. Its location is a ``file:`` URL, which
a worker of Apache Pulsar on the same machine can read as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import stat
import tempfile
import threading
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.registration import PackageLocation

_CHUNK_BYTES = 1 << 20
YOUNG_SECONDS = 600.0
"""A package that nothing uses is kept that long: it may belong to a registration that is under way elsewhere."""

_CLOCK_SECONDS = 2.0
"""What a file system's idea of the time may be behind."""

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@dataclass(frozen=True, slots=True)
class Package:
    """One kept package. ``digest`` is the SHA-256 of its content, in hexadecimal."""

    digest: str
    file_name: str
    size_bytes: int
    path: Path
    kept_ns: int
    """When it came, or somebody brought it again: nanoseconds since the epoch."""


class PackageStore:
    """Packages in ``directory``, which is made when the first one comes. Safe for several threads and workers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._requests: list[float] = []

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Meanwhile nothing that is added counts as unused."""
        began = time.time()
        with self._lock:
            self._requests.append(began)
        try:
            yield
        finally:
            with self._lock:
                self._requests.remove(began)

    @property
    def directory(self) -> Path:
        """Where the packages are."""
        return self._directory

    def has(self, location: PackageLocation) -> bool:
        """Whether the file of a package is there."""
        return Path(unquote(urlsplit(location.path).path)).is_file()

    def add(self, content: BinaryIO, file_name: str) -> PackageLocation:
        """Keep what ``content`` holds; what is there already stays. ``PfrunError`` when it cannot be written."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".incoming-", dir=self._directory) as incoming:
                target = Path(incoming, safe_name(file_name))
                digest = _copy(content, target)
                kept = self._directory / digest / target.name
                with self._lock:  # not between the look of a clean-up and its removal
                    if not kept.is_file():
                        kept.parent.mkdir(mode=0o700, exist_ok=True)
                        target.replace(kept)
                    os.utime(kept)
        except OSError as error:
            raise PfrunError(f"{self._directory}: the package cannot be kept: {error.strerror or error}") from error
        return PackageLocation(kept.as_uri(), file_name)

    def path(self, location: PackageLocation) -> Path:
        """The file of a package. ``PfrunError`` when it is gone, or kept where this store cannot look."""
        parts = urlsplit(location.path)
        if parts.scheme not in ("file", ""):
            raise PfrunError(f"{location.path}: this version of pfrun reads packages from files only")
        path = Path(unquote(parts.path))
        if not path.is_file():
            raise PfrunError(f"{path}: there is no such package any more")
        return path

    def make_executable(self, path: Path) -> None:
        """Have a kept file be a program that its owner may start; what is not kept here stays as it is."""
        if not path.is_relative_to(self._directory):
            return
        try:
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        except OSError as error:
            raise PfrunError(f"{path}: cannot be made executable: {error.strerror or error}") from error

    def packages(self) -> list[Package]:
        """Everything that is kept, by digest."""
        found = []
        for path in sorted(self._directory.glob("[0-9a-f]*/*")):
            with contextlib.suppress(FileNotFoundError):
                if len(path.parent.name) == 64:
                    seen = path.stat()
                    found.append(Package(path.parent.name, path.name, seen.st_size, path, seen.st_mtime_ns))
        return found

    def is_new(self, package: Package, older_than_seconds: float = YOUNG_SECONDS) -> bool:
        """Whether a package may belong to a registration that is under way: here, or elsewhere if it is that young."""
        with self._lock:
            began = min(self._requests, default=math.inf) - _CLOCK_SECONDS
        kept = package.kept_ns / 1e9
        return kept >= began or time.time() - kept < older_than_seconds

    def remove(self, package: Package) -> bool:
        """Delete one package, unless somebody has brought it again. Nothing when it is gone already."""
        with self._lock:
            try:
                if package.path.stat().st_mtime_ns != package.kept_ns:
                    return False
            except FileNotFoundError:
                return False
            package.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # the same content under another name stays
                package.path.parent.rmdir()
        return True


def _copy(content: BinaryIO, target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def safe_name(file_name: str) -> str:
    """``file_name`` without what does not belong into one. Source: ``RuntimeUtils#sanitizeFileName``."""
    plain = unicodedata.normalize("NFD", file_name).encode("ascii", "ignore").decode()
    name = "".join(letter if letter in _SAFE else "_" for letter in plain)
    return name if name.strip(".") else f"package{name}"
