"""Time that a test moves by hand."""

from __future__ import annotations


class FakeClock:
    """Stands in for ``time.monotonic``: calling it gives seconds, which pass only through :meth:`advance`.

    ``advance`` stands in for ``time.sleep`` as well: whoever sleeps finds the time gone at once.
    """

    def __init__(self, now: float = 1000.0) -> None:
        # Not 0, so that a comparison with a forgotten 0.0 shows.
        self._now = now

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass. ``ValueError`` when negative: a monotonic clock never goes back."""
        if seconds < 0:
            raise ValueError(f"a monotonic clock cannot go back (got {seconds} seconds)")
        self._now += seconds
