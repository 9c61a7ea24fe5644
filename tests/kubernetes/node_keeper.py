"""Keeps what a node consists of on this machine, and leaves nothing of it: namespaces, a link, control groups.

A program of its own, with the standard library only. ``node_keeper.py keep [--with-caller]`` makes namespaces for the
network, the mounts and the processes of one node, connects them by a link, prints where the node is as one line of
JSON, and waits. On SIGTERM, at the end of what the node's first process is, or with ``--with-caller`` at the end of
standard input, it ends everything in these namespaces and takes away what outlives them.

Why a process: whoever runs tests may be killed, and the kernel then takes away all but the control groups. When this
one is killed, too, the next keeper of the same number does that.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

NUMBERS = range(16, 250)
"""A node's number is in its addresses, below 198.18.0.0/16, which is set aside for tests of networks."""

PREFIX = "pfrun-node"
"""Its link and its control groups are called so, and by its number."""

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_REMOVE_SECONDS = 30.0
_POLL_SECONDS = 0.05
_CABLE = "cable"

# The kubelet writes these for the whole machine, whoever else is on it. It gets copies.
_KERNEL_SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def keep(directory: Path, *, with_caller: bool) -> int:
    """Until it is over. ``directory`` is what the node has for its files; 1 when there can be none."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(each, lambda number, frame: None)
    signal.set_wakeup_fd(tell)
    # All of these end with this process, also when it is killed.
    first = subprocess.Popen(
        [
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--propagation", "private"),
            *("--mount-proc", sys.executable, "-I", "-S", __file__, "begin", str(directory)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    number: int | None = None
    try:
        assert first.stdout is not None
        snapshotter = first.stdout.readline().decode().strip()
        if not snapshotter:
            raise OSError("the node's first process ended at once")
        process = int(Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()[0])
        number = _connect(process)
        _make_control_groups(f"{PREFIX}{number}")
        print(json.dumps({"number": number, "process": process, "snapshotter": snapshotter}), flush=True)
        os.close(1)
        _wait([told, *([0] if with_caller else [])], first)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        first.kill()
        first.wait()
        if number is not None:
            tidy(number)
    return 0


def _wait(descriptors: Sequence[int], first: subprocess.Popen[bytes]) -> None:
    """Until a signal other than that of a child that goes on, or the end of standard input."""
    while True:
        ready, _, _ = select.select(descriptors, [], [])
        for descriptor in ready:
            content = os.read(descriptor, 64)
            if not content or set(content) - {signal.SIGCHLD} or first.poll() is not None:
                return


def tidy(number: int) -> None:
    """Take away what is left of the node of that number, whose processes are dead or dying. Idempotent."""
    _run("ip", "link", "delete", f"{PREFIX}{number}", may_fail=True)
    deadline = time.monotonic() + _REMOVE_SECONDS
    while left := [group for group in _groups(f"{PREFIX}{number}") if not _remove_tree(group)]:
        if time.monotonic() > deadline:
            raise OSError(f"control groups are left: {', '.join(map(str, left))}")
        time.sleep(_POLL_SECONDS)


def _connect(process: int) -> int:
    """The number of a node that there was not yet; its link is made, which is what keeps others from that number."""
    error = OSError("there are too many nodes on this machine")
    for number in NUMBERS:
        link = f"{PREFIX}{number}"
        if Path(f"/sys/class/net/{link}").exists():
            continue
        try:
            _run(*f"ip link add {link} type veth peer name {_CABLE} netns {process}".split())
        except OSError as failed:
            error = failed
            if "exists" in str(failed):
                continue
            raise
        inside = f"nsenter --net --target {process} ip"
        for line in (
            f"ip address add 198.18.{number}.1/30 dev {link}",
            f"ip link set {link} up",
            f"{inside} link set lo up",
            f"{inside} address add 198.18.{number}.2/30 dev {_CABLE}",
            f"{inside} link set {_CABLE} up",
            f"{inside} route add default via 198.18.{number}.1",
            f"ip route add 198.18.{number}.128/25 via 198.18.{number}.2",
        ):
            _run(*line.split())
        _tidy_groups_of_the_dead(link)
        return number
    raise error


def _tidy_groups_of_the_dead(name: str) -> None:
    """A keeper of this number was killed once, and its node with it."""
    for group in _groups(name):
        _remove_tree(group)


def _hierarchies() -> Iterator[Path]:
    for place in (_CONTROL_GROUPS, *sorted(_CONTROL_GROUPS.iterdir())):
        if (place / "cgroup.procs").exists() and (place == _CONTROL_GROUPS or place.is_mount()):
            yield place


def _groups(name: str) -> list[Path]:
    return [place / name for place in _hierarchies() if (place / name).is_dir()]


def _make_control_groups(name: str) -> None:
    """One in each hierarchy. In version 2 every controller is handed down; 1 has two settings that begin empty."""
    for place in _hierarchies():
        group = place / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (place / setting).exists() and (group / setting).exists():
                (group / setting).write_text((place / setting).read_text())
        if place == _CONTROL_GROUPS:
            for controller in (place / "cgroup.controllers").read_text().split():
                for each in (place, group):
                    (each / "cgroup.subtree_control").write_text(f"+{controller}")


def _remove_tree(group: Path) -> bool:
    """Whether it is gone. Its processes are killed: nobody else puts any there."""
    for directory, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            for process in Path(directory, "cgroup.procs").read_text().split():
                if process != "0":
                    os.kill(int(process), signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path(directory).rmdir()
    return not group.exists()


def begin(directory: Path) -> None:
    """As the first process of the node: give it directories of its own, then reap whoever is left by his parent."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for inside, outside in (("/var/lib", directory / "lib"), ("/var/log", directory / "log")):
        outside.mkdir(parents=True, exist_ok=True)
        _run("mount", "--bind", str(outside), inside)
    _run("mount", "-t", "tmpfs", "tmpfs", "/run")
    for setting in _KERNEL_SETTINGS:
        place = Path("/proc/sys", setting)
        copy = Path("/run", setting.replace("/", "-"))
        if place.exists():
            copy.write_text(place.read_text())
            _run("mount", "--bind", str(copy), str(place))
    print(_snapshotter(directory), flush=True)
    os.close(1)
    while True:
        signal.sigwait({signal.SIGCHLD})
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _snapshotter(directory: Path) -> str:
    """How containerd lays the layers of images over each other here; an overlay on an overlay is refused."""
    base = directory / "overlay"
    for name in ("lower", "upper", "work", "all"):
        (base / name).mkdir(parents=True, exist_ok=True)
    options = ",".join(f"{name}dir={base / name}" for name in ("lower", "upper", "work"))
    try:
        _run("mount", "-t", "overlay", "overlay", "-o", options, str(base / "all"))
    except OSError:
        return "native"
    _run("umount", str(base / "all"))
    return "overlayfs"


def _run(*command: str, may_fail: bool = False) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 and not may_fail:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def main(arguments: Sequence[str]) -> int:
    """What the module says."""
    match arguments:
        case ["keep", directory, *options]:
            return keep(Path(directory), with_caller="--with-caller" in options)
        case ["begin", directory]:
            begin(Path(directory))
        case _:
            print("usage: node_keeper.py keep DIR [--with-caller]", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
