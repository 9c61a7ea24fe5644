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
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


def unpack_package(
    archive: Path, cache: Path, *, install_wheel: bool = False, pip_options: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Unpack ``archive`` below ``cache``, install what it asks for, and answer the directories for ``sys.path``.

    ``LaunchError`` for an archive that is broken or hostile, and with the installer's text when pip fails.
    """
    try:
        return _unpack(archive, cache, install_wheel, pip_options)
    except OSError as error:
        raise LaunchError(f"{archive.name}: cannot be unpacked to {cache} ({error})") from None


def _unpack(archive: Path, cache: Path, install_wheel: bool, pip_options: Sequence[str]) -> tuple[Path, ...]:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:24]
    name = f"{archive.stem}-{digest}{'-installed' if install_wheel else ''}"
    with _locked(cache, name):
        home = cache / name
        if not home.is_dir():
            fresh = Path(tempfile.mkdtemp(prefix=f".{archive.stem}-", dir=cache))
            try:
                _fill(fresh, archive, install_wheel, pip_options)
                fresh.rename(home)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
        return _search_path(home, archive)


@contextmanager
def _locked(cache: Path, name: str) -> Iterator[None]:
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(cache / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(home: Path, archive: Path, install_wheel: bool, pip_options: Sequence[str]) -> None:
    installed = home / "installed"
    if archive.suffix == ".whl" and install_wheel:
        _pip([*pip_options, str(archive)], installed)
        return
    code = home / "code"
    _extract(archive, code)
    if archive.suffix == ".whl":
        return
    base = _base(code, archive)
    requirements = base / "requirements.txt"
    if requirements.is_file():
        _pip([*pip_options, "-r", str(requirements)], installed)
    deps = base / "deps"
    wheels = sorted(str(path) for path in deps.iterdir() if path.is_file()) if deps.is_dir() else []
    if wheels:
        _pip(["--no-index", "--find-links", str(deps), *wheels], installed)


def _search_path(home: Path, archive: Path) -> tuple[Path, ...]:
    code = home / "code"
    paths = []
    if code.is_dir() and archive.suffix == ".whl":
        paths.append(code)
    elif code.is_dir():
        base = _base(code, archive)
        paths.append(base / "src" if (base / "src").is_dir() else base)
    if (home / "installed").is_dir():
        paths.append(home / "installed")
    return tuple(paths)


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


def _pip(arguments: Sequence[str], target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*command, "--target", str(target), *arguments], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise LaunchError(f"pip install {' '.join(arguments)} failed:\n{tail}")
