"""What a Python function needs installed: its ``requirements.txt``, and the wheels and sdists it brings along.

They go to a virtual environment for each *content*: the same needs, from the same repositories, for the same
interpreter, share one. The first instance makes it, others that start meanwhile wait for that, and all later ones
find it. One that nobody has used for 30 days is removed.

An environment is made at its final place, since none survives being moved (scripts, and projects installed as
editable, hold its path). It counts only from the moment its mark is renamed into it: what a killed installer has
left is without mark, and is thrown away.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pulsar_runtimes.model.errors import LaunchError

from . import installer
from .archive import Package, locked
from .import_path import add_dependencies
from .requirements import not_plain, read_requirements, without_credentials

_FORMAT = 1
"""Part of the hash: to be raised when environments are made in another way."""
_UNUSED_SECONDS = 30 * 24 * 3600.0
_SHOWN_LINES = 20
_MARK = "complete"
_THROWN_AWAY = ".gone-"
_NAME = re.compile(r"[0-9a-f]{32}")
_NOT_FOR_PIP = ("PYTHON", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
_BUNDLED = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>\d[A-Za-z0-9.!+_]*)(-[A-Za-z0-9._]+){3,4}\.whl"
    r"|(?P<sdist>[A-Za-z0-9][A-Za-z0-9._-]*)-(?P<sdist_version>\d[A-Za-z0-9.!+_]*)\.(tar\.gz|zip)"
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where an operator lets dependencies come from.

    ``anywhere`` is ``installUserCodeDependencies``: lines of ``requirements.txt`` that are more than names are
    taken, too, and a ``.whl`` package is installed with what it depends on. Without a ``repository`` it is pip's.
    """

    anywhere: bool = False
    repository: str = field(default="", repr=False)
    extra_repository: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Needs:
    """What the package named ``package``, whose bytes have ``digest``, wants installed."""

    package: str
    digest: str
    requirements: Path | None = None
    lines: tuple[str, ...] = ()
    deps: Path | None = None
    bundled: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()
    """The bundled files, as pip is asked for them."""

    def __bool__(self) -> bool:
        return bool(self.lines or self.bundled)


class Environment:
    """An environment in use: it is not removed until it is closed or the process ends."""

    def __init__(self, home: Path) -> None:
        self.site_packages = _site_packages(home)
        self._in_use = open(home / _MARK, "rb")  # noqa: SIM115 - open as long as it is in use
        fcntl.flock(self._in_use, fcntl.LOCK_SH)
        os.utime(home / _MARK)

    def make_importable(self, *, last: bool) -> None:
        """Put it on ``sys.path``; at the end (``last``) in an interpreter that other functions share."""
        if overruled := add_dependencies(self.site_packages, last=last):
            logging.getLogger(__name__).warning(
                "not used, as this interpreter has another version already: %s", ", ".join(overruled)
            )

    def close(self) -> None:
        self._in_use.close()


def needs_of_zip(package: Package) -> Needs:
    """What a zip asks for. ``LaunchError`` for a file in ``deps`` that is named like nothing pip takes."""
    places = [package.base / "requirements.txt", package.base / "src" / "requirements.txt"]
    requirements = next((place for place in places if place.is_file()), None)
    deps = package.base / "deps"
    files = sorted(deps.iterdir()) if deps.is_dir() else []
    bundled = [file for file in files if file.is_file() and file.name.endswith((".whl", ".tar.gz", ".zip"))]
    return Needs(
        package.file.name,
        package.digest,
        requirements,
        read_requirements(requirements) if requirements else (),
        deps,
        tuple(bundled),
        tuple(sorted({_pinned(file, package.file.name) for file in bundled})),
    )


def needs_of_wheel(wheel: Path) -> Needs:
    """A wheel that is installed with everything it depends on."""
    return Needs(wheel.name, _digest(wheel), bundled=(wheel,), names=(str(wheel.resolve()),))


def _pinned(file: Path, package: str) -> str:
    """``name==version``: pip takes what fits, where a wheel for each platform, or wheel and sdist, are there."""
    match = _BUNDLED.fullmatch(file.name)
    if match is None:
        raise LaunchError(f"{package}: deps/{file.name}: this is no name of a wheel or an sdist (name-version…)")
    return f"{match['name'] or match['sdist']}=={match['version'] or match['sdist_version']}"


def provide_environment(needs: Needs, sources: Sources, directory: Path) -> Environment:
    """The environment of ``needs`` below ``directory``; made, if there is none yet.

    ``LaunchError`` with the installer's last lines when it cannot be made; then nothing of it is left.
    """
    hostile = not_plain(needs.lines)
    if hostile and not sources.anywhere:
        shown = without_credentials(", ".join(map(repr, hostile)))
        raise LaunchError(
            f"{needs.package}: requirements.txt may name distributions and versions only, "
            f"unless installUserCodeDependencies is on (got {shown})"
        )
    home = directory / _environment_name(needs, sources, by_package=bool(hostile))
    try:
        with locked(directory, home.name) as lock:
            if not (home / _MARK).is_file():
                _make(home, needs, sources, lock)
            environment = Environment(home)
    except OSError as error:
        raise LaunchError(f"{needs.package}: its dependencies cannot be installed to {directory} ({error})") from None
    return environment


