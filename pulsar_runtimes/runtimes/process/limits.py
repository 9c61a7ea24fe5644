"""Holding an instance to its function's cpu and ram: by control groups where they can be had, else by rlimits.

For a process without threads that forks: it finds a ``Limiter`` once, opens a ``Limit`` before each fork, and lets
the child enter it before anything else. Standard library only; the launcher imports it before it preloads.

*Why ``RLIMIT_DATA``.* ``RLIMIT_AS`` counts addresses, also those that are only reserved: 64 MiB for each thread that
allocates (the C library), gigabytes at the start of a Go program or a JVM. ``RLIMIT_DATA`` counts private memory that
may be written, touched or not, which is near to what a function uses. A thread's stack counts in full, though little
of it is ever touched, so there is an allowance for those of an instance's own threads. A JVM reserves
for its threads and code beside the heap; a limit of just the heap, which ``-Xmx`` holds already, would end it, so it
gets none.
"""

from __future__ import annotations

import abc
import resource
from collections.abc import Sequence
from pathlib import Path

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import Language
from pulsar_runtimes.runtimes.process.cgroup import Hierarchy, find_hierarchies, one_line


class LimitError(PfrunError):
    """An instance cannot be held to its resources; one line that says why."""


class Limit(abc.ABC):
    """What one instance is held to. Opened before its process is there, closed when that has ended."""

    @abc.abstractmethod
    def enter(self, language: Language = Language.PYTHON) -> None:
        """Put the calling process, and all that it will start, under the limit. ``LimitError`` when that fails."""

    def oom_kills(self) -> int:
        """How many of its processes the kernel killed for want of memory; 0 is none. Stays after ``close``.

        Not exact above 0: version 2 counts the first of a whole group twice.
        """
        return 0

    def peak_bytes(self) -> int | None:
        """The most memory it has used, ``None`` when nobody counts. Stays after ``close``."""
        return None

    def close(self) -> None:
        """Let go of what the limit holds; what still runs under it may be killed. Idempotent, raises nothing."""


class Limiter(abc.ABC):
    """Makes limits, in the one way that works here."""

    @abc.abstractmethod
    def describe(self) -> str:
        """One line: what holds an instance here, and what does not."""

    @abc.abstractmethod
    def open(self, instance: str, cpu: float, ram_bytes: int) -> Limit:
        """A limit to be entered. 0 is no limit of that kind. ``LimitError`` when there can be none."""

    def close(self) -> None:
        """Let go of everything, when no instance is left. Idempotent, raises nothing."""


def find_limiter(
    name: str,
    proc_root: Path = Path("/proc"),
    cgroup_root: Path = Path("/sys/fs/cgroup"),
    *,
    parent: str | None = None,
) -> Limiter:
    """The limiter for this process, found out by trying. Never raises: what cannot be had, ``describe`` tells.

    ``name`` becomes a part of the names of groups. ``parent``, a path in each hierarchy such as ``/pfrun``, is where
    groups are made instead of below the one this process is in.
    """
    hierarchies, missing = find_hierarchies(name, proc_root, cgroup_root, parent)
    return CgroupLimiter(hierarchies, missing) if hierarchies else RlimitLimiter(missing)


class RlimitLimiter(Limiter):
    """Nothing but the limits of a process. ``missing`` says of each controller why there is no group for it."""

    def __init__(self, missing: dict[str, str]) -> None:
        self._missing = missing

    def describe(self) -> str:
        why = "; ".join(dict.fromkeys(self._missing.values()))
        return f"rlimits: {_RLIMIT_MEMORY}; cpu is not bounded (no cgroup may be created: {why})"

    def open(self, instance: str, cpu: float, ram_bytes: int) -> Limit:
        return RlimitLimit(ram_bytes)


STACKS_BYTES = 128 << 20
"""14 threads of an idle Python instance with 8 MiB each, and a little more (measured: 132 MiB of data in all)."""

_RLIMIT_MEMORY = "memory by RLIMIT_DATA of each process, not for Java"


class RlimitLimit(Limit):
    def __init__(self, ram_bytes: int) -> None:
        self._ram_bytes = ram_bytes

    def enter(self, language: Language = Language.PYTHON) -> None:
        if self._ram_bytes <= 0 or language is Language.JAVA:
            return
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = self._ram_bytes + STACKS_BYTES
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        except (OSError, ValueError, OverflowError) as error:
            raise LimitError(f"RLIMIT_DATA cannot be set to {most}: {error}") from error


class CgroupLimiter(Limiter):
    """Groups in every hierarchy that was found; memory without one is left to rlimits."""

    def __init__(self, hierarchies: Sequence[Hierarchy], missing: dict[str, str]) -> None:
        self._hierarchies = hierarchies
        self._missing = missing

    def describe(self) -> str:
        parts = [hierarchy.describe() for hierarchy in self._hierarchies]
        for controller, why in self._missing.items():
            instead = f"rlimits: {_RLIMIT_MEMORY}" if controller == "memory" else f"{controller} is not bounded"
            parts.append(f"{instead} (no cgroup may be created: {why})")
        return "; ".join(parts)

    def open(self, instance: str, cpu: float, ram_bytes: int) -> Limit:
        limit = CgroupLimit(RlimitLimit(ram_bytes if "memory" in self._missing else 0))
        try:
            for hierarchy in self._hierarchies:
                limit.add(hierarchy, instance, cpu, ram_bytes)
        except OSError as error:
            limit.close()
            raise LimitError(f"no cgroup can be made for {instance}: {one_line(error)}") from error
        return limit

    def close(self) -> None:
        for hierarchy in self._hierarchies:
            hierarchy.close()


class CgroupLimit(Limit):
    """One group in each hierarchy."""

    def __init__(self, beside: RlimitLimit) -> None:
        self._beside = beside
        self._groups: list[tuple[Hierarchy, Path]] = []
        self._oom_kills = 0
        self._peak_bytes: int | None = None

    def add(self, hierarchy: Hierarchy, instance: str, cpu: float, ram_bytes: int) -> None:
        group = hierarchy.make(instance)
        self._groups.append((hierarchy, group))
        hierarchy.limit(group, cpu, ram_bytes)

    def enter(self, language: Language = Language.PYTHON) -> None:
        try:
            for hierarchy, group in self._groups:
                hierarchy.enter(group)
        except OSError as error:
            raise LimitError(f"its cgroup cannot be entered: {one_line(error)}") from error
        self._beside.enter(language)

    def oom_kills(self) -> int:
        self._look()
        return self._oom_kills

    def peak_bytes(self) -> int | None:
        self._look()
        return self._peak_bytes

    def close(self) -> None:
        self._look()
        groups, self._groups = self._groups, []
        for hierarchy, group in groups:
            hierarchy.remove(group)  # one that stays goes with the launcher's group

    def _look(self) -> None:
        for hierarchy, group in self._groups:
            if "memory" in hierarchy.controllers:
                self._oom_kills = hierarchy.oom_kills(group)
                self._peak_bytes = hierarchy.peak_bytes(group)
