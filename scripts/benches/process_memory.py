"""Memory of processes, with what they share divided among those that share it (proportional set size)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psutil

from .workers import MIB


def memory_mib(pids: Iterable[int]) -> float:
    """Of all of them together; one that is gone has none."""
    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(pid).memory_full_info().pss
    return total / MIB


def family(pid: int) -> list[int]:
    """The process and all that it has started."""
    with contextlib.suppress(psutil.Error):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return [pid]
