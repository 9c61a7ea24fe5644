"""Waits with an end, which tell what they saw last."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02


def until(look: Callable[[], T], wanted: Callable[[T], bool] = bool, *, seconds: float = 60.0) -> T:
    """The first of what ``look`` gives that is ``wanted``; ``AssertionError`` with the last one when it is late."""
    deadline = time.monotonic() + seconds
    while not wanted(seen := look()):
        assert time.monotonic() < deadline, f"not so within {seconds:g} s; last seen: {seen!r}"
        time.sleep(POLL_SECONDS)
    return seen


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number which is more than a zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
