"""How much memory this process may use at the most: the smallest limit of its cgroups, else the machine's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

_LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")


def memory_ceiling_bytes(root: Path = Path("/")) -> int:
    """The ceiling in bytes. Reads cgroup v1 and v2, and every group above the process's own.

    ``root`` is where ``proc`` and ``sys`` are found; tests give another.
    """
    total: int = psutil.virtual_memory().total
    return min([total, *_cgroup_limits(root)])


def _cgroup_limits(root: Path) -> Iterator[int]:
    for directory in _cgroup_directories(root):
        for name in _LIMIT_FILES:
            try:
                text = (directory / name).read_text().strip()
            except OSError:
                continue
            if text.isdigit():  # "max" is no limit, and so is version 1's huge number
                yield int(text)


def _cgroup_directories(root: Path) -> Iterator[Path]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mounts = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif "memory" in controllers.split(","):
            mounts = [root / "sys/fs/cgroup/memory"]
        else:
            continue
        for mount in mounts:
            yield from _with_parents(mount, path)


def _with_parents(mount: Path, path: str) -> Iterator[Path]:
    parts = [part for part in path.split("/") if part]
    for length in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:length])
