"""How long to wait before what has failed is tried again."""

from __future__ import annotations

import random


class Backoff:
    """Waits that grow from a quarter of a second to ten seconds, each spread so that not all come back at once."""

    _FIRST, _LONGEST, _FACTOR = 0.25, 10.0, 2.0

    def __init__(self) -> None:
        self._seconds = self._FIRST

    def next(self, at_least: float = 0.0) -> float:
        """The next wait in seconds; ``at_least`` is what was asked for, and counts up to a minute."""
        seconds = self._seconds
        self._seconds = min(self._LONGEST, seconds * self._FACTOR)
        return max(min(at_least, 60.0), seconds * random.uniform(0.75, 1.25))

    def reset(self) -> None:
        self._seconds = self._FIRST
