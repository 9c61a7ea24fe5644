"""Control groups of Linux, version 1 and 2: a group of the launcher's own, and in it one for each instance.

A group is made below the one the launcher stands in, so that whatever bounds the launcher bounds its instances too;
and only where that group is the launcher's to divide: at the root of what it sees, or delegated. Another program
that put us into a group may count on finding us there. An operator who knows better names a ``parent``.

The launcher holds a lock on its group. One that is not locked belongs to a launcher that died, and is removed by the
next one.
"""

from __future__ import annotations

import abc
import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

CONTROLLERS = ("memory", "cpu")
PERIOD_MICROSECONDS = 100_000

_PREFIX = "pfrun-launcher-"
_MAIN = "pfrun-main"
"""Where version 2 has processes moved to, as a group that hands controllers down must hold none itself."""

_LEAST_QUOTA_MICROSECONDS = 1000
_MOVES = 10
_REMOVE_SECONDS = 0.5
_LOOK_SECONDS = 0.01


class NoGroupError(Exception):
    """No group can be had in this hierarchy; the text says why, as a part of a sentence."""


class Hierarchy(abc.ABC):
    """The launcher's own group in one hierarchy, and what this version of cgroups calls things."""

    version: ClassVar[int]

    def __init__(self, place: Path, name: str, controllers: Sequence[str]) -> None:
        """Make the group below ``place`` and try it out. ``NoGroupError`` or ``OSError``, and nothing is left."""
        self.controllers = tuple(controllers)
        _sweep(place)
        self.directory, self._lock = _claim(place, f"{_PREFIX}{_safe(name)}")
        try:
            self._prepare()
            self._try_out()
        except BaseException:
            self.close()
            raise

    def describe(self) -> str:
        return f"cgroup v{self.version} at {self.directory} ({' and '.join(self.controllers)})"

    def make(self, instance: str) -> Path:
        """A new group for ``instance``. An empty one of the same name is taken over."""
        directory = self.directory / f"instance-{_safe(instance)}"
        if directory.is_dir():
            directory.rmdir()
        directory.mkdir()
        return directory

    def limit(self, group: Path, cpu: float, ram_bytes: int) -> None:
        if "memory" in self.controllers and ram_bytes > 0:
            self._limit_memory(group, ram_bytes)
        if "cpu" in self.controllers and cpu > 0:
            self._limit_cpu(group, max(_LEAST_QUOTA_MICROSECONDS, round(cpu * PERIOD_MICROSECONDS)))

    def enter(self, group: Path) -> None:
        """Move the calling process. What it has allocated so far stays on the account of its old group."""
        write(group / "cgroup.procs", "0")

    def remove(self, group: Path) -> bool:
        """Whether the group is gone. Waits a moment for processes that are about to end; may kill what is left."""
        if _removed(group):
            return True
        self._kill(group)
        deadline = time.monotonic() + _REMOVE_SECONDS
        while not (removed := _removed(group)) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        return removed

    def close(self) -> None:
        """Remove the launcher's group and what is left in it. Idempotent."""
        if self._lock < 0:
            return
        for group in _children(self.directory):
            self.remove(group)
        _removed(self.directory)
        os.close(self._lock)
        self._lock = -1

    def _try_out(self) -> None:
        group = self.make("trial")
        try:
            self.limit(group, cpu=0.01, ram_bytes=1 << 30)
        finally:
            self.remove(group)

    def _prepare(self) -> None:
        """Make the launcher's group fit to have groups below it."""

    def _kill(self, group: Path) -> None:
        """Kill what is in the group, where the kernel does that."""

    @abc.abstractmethod
    def _limit_memory(self, group: Path, ram_bytes: int) -> None: ...

    @abc.abstractmethod
    def _limit_cpu(self, group: Path, quota_microseconds: int) -> None: ...

    @abc.abstractmethod
    def oom_kills(self, group: Path) -> int:
        """How many processes of the group the kernel has killed because its memory was used up."""

    @abc.abstractmethod
    def peak_bytes(self, group: Path) -> int | None:
        """The most memory the group has used, ``None`` where the kernel does not tell."""


