"""A jar or nar, from which classes are read. Nothing of it is trusted, and nothing of it is written to disk."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from pulsar_runtimes.java.class_file import ClassFile, ClassFileError, parse_class_file

MAX_CLASS_BYTES = 8 << 20
MAX_NESTED_BYTES = 256 << 20
"""The most that one jar inside a nar may have; they are unpacked into memory, one at a time."""
MAX_NESTED_TOTAL_BYTES = 2 << 30
"""The most that is unpacked of one nar in the search for classes."""
MAX_ENTRIES = 200_000

_BUNDLED = "META-INF/bundled-dependencies/"

# What zipfile lets out of damaged archives, beside its own error: encrypted or exotically compressed entries,
# broken streams, offsets beyond the file, names that are not text.
_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    EOFError,
    ValueError,
    OSError,
    struct.error,
)


class JarError(Exception):
    """The package is damaged, or larger than is sensible; the text begins with its path."""


class Jar:
    """An open package; a context manager. Classes are looked up at its root, and then in what a nar bundles."""

    def __init__(self, path: Path) -> None:
        """``JarError`` when there is no such file, or it is not a zip archive."""
        self._path = path
        self._classes: dict[str, tuple[ClassFile, bytes] | None] = {}
        self._unpacked = 0
        with ExitStack() as stack:
            self._archive = self._open(path, str(path), stack)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._stack.close()

    def find_class(self, name: str) -> ClassFile | None:
        """The class ``name``, as ``Class.getName`` writes it; ``None`` when the package does not have it.

        ``JarError`` when its file cannot be read, or holds another class.
        """
        found = self._find(name)
        return None if found is None else found[0]

    def read_class(self, name: str) -> bytes | None:
        """The file of the class ``name``. ``None`` and errors as with :meth:`find_class`."""
        found = self._find(name)
        return None if found is None else found[1]

    def _find(self, name: str) -> tuple[ClassFile, bytes] | None:
        if name not in self._classes:
            self._classes[name] = self._look_up(name)
        return self._classes[name]

    def read(self, entry: str, max_bytes: int = MAX_CLASS_BYTES) -> bytes | None:
        """The file ``entry`` at the root of the package; ``None`` when there is none. ``JarError`` over the limit."""
        return self._read(self._archive, str(self._path), entry, max_bytes)

    def _look_up(self, name: str) -> tuple[ClassFile, bytes] | None:
        entry = f"{name.replace('.', '/')}.class"
        for place in (entry, f"{_BUNDLED}{entry}"):
            if (data := self.read(place)) is not None:
                return self._parse(name, data, str(self._path))
        return self._look_up_nested(name, entry)

    def _look_up_nested(self, name: str, entry: str) -> tuple[ClassFile, bytes] | None:
        for nested in self._archive.namelist():
            if not (nested.startswith(_BUNDLED) and nested.endswith(".jar")):
                continue
            # Into memory: within a compressed entry, zipfile would start from the beginning at each step back.
            content = self._read(self._archive, str(self._path), nested, MAX_NESTED_BYTES)
            assert content is not None
            self._unpacked += len(content)
            if self._unpacked > MAX_NESTED_TOTAL_BYTES:
                raise JarError(f"{self._path}: bundles more than {MAX_NESTED_TOTAL_BYTES >> 20} MiB of jars")
            where = f"{self._path}!/{nested}"
            with ExitStack() as stack:
                archive = self._open(io.BytesIO(content), where, stack)
                data = self._read(archive, where, entry, MAX_CLASS_BYTES)
            if data is not None:
                return self._parse(name, data, where)
        return None

    def _parse(self, name: str, data: bytes, where: str) -> tuple[ClassFile, bytes]:
        try:
            found = parse_class_file(data)
        except ClassFileError as error:
            raise JarError(f"{where}: class {name}: {error}") from error
        if found.name != name:
            raise JarError(f"{where}: class {name}: its file holds {found.name}")
        return found, data

    def _open(self, source: Path | IO[bytes], where: str, stack: ExitStack) -> zipfile.ZipFile:
        try:
            archive = stack.enter_context(zipfile.ZipFile(source))
        except _DAMAGE as error:
            raise JarError(f"{where}: cannot be read as a jar ({_reason(error)})") from error
        if len(archive.infolist()) > MAX_ENTRIES:
            raise JarError(f"{where}: has more than {MAX_ENTRIES} entries")
        return archive

    def _read(self, archive: zipfile.ZipFile, where: str, entry: str, max_bytes: int) -> bytes | None:
        try:
            info = archive.getinfo(entry)
        except KeyError:
            return None
        try:
            with archive.open(info) as file:
                # What it says of its size is not relied on.
                data = file.read(max_bytes + 1)
        except _DAMAGE as error:
            raise JarError(f"{where}: {entry}: cannot be read ({_reason(error)})") from error
        if len(data) > max_bytes:
            raise JarError(f"{where}: {entry}: is larger than {max_bytes} bytes")
        return data


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
