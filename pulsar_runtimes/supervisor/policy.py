"""How patient the supervisor is."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Delays before restarts grow by ``factor`` from ``initial_seconds`` up to ``max_seconds``.

    An instance that ran for ``up_seconds`` counts as up: its earlier failures are forgotten. After ``give_up_after``
    failures without such a run it is left alone. An instance of a new version that is started beside the old one is
    given up after ``give_up_update_after`` already: somebody waits for the news, and nothing is down meanwhile.
    ``jitter`` spreads restarts: each delay is made longer by up to that part of itself.
    """

    initial_seconds: float = 0.2
    factor: float = 2.0
    max_seconds: float = 60.0
    jitter: float = 0.2
    up_seconds: float = 10.0
    give_up_after: int = 8
    give_up_update_after: int = 3

    def for_update(self) -> RestartPolicy:
        """The policy for instances of a new version as long as the old one is there to come back to."""
        return replace(self, give_up_after=min(self.give_up_after, self.give_up_update_after))

    def delay(self, failures: int, salt: str) -> float:
        """Seconds to wait after the given number of failures in a row (from 1). Equal input, equal answer."""
        exponent = min(failures - 1, 64)
        plain = min(self.max_seconds, self.initial_seconds * self.factor**exponent)
        spread = zlib.crc32(f"{salt}:{failures}".encode()) / 0xFFFFFFFF
        return plain * (1 + self.jitter * spread)