class Unified(Hierarchy):
    """Version 2: one hierarchy for all controllers."""

    version = 2

    def _prepare(self) -> None:
        write(self.directory / "cgroup.subtree_control", _enabling(self.controllers))

    def _kill(self, group: Path) -> None:
        with contextlib.suppress(OSError):  # not before Linux 5.14
            write(group / "cgroup.kill", "1")

    def _limit_memory(self, group: Path, ram_bytes: int) -> None:
        write(group / "memory.max", str(ram_bytes))
        _write_if_there(group / "memory.swap.max", "0")
        _write_if_there(group / "memory.oom.group", "1")

    def _limit_cpu(self, group: Path, quota_microseconds: int) -> None:
        write(group / "cpu.max", f"{quota_microseconds} {PERIOD_MICROSECONDS}")

    def oom_kills(self, group: Path) -> int:
        return _numbers(group / "memory.events").get("oom_kill", 0)

    def peak_bytes(self, group: Path) -> int | None:
        return _number(group / "memory.peak")


class Legacy(Hierarchy):
    """Version 1: one of several hierarchies, each with controllers of its own."""

    version = 1

    def _limit_memory(self, group: Path, ram_bytes: int) -> None:
        write(group / "memory.limit_in_bytes", str(ram_bytes))
        # Memory and swap together; never below the limit above, so it comes second.
        _write_if_there(group / "memory.memsw.limit_in_bytes", str(ram_bytes))

    def _limit_cpu(self, group: Path, quota_microseconds: int) -> None:
        write(group / "cpu.cfs_period_us", str(PERIOD_MICROSECONDS))
        try:
            write(group / "cpu.cfs_quota_us", str(quota_microseconds))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # More than a group above has, which this version refuses. That group's quota holds as it is.

    def oom_kills(self, group: Path) -> int:
        return _numbers(group / "memory.oom_control").get("oom_kill", 0)

    def peak_bytes(self, group: Path) -> int | None:
        return _number(group / "memory.max_usage_in_bytes")


def find_hierarchies(
    name: str, proc_root: Path, cgroup_root: Path, parent: str | None
) -> tuple[list[Hierarchy], dict[str, str]]:
    """What serves the controllers, version 2 before 1; and for each controller without one the reason why."""
    hierarchies: list[Hierarchy] = []
    try:
        own = _own_groups(proc_root)
    except OSError as error:
        return [], dict.fromkeys(CONTROLLERS, one_line(error))
    missing = dict.fromkeys(CONTROLLERS, "no hierarchy has it here")
    for controllers, path in own.items():
        wanted = [each for each in CONTROLLERS if each in (controllers or _unnamed(own))]
        if not wanted:
            continue
        try:
            if controllers:
                place, _ = _place(cgroup_root / wanted[0], path, parent)
                hierarchy: Hierarchy = Legacy(place, name, wanted)
            else:
                hierarchy = _unified(name, cgroup_root, path, parent, wanted)
        except (OSError, NoGroupError) as error:
            missing |= dict.fromkeys(wanted, one_line(error))
        else:
            hierarchies.append(hierarchy)
            for controller in hierarchy.controllers:
                del missing[controller]
    return hierarchies, missing


def _unnamed(own: Mapping[tuple[str, ...], str]) -> list[str]:
    """The controllers that are not with version 1, and so may be with version 2."""
    return [name for name in CONTROLLERS if not any(name in controllers for controllers in own)]


def _own_groups(proc_root: Path) -> dict[tuple[str, ...], str]:
    """Controllers to the path of this process's group in their hierarchy; version 2 names none."""
    lines = (proc_root / "self/cgroup").read_text().splitlines()
    parts = [line.split(":", 2) for line in lines]
    return {tuple(filter(None, controllers.split(","))): path for _, controllers, path in parts}


def _unified(name: str, cgroup_root: Path, path: str, parent: str | None, wanted: Sequence[str]) -> Unified:
    mount = cgroup_root if (cgroup_root / "cgroup.controllers").exists() else cgroup_root / "unified"
    place, may_move = _place(mount, path, parent)
    offered = (place / "cgroup.controllers").read_text().split()
    controllers = [controller for controller in wanted if controller in offered]
    if not controllers:
        raise NoGroupError(f"{place} has no controllers of {' and '.join(wanted)}")
    _hand_down(place, controllers, may_move)
    return Unified(place, name, controllers)


