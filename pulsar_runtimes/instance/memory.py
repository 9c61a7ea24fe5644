"""The client memory limit, held by what instances prefetch and have in flight.

The Python binding of the Pulsar client has no memory setting, so the bound is kept from outside. Half of an
instance's share is for input: the broker may send ahead at most as many messages as fit in there when each is
as large as a message can be. The other half is for output: a message is only handed to the producer while the
bytes that wait for the broker's answer stay within it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

MAX_MESSAGE_BYTES = 5 << 20
"""The largest message a broker takes unless it was configured otherwise (``maxMessageSize``)."""

DEFAULT_RECEIVER_QUEUE = 1000
"""How many messages the client asks for ahead when nobody says (the library's default)."""


class MemoryBudget:
    """The bytes that all Pulsar clients of this process may hold together; ``None`` is no bound.

    Instances open a :class:`Share` each and close it when they end. All open shares are equal, so opening one
    makes the others smaller, at once for output and at the next :attr:`Share.receiver_queue` for input.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._shares: list[Share] = []

    def open(self) -> Share | None:
        """One more share, or ``None`` where there is no limit to share."""
        if self.limit_bytes is None:
            return None
        with self._lock:
            share = Share(self)
            self._shares.append(share)
            self._divide()
        return share

    def close(self, share: Share) -> None:
        with self._lock:
            if share in self._shares:
                self._shares.remove(share)
                self._divide()

    def _divide(self) -> None:
        assert self.limit_bytes is not None
        for share in self._shares:
            share.resize(self.limit_bytes // len(self._shares))


class Share:
    """One instance's part of a :class:`MemoryBudget`. ``on_resize`` is called when its size has changed."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._bytes = 0
        self._in_flight = 0
        self._room = threading.Condition()
        self.on_resize: Callable[[], None] = lambda: None

    def resize(self, share_bytes: int) -> None:
        with self._room:
            changed = share_bytes != self._bytes
            self._bytes = share_bytes
            self._room.notify_all()
        if changed:
            self.on_resize()

    def receiver_queue(self, wanted: int, consumers: int = 1) -> int:
        """How many messages each of ``consumers`` may ask for ahead: ``wanted`` or fewer, but one at least."""
        return max(1, min(wanted, self._bytes // 2 // MAX_MESSAGE_BYTES // consumers))

    @property
    def in_flight_bytes(self) -> int:
        return self._in_flight

    def acquire(self, size: int) -> None:
        """Wait until ``size`` more bytes of output fit. One message always fits when nothing else is there."""
        with self._room:
            while self._in_flight and self._in_flight + size > self._bytes // 2:
                self._room.wait()
            self._in_flight += size

    def release(self, size: int) -> None:
        """The broker has answered for ``size`` bytes."""
        with self._room:
            self._in_flight -= size
            self._room.notify_all()

    def close(self) -> None:
        self._budget.close(self)
