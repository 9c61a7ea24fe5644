"""Function packages that are archives: ``.zip`` and ``.whl``. They come from users, so they are hostile.

An archive is unpacked once per content, into a directory named by its hash, and shared by every instance
that has the same bytes. Layout of a zip (the reference's): ``B/src`` holds the code, ``B/deps`` wheels,
``B/requirements.txt`` what else to install, where B is the archive's base name.
"""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pulsar_runtimes.model.errors import LaunchError

_MAX_FILES = 50_000
_MAX_BYTES = 4 << 30
_MAX_RATIO = 200
_RATIO_MATTERS_ABOVE = 64 << 20
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(NotImplementedError, RuntimeError, EOFError, ValueError),
)
"""What ``zipfile`` and the decompressors raise for an archive that is broken, encrypted, or of an unknown method."""


@dataclass(frozen=True, slots=True)
class Package:
    """An archive that was unpacked: its hash, the directory for ``sys.path``, and ``B`` of the layout."""

    file: Path
    digest: str
    code: Path
    base: Path


def unpack_package(archive: Path, cache: Path) -> Package:
    """Unpack ``archive`` below ``cache``. ``LaunchError`` for one that is broken or hostile."""
    try:
        return _unpack(archive, cache)
    except OSError as error:
        raise LaunchError(f"{archive.name}: cannot be unpacked to {cache} ({error})") from None


def _unpack(archive: Path, cache: Path) -> Package:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    name = f"{archive.stem}-{digest[:24]}"
    with locked(cache, name):
        home = cache / name
        if not home.is_dir():
            fresh = Path(tempfile.mkdtemp(prefix=f".{archive.stem}-", dir=cache))
            try:
                _extract(archive, fresh / "code")
                fresh.rename(home)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
        root = home / "code"
        if archive.suffix == ".whl":
            return Package(archive, digest, root, root)
        base = _base(root, archive)
        return Package(archive, digest, base / "src" if (base / "src").is_dir() else base, base)


@contextmanager
def locked(directory: Path, name: str, *, wait: bool = True) -> Iterator[int]:
    """Hold what is called ``name`` in ``directory``; ``BlockingIOError`` when others do and ``wait`` is false.

    The descriptor may be given to a child: then others are kept away until both have closed it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(directory / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield lock.fileno()


def _base(code: Path, archive: Path) -> Path:
    """``B`` of the layout: the directory of the archive's name, else the only one with ``src``, else the root."""
    if (code / archive.stem).is_dir():
        return code / archive.stem
    with_source = [path.parent for path in code.glob("*/src") if path.is_dir()]
    return with_source[0] if len(with_source) == 1 else code


def _extract(archive: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            _refuse_hostile(archive, file.infolist())
            target.mkdir()
            file.extractall(target)
    except _UNREADABLE as error:
        raise LaunchError(f"{archive.name}: is no readable zip archive ({error})") from None


def _refuse_hostile(archive: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    seen: set[PurePosixPath] = set()
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise LaunchError(f"{archive.name}: member {member.filename!r} would be written outside its directory")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise LaunchError(f"{archive.name}: member {member.filename!r} is a symbolic link; put in the file itself")
        if path in seen and not member.is_dir():
            raise LaunchError(f"{archive.name}: member {member.filename!r} is in it twice")
        seen.add(path)
    size = sum(member.file_size for member in members)
    packed = max(1, archive.stat().st_size)
    if len(members) > _MAX_FILES or size > _MAX_BYTES:
        raise LaunchError(f"{archive.name}: unpacks to {len(members)} files and {size} bytes, which is too much")
    if size > _RATIO_MATTERS_ABOVE and size / packed > _MAX_RATIO:
        raise LaunchError(f"{archive.name}: unpacks to {size // packed} times its size; an archive bomb?")
