"""Where the code of registered functions is kept: a directory, each package under the hash of its content.

The same content is kept once, whoever registers it, and a package never changes. Its location is a ``file:`` URL, which
a worker of Apache Pulsar on the same machine can read as well.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.registration import PackageLocation

_CHUNK_BYTES = 1 << 20
_YOUNG_SECONDS = 600.0
"""A package that nothing uses is kept that long: it may belong to a registration that is under way."""

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@dataclass(frozen=True, slots=True)
class Package:
    """One kept package. ``digest`` is the SHA-256 of its content, in hexadecimal."""

    digest: str
    file_name: str
    size_bytes: int
    path: Path


class PackageStore:
    """Packages in ``directory``, which is made when the first one comes. Safe for several threads and workers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

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

    def packages(self) -> list[Package]:
        """Everything that is kept, by digest."""
        found = []
        for path in sorted(self._directory.glob("[0-9a-f]*/*")):
            if len(path.parent.name) == 64:
                found.append(Package(path.parent.name, path.name, path.stat().st_size, path))
        return found

    def unused(self, used: Collection[str]) -> list[Package]:
        """What none of the locations in ``used`` means, and is not quite new."""
        now = time.time()
        return [
            package
            for package in self.packages()
            if package.path.as_uri() not in used and now - package.path.stat().st_mtime > _YOUNG_SECONDS
        ]

    def remove(self, package: Package) -> None:
        """Delete one package. Nothing when it is gone already."""
        shutil.rmtree(package.path.parent, ignore_errors=True)


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
