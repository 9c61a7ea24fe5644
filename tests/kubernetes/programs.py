"""The programs of a Kubernetes, built once from Go modules and kept in the user's cache.

``control`` is the control plane; ``nodes`` is kwok, which plays nodes and lets their pods become ready without running
anything. A node on which pods run needs ``kubelet``, and ``pause``, the first container of each pod. A test run needs
nothing of it unless a test is marked ``kubernetes``. The first build takes a quarter of an hour on two cores, one that
finds Go's own cache under a minute.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.standalone.distribution import UnavailableError, cache_directory, find_program, locked

VERSION = "1.34.4"
"""Of Kubernetes, as ``control/go.mod`` has it."""

BUILD_SECONDS = 5400.0
_CONTROL_PLANE = ("control", "nodes")
_NODE = ("kubelet", "kubelet/pause")

_SOURCES = Path(__file__).parent
_MODULE = "k8s.io/component-base/version"
_MINOR = VERSION.split(".")[1]
_FLAGS = (
    "-s",
    "-w",
    # What the API server says of itself; its own build sets these, too.
    *(f"-X={_MODULE}.{name}={value}" for name, value in (
        ("gitVersion", f"v{VERSION}"),
        ("gitMajor", "1"),
        ("gitMinor", _MINOR),
        ("gitTreeState", "clean"),
    )),
)  # fmt: skip
_TAIL_LINES = 10


@dataclass(frozen=True)
class Programs:
    """Where the programs are."""

    directory: Path

    @property
    def control(self) -> Path:
        return self.directory / "control"

    @property
    def nodes(self) -> Path:
        return self.directory / "nodes"


@dataclass(frozen=True)
class NodePrograms:
    """Where those of a node are on which pods run."""

    directory: Path

    @property
    def kubelet(self) -> Path:
        return self.directory / "kubelet"

    @property
    def pause(self) -> Path:
        return self.directory / "pause"


def home(environment: Mapping[str, str]) -> Path:
    """The directory that the programs have, or will have. It exists only when it is complete."""
    return _home("kubernetes", _CONTROL_PLANE, environment)


def build(environment: Mapping[str, str]) -> Programs:
    """The programs, built when they are not there yet, with what is left of the machine's time.

    Any number of processes may call this at once: one builds, the others wait. ``UnavailableError`` without Go, or when
    it cannot build them, such as without a module proxy.
    """
    return Programs(_build(home(environment), _CONTROL_PLANE, environment))


def build_node(environment: Mapping[str, str]) -> NodePrograms:
    """The same for the programs of a node on which pods run."""
    return NodePrograms(_build(_home("kubelet", _NODE, environment), _NODE, environment))


def _home(title: str, names: Sequence[str], environment: Mapping[str, str]) -> Path:
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for source in sorted(path for name in names for path in (_SOURCES / name).glob("*.*")):
        digest.update(f"\0{source.relative_to(_SOURCES)}\0".encode() + source.read_bytes())
    return cache_directory(environment) / f"{title}-{VERSION}-{digest.hexdigest()[:12]}"


def _build(target: Path, names: Sequence[str], environment: Mapping[str, str]) -> Path:
    if target.is_dir():
        return target
    go = find_program("go", environment)
    if go is None:
        raise UnavailableError("no go on the PATH, which builds Kubernetes for tests; 1.26 or newer is needed")
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(f"{target.name}.lock")):
        if not target.is_dir():
            _build_into(target, names, go, environment)
    return target


def _build_into(target: Path, names: Sequence[str], go: str, environment: Mapping[str, str]) -> None:
    """Make ``target``, all at once. The lock is held."""
    prefix = f"{target.name}.partial-"
    for left_over in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_over)
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        for name in names:
            command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", " ".join(_FLAGS)]
            output = partial / Path(name).name
            _run([*command, "-o", str(output), "."], _SOURCES / name, {**environment, "CGO_ENABLED": "0"})
        partial.chmod(0o755)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _run(command: list[str], directory: Path, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_SECONDS,
            preexec_fn=lambda: os.nice(19),
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{command[0]}: not done within {BUILD_SECONDS:g} s") from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.strip().splitlines()[-_TAIL_LINES:])
        raise UnavailableError(
            f"{command[0]} in {directory.name}: exit code {done.returncode}; its last lines:\n{tail}"
        )
