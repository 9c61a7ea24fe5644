"""What an instance counts. Written by the thread that runs the function, read by anybody.

Plain attributes and no lock: each is written by one thread or under the interpreter's lock, and a reader may
see a count a moment old. That is what keeps counting out of the message path's cost.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pulsar_runtimes.model.observation import InstanceStats, MinuteStats

_KEPT_EXCEPTIONS = 10
_WINDOW_SECONDS = 60.0
_SHOWN_PER_WINDOW = 5


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """One exception of user code or of the instance: the traceback, and when (ms since the epoch)."""

    text: str
    ms_since_epoch: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The counters at one moment, or their growth over a window. Latency is a sum in milliseconds."""

    received: int = 0
    processed: int = 0
    user_exceptions: int = 0
    system_exceptions: int = 0
    latency_ms: float = 0.0
    latency_count: int = 0

    def since(self, base: Counts) -> Counts:
        return Counts(
            self.received - base.received,
            self.processed - base.processed,
            self.user_exceptions - base.user_exceptions,
            self.system_exceptions - base.system_exceptions,
            self.latency_ms - base.latency_ms,
            self.latency_count - base.latency_count,
        )

    @property
    def average_latency_ms(self) -> float:
        return self.latency_ms / self.latency_count if self.latency_count else 0.0


class Stats:
    """Counters of one instance since it started, and over a window of one minute that starts anew each minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.received = 0
        self.processed = 0
        self.user_exceptions = 0
        self.system_exceptions = 0
        self.latency_seconds = 0.0
        self.latency_count = 0
        self.last_invocation = 0.0
        self.started = time.time()
        self.latest_user_exceptions: deque[ExceptionInfo] = deque(maxlen=_KEPT_EXCEPTIONS)
        self.latest_system_exceptions: deque[ExceptionInfo] = deque(maxlen=_KEPT_EXCEPTIONS)
        self.user_metrics: dict[str, tuple[float, int]] = {}
        self._clock = clock
        self._base = Counts()
        self._window_start = clock()

    def total(self) -> Counts:
        """The counters since the start."""
        return Counts(
            self.received,
            self.processed,
            self.user_exceptions,
            self.system_exceptions,
            self.latency_seconds * 1000,
            self.latency_count,
        )

    def last_minute(self) -> Counts:
        """The counters since the running window began."""
        self.roll()
        return self.total().since(self._base)

    def roll(self) -> None:
        """Begin a new window when the running one is over. Somebody calls this at least once a minute."""
        now = self._clock()
        if now - self._window_start >= _WINDOW_SECONDS:
            self._base = self.total()
            self._window_start = now

    def reset(self) -> None:
        """Begin a new window now (``ResetMetrics`` of the control service)."""
        self._base = self.total()
        self._window_start = self._clock()

    def record_user_exception(self, error: BaseException) -> None:
        self.latest_user_exceptions.append(_info(error))  # first, so that whoever sees the count finds the text
        self.user_exceptions += 1

    def record_system_exception(self, error: BaseException | str) -> None:
        self.latest_system_exceptions.append(_info(error))
        self.system_exceptions += 1

    def record_metric(self, name: str, value: float) -> None:
        """Add one observation of a metric of the function's own."""
        total, count = self.user_metrics.get(name, (0.0, 0))
        self.user_metrics[name] = (total + value, count + 1)

    def snapshot(self) -> InstanceStats:
        """The counters and the latest exceptions as plain data."""
        total = self.total()
        return InstanceStats(
            received=total.received,
            processed=total.processed,
            user_exceptions=total.user_exceptions,
            system_exceptions=total.system_exceptions,
            average_latency_ms=total.average_latency_ms,
            last_invocation_ms=int(self.last_invocation * 1000),
            latest_user_exceptions=_pairs(self.latest_user_exceptions),
            latest_system_exceptions=_pairs(self.latest_system_exceptions),
            last_minute=self._minute(),
            user_metrics=self.named_metrics(),
        )

    def _minute(self) -> MinuteStats:
        minute = self.last_minute()
        return MinuteStats(
            minute.received,
            minute.processed,
            minute.user_exceptions,
            minute.system_exceptions,
            minute.average_latency_ms,
        )

    def named_metrics(self) -> dict[str, float]:
        """The metrics of the function's own: sum and count of each."""
        named: dict[str, float] = {}
        for name, (total, count) in tuple(self.user_metrics.items()):
            named |= {f"user_metric_{name}_sum": total, f"user_metric_{name}_count": count}
        return named

    def shown_exceptions(self, kept: deque[ExceptionInfo]) -> list[ExceptionInfo]:
        """The exceptions that may become gauges of their own: at most five of the last minute."""
        since = (time.time() - _WINDOW_SECONDS) * 1000
        return [info for info in tuple(kept) if info.ms_since_epoch >= since][:_SHOWN_PER_WINDOW]


def _pairs(kept: deque[ExceptionInfo]) -> tuple[tuple[str, int], ...]:
    return tuple((info.text, info.ms_since_epoch) for info in tuple(kept))


def _info(error: BaseException | str) -> ExceptionInfo:
    text = error if isinstance(error, str) else "".join(traceback.format_exception(error))
    return ExceptionInfo(text, int(time.time() * 1000))
