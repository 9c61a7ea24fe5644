"""How much memory a process holds."""

from __future__ import annotations

from pathlib import Path


def proportional_memory(pid: int) -> int | None:
    """The bytes of one process, where pages that it shares with others count in part. ``None`` when it is gone.

    Instances are forked from one process, so their plain sizes would count its pages many times. What the process
    has started itself is not counted.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)
