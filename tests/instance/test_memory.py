"""The client memory limit, divided among the instances of a process."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pulsar_runtimes.instance.memory import DEFAULT_RECEIVER_QUEUE, MAX_MESSAGE_BYTES, MemoryBudget, Share
from pulsar_runtimes.instance.output import send_within
from tests.waiting import until

MIB = 1 << 20


def share_of(limit_bytes: int) -> Share:
    share = MemoryBudget(limit_bytes).open()
    assert share is not None
    return share


class Acquirer:
    """Acquires from a share in a thread of its own, as it may have to wait."""

    def __init__(self, share: Share, size: int) -> None:
        self.passed = threading.Event()
        self._share, self._size = share, size
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._share.acquire(self._size)
        self.passed.set()

    def is_waiting(self) -> bool:
        """Whether it has come to the wait and is held there."""
        return bool(self._share._room._waiters) and not self.passed.is_set()  # type: ignore[attr-defined]


# Shares


def test_without_a_limit_there_is_nothing_to_share() -> None:
    assert MemoryBudget().open() is None


def test_all_open_shares_are_equal_and_grow_when_one_closes() -> None:
    budget = MemoryBudget(90)
    shares = {}
    for name in "abc":
        share = budget.open()
        assert share is not None
        shares[name] = share
    assert [share._bytes for share in shares.values()] == [30, 30, 30]
    shares["b"].close()
    assert [shares[name]._bytes for name in "ac"] == [45, 45]
    shares["b"].close()
    assert [shares[name]._bytes for name in "ac"] == [45, 45]
    shares["a"].close()
    assert shares["c"]._bytes == 90


def test_a_share_is_told_when_its_size_changes_and_only_then() -> None:
    budget = MemoryBudget(100)
    first = budget.open()
    assert first is not None
    told: list[str] = []
    first.on_resize = lambda: told.append("first")
    second = budget.open()
    assert second is not None
    assert told == ["first"]
    second.close()
    assert told == ["first", "first"]
    first.resize(100)
    assert told == ["first", "first"]


# Input


@pytest.mark.parametrize(
    ("limit_mib", "wanted", "consumers", "queue"),
    [
        (1024, DEFAULT_RECEIVER_QUEUE, 1, 102),
        (1024, 50, 1, 50),
        (1024, DEFAULT_RECEIVER_QUEUE, 2, 51),
        (1024, DEFAULT_RECEIVER_QUEUE, 1000, 1),
        (100_000, DEFAULT_RECEIVER_QUEUE, 1, 1000),
        (20, DEFAULT_RECEIVER_QUEUE, 1, 2),
        (10, DEFAULT_RECEIVER_QUEUE, 1, 1),
        (9, DEFAULT_RECEIVER_QUEUE, 1, 1),
        (0, DEFAULT_RECEIVER_QUEUE, 1, 1),
        (1024, 0, 1, 1),
    ],
)
def test_the_receiver_queue_is_what_half_the_share_holds_of_the_largest_messages(
    limit_mib: int, wanted: int, consumers: int, queue: int
) -> None:
    assert share_of(limit_mib * MIB).receiver_queue(wanted, consumers) == queue
    assert queue == 1 or queue * consumers * MAX_MESSAGE_BYTES <= limit_mib * MIB // 2


# Output


def test_bytes_on_their_way_stay_within_half_the_share() -> None:
    share = share_of(200)
    share.acquire(60)
    share.acquire(40)
    assert share.in_flight_bytes == 100
    late = Acquirer(share, 1)
    until(late.is_waiting)
    assert share.in_flight_bytes == 100
    share.release(40)
    assert late.passed.wait(5)
    assert share.in_flight_bytes == 61


def test_one_message_always_passes_when_nothing_else_is_on_its_way() -> None:
    share = share_of(10)
    share.acquire(1000)
    second = Acquirer(share, 1000)
    until(second.is_waiting)
    share.release(1000)
    assert second.passed.wait(5)
    assert share.in_flight_bytes == 1000


def test_a_share_that_grows_lets_those_who_wait_pass() -> None:
    budget = MemoryBudget(200)
    share, other = budget.open(), budget.open()
    assert share is not None
    assert other is not None
    share.acquire(50)
    late = Acquirer(share, 50)
    until(late.is_waiting)
    other.close()
    assert late.passed.wait(5)


def test_bytes_are_given_back_when_the_broker_has_answered() -> None:
    share = share_of(200)
    answers: list[Any] = []
    told: list[tuple[Any, Any]] = []
    send_within(share, lambda message, sent: answers.append(sent), "m", 30, lambda *answer: told.append(answer))
    assert share.in_flight_bytes == 30
    answers[0]("result", "id")
    assert share.in_flight_bytes == 0
    assert told == [("result", "id")]


def test_bytes_are_given_back_when_the_client_refuses_the_message() -> None:
    share = share_of(200)

    def refuse(message: Any, sent: Any) -> None:
        raise ValueError("closed")

    with pytest.raises(ValueError, match="closed"):
        send_within(share, refuse, "m", 30, lambda *answer: None)
    assert share.in_flight_bytes == 0
