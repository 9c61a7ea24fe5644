"""What an instance counts."""

from __future__ import annotations

import time

import pytest

from pulsar_runtimes.instance.stats import Counts, Stats
from pulsar_runtimes.testing import FakeClock


def raised(text: str) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_the_window_begins_anew_each_minute_and_the_total_goes_on(fake_clock: FakeClock) -> None:
    stats = Stats(fake_clock)
    stats.received, stats.processed = 5, 4
    fake_clock.advance(59.0)
    assert stats.last_minute() == Counts(received=5, processed=4)
    fake_clock.advance(1.0)
    assert stats.last_minute() == Counts()
    stats.received = 7
    assert stats.last_minute() == Counts(received=2)
    assert stats.total() == Counts(received=7, processed=4)


def test_a_reset_begins_a_window_at_once_and_leaves_the_total(fake_clock: FakeClock) -> None:
    stats = Stats(fake_clock)
    stats.received = 5
    fake_clock.advance(30.0)
    stats.reset()
    assert (stats.last_minute().received, stats.total().received) == (0, 5)
    stats.received = 6
    fake_clock.advance(59.0)
    assert stats.last_minute().received == 1
    fake_clock.advance(1.0)
    assert stats.last_minute().received == 0


def test_latency_is_an_average_in_milliseconds() -> None:
    stats = Stats()
    assert stats.total().average_latency_ms == 0.0
    stats.latency_seconds, stats.latency_count = 0.5, 4
    assert stats.total().average_latency_ms == 125.0
    assert stats.snapshot().average_latency_ms == 125.0


@pytest.mark.parametrize("kind", ["user", "system"])
def test_all_exceptions_are_counted_and_the_last_ten_are_kept(kind: str) -> None:
    stats = Stats()
    before = int(time.time() * 1000)
    record = stats.record_user_exception if kind == "user" else stats.record_system_exception
    for number in range(12):
        record(raised(f"number {number}"))
    seen = stats.snapshot()
    latest = seen.latest_user_exceptions if kind == "user" else seen.latest_system_exceptions
    assert (seen.user_exceptions, seen.system_exceptions) == ((12, 0) if kind == "user" else (0, 12))
    assert [text.splitlines()[-1] for text, _ in latest] == [f"ValueError: number {n}" for n in range(2, 12)]
    assert all(text.startswith("Traceback (most recent call last):\n") for text, _ in latest)
    assert all(before <= when <= time.time() * 1000 for _, when in latest)


def test_a_system_exception_may_be_a_text() -> None:
    stats = Stats()
    stats.record_system_exception("publishing failed")
    assert stats.snapshot().latest_system_exceptions[0][0] == "publishing failed"


def test_at_most_five_exceptions_of_the_last_minute_are_shown() -> None:
    stats = Stats()
    for number in range(7):
        stats.record_user_exception(raised(str(number)))
    assert len(stats.shown_exceptions(stats.latest_user_exceptions)) == 5
    old = stats.latest_user_exceptions[0].__class__("old", int(time.time() * 1000) - 61_000)
    stats.latest_system_exceptions.append(old)
    assert stats.shown_exceptions(stats.latest_system_exceptions) == []


def test_a_metric_of_the_function_is_summed_and_counted() -> None:
    stats = Stats()
    for value in (1.0, 2.5):
        stats.record_metric("size", value)
    stats.record_metric("other", 1.0)
    assert stats.user_metrics == {"size": (3.5, 2), "other": (1.0, 1)}