def _environment_name(needs: Needs, sources: Sources, *, by_package: bool) -> str:
    """A hash of all that decides what gets installed.

    A line that is more than a name may mean any file of the package: then its bytes are part of it (``by_package``).
    """
    content = {
        "format": _FORMAT,
        "interpreter": [sys.implementation.cache_tag, sys.version, sysconfig.get_platform()],
        "requirements": needs.lines,
        "bundled": [(file.name, _digest(file)) for file in needs.bundled],
        "repositories": [sources.repository, sources.extra_repository],
        "package": needs.digest if by_package else "",
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _make(home: Path, needs: Needs, sources: Sources, lock: int) -> None:
    """``lock`` is held by the installer as well: one that outlives us for a moment keeps others away."""
    begun = time.monotonic()
    if home.exists():
        _throw_away(home)
    try:
        venv.EnvBuilder(symlinks=True).create(home)
        _install(home, needs, sources, lock)
        fresh = home / f".{_MARK}"
        fresh.touch()
        fresh.rename(home / _MARK)
    except BaseException:
        _throw_away(home)
        raise
    logging.getLogger(__name__).info("%s: dependencies installed in %.1f s", needs.package, time.monotonic() - begun)
    remove_unused(home.parent)


def _install(home: Path, needs: Needs, sources: Sources, lock: int) -> None:
    """From the bundle alone when that is enough, so that no repository can put in something of the same name."""
    # Where lines have hashes, pip wants one for everything: all that is needed is named there already.
    wanted = [] if any("--hash=" in line or "--require-hashes" in line for line in needs.lines) else list(needs.names)
    if needs.lines and needs.requirements:
        wanted = ["-r", str(_requirements_file(home, needs, sources)), *wanted]
    local = ["--find-links", str(needs.deps)] if needs.bundled and needs.deps else []
    pip = _Pip(home, lock)
    if needs.bundled and not pip.run(["--isolated", "install", "--no-index", *local, *wanted], needs, {}):
        return
    repositories = {"PIP_INDEX_URL": sources.repository, "PIP_EXTRA_INDEX_URL": sources.extra_repository}
    said = pip.run(["install", *local, *wanted], needs, {name: url for name, url in repositories.items() if url})
    if said:
        lines = without_credentials(said).strip().splitlines()[-_SHOWN_LINES:]
        reason = next((line for line in reversed(lines) if line.lower().startswith("error: ")), lines[-1])
        shown = "\n".join(lines)
        raise LaunchError(f"{needs.package}: its dependencies cannot be installed: {reason}\n{shown}")


def _requirements_file(home: Path, needs: Needs, sources: Sources) -> Path:
    """The user's file, or a copy of what was looked at: pip has more ways to read a file than we have."""
    assert needs.requirements is not None
    if sources.anywhere:
        return needs.requirements
    file = home / "requirements.txt"
    file.write_text("".join(f"{line}\n" for line in needs.lines), encoding="utf-8")
    return file


class _Pip:
    """pip, run by the environment's interpreter; it dies with the thread that waits for it."""

    def __init__(self, home: Path, lock: int) -> None:
        self._lock = lock
        self._scratch = home / "tmp"
        self._python = str(home / "bin" / "python")
        self._program = self._find()

    def _find(self) -> str:
        """pfrun's own pip, if it has one. To put one into each environment costs 3 seconds and 26 megabytes."""
        spec = importlib.util.find_spec("pip")
        runner = Path(spec.origin).with_name("__pip-runner__.py") if spec and spec.origin else None
        if runner and runner.is_file():
            return str(runner)
        done = subprocess.run([self._python, "-I", "-m", "ensurepip"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise LaunchError("dependencies cannot be installed: this Python has neither pip nor ensurepip")
        return "pip"

    def run(self, arguments: Sequence[str], needs: Needs, more: dict[str, str]) -> str:
        """Nothing when all went well, else what it said. URLs go by the environment, which others cannot read."""
        self._scratch.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_PIP)}
        done = subprocess.run(
            [self._python, "-I", installer.__file__, str(os.getpid()), self._program, *self._common(arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd=needs.requirements.parent if needs.requirements else None,
            env=kept | {"TMPDIR": str(self._scratch), "PIP_USER": "0"} | more,
            pass_fds=(self._lock,),
        )
        shutil.rmtree(self._scratch, ignore_errors=True)
        return (done.stdout.strip() or f"pip ended with {done.returncode}") if done.returncode else ""

    @staticmethod
    def _common(arguments: Sequence[str]) -> list[str]:
        return ["--no-input", "--disable-pip-version-check", "--quiet", "--no-color", *arguments]


def remove_unused(directory: Path, *, older_than_seconds: float = _UNUSED_SECONDS) -> None:
    """Remove environments that no instance has, and none has had for so long; and what is left of half-made ones."""
    for home in directory.iterdir():
        if home.name.startswith(_THROWN_AWAY):
            shutil.rmtree(home, ignore_errors=True)
        elif _NAME.fullmatch(home.name):
            # Somebody makes or uses it, or removes it at the same time as we do.
            with contextlib.suppress(OSError), locked(directory, home.name, wait=False):
                if _is_unused(home / _MARK, older_than_seconds):
                    _throw_away(home)


def _is_unused(mark: Path, older_than_seconds: float) -> bool:
    try:
        with open(mark, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return time.time() - mark.stat().st_mtime > older_than_seconds
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False


def _throw_away(home: Path) -> None:
    """At once out of the way: what may still be written to it by a dying program does no harm any more."""
    bin_ = tempfile.mkdtemp(prefix=_THROWN_AWAY, dir=home.parent)
    with contextlib.suppress(FileNotFoundError):
        home.rename(bin_)
    shutil.rmtree(bin_, ignore_errors=True)


def _site_packages(home: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(home)}))


def _digest(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