def _place(mount: Path, path: str, parent: str | None) -> tuple[Path, bool]:
    """The group to make ours in, and whether the processes in it may be moved aside."""
    if parent is not None:
        place = mount / parent.strip("/")
        place.mkdir(parents=True, exist_ok=True)
        return place, False
    if ".." in path.split("/"):
        raise NoGroupError(f"this process stands outside of what is mounted at {mount}")
    own = mount / path.strip("/")
    if own.name == _MAIN:  # an earlier launcher moved us here
        own = own.parent
    if not own.is_dir():
        raise NoGroupError(f"there is no {own}")
    if own == mount or _is_delegated(own):
        return own, True
    if own.stat().st_uid == os.geteuid() != 0:
        return own, False
    raise NoGroupError(f"{own} was made by another program and is not delegated (systemd: Delegate=yes)")


def _is_delegated(group: Path) -> bool:
    """Whether systemd, or whoever follows its custom, has marked the group as its processes' to divide."""
    for attribute in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(group, attribute) == b"1":
                return True
    return False


def _hand_down(place: Path, controllers: Sequence[str], may_move: bool) -> None:
    """Let groups below ``place`` have the controllers, for which it must hold no processes unless it is the root."""
    enabled = (place / "cgroup.subtree_control").read_text().split()
    if set(controllers) <= set(enabled):
        return
    try:
        write(place / "cgroup.subtree_control", _enabling(controllers))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        if not may_move:
            raise NoGroupError(f"{place} holds processes and so cannot hand its controllers down") from error
        _move_aside(place)
        write(place / "cgroup.subtree_control", _enabling(controllers))


def _move_aside(place: Path) -> None:
    main = place / _MAIN
    main.mkdir(exist_ok=True)
    for _ in range(_MOVES):  # one that forks while we read leaves a child behind
        pids = (place / "cgroup.procs").read_text().split()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                write(main / "cgroup.procs", pid)
    raise NoGroupError(f"the processes in {place} cannot be moved aside")


def _enabling(controllers: Sequence[str]) -> str:
    return " ".join(f"+{controller}" for controller in controllers)


def _claim(place: Path, name: str) -> tuple[Path, int]:
    """A new group that is locked by us. Another launcher may sweep it before it is, so look again."""
    for _ in range(_MOVES):
        directory = place / f"{name}-{os.urandom(4).hex()}"
        directory.mkdir()
        with contextlib.suppress(FileNotFoundError):
            lock = _locked(directory)
            if lock is not None and directory.is_dir():
                return directory, lock
            if lock is not None:
                os.close(lock)
    raise NoGroupError(f"{place}: a new group does not stay")


def _sweep(place: Path) -> None:
    """Remove what launchers that died have left, unless something still runs in it."""
    for directory in _children(place):
        if not directory.name.startswith(_PREFIX):
            continue
        with contextlib.suppress(OSError):  # it is another user's, or gone by now
            lock = _locked(directory)
            if lock is None:
                continue
            try:
                for group in _children(directory):
                    _removed(group)
                _removed(directory)
            finally:
                os.close(lock)


def _locked(directory: Path) -> int | None:
    """A descriptor that holds the lock of a group until it is closed; ``None`` when another process has it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _children(group: Path) -> list[Path]:
    try:
        return [path for path in group.iterdir() if path.is_dir()]
    except OSError:
        return []


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:100]


def write(path: Path, text: str) -> None:
    """Write to a control file, which is never created. The error names it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def _write_if_there(path: Path, text: str) -> None:
    """For what a kernel may have been built or started without."""
    with contextlib.suppress(FileNotFoundError):
        write(path, text)


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        text = path.read_text()
    except OSError:
        return
    for line in text.splitlines():
        yield line.split()


def _numbers(path: Path) -> Mapping[str, int]:
    return {line[0]: int(line[1]) for line in _lines(path) if len(line) == 2 and line[1].isdigit()}


def _number(path: Path) -> int | None:
    return next((int(line[0]) for line in _lines(path) if len(line) == 1 and line[0].isdigit()), None)


def one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
