"""The contract of a state store: values and counters under the keys of a function.

A third party writes one :class:`StateStore` and registers it under the entry-point group
``pulsar_runtimes.state_stores``, by the scheme of the URLs that lead to it. The tests of the contract are
``pulsar_runtimes.testing.StateStoreConformance``. Source: BookKeeper's table service, as functions of Apache Pulsar
4.0.8 use it.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, Self

from pulsar_runtimes.model.names import FunctionKey

ENTRY_POINT_GROUP = "pulsar_runtimes.state_stores"

_BITS = 64
COUNTER_BYTES = _BITS // 8
LEAST_COUNTER, MOST_COUNTER = -(1 << (_BITS - 1)), (1 << (_BITS - 1)) - 1


@dataclass(frozen=True, slots=True)
class StateValue:
    """What stands under a key. ``version`` is 0 when it is written first, and one more at each later write.

    ``is_counter`` tells that it was made by increments; ``value`` is then the number in :data:`COUNTER_BYTES` bytes,
    big endian.
    """

    value: bytes
    version: int
    is_counter: bool = False

    @property
    def number(self) -> int | None:
        """The value read as a counter; ``None`` when it has not the size of one."""
        return parse_counter(self.value) if len(self.value) == COUNTER_BYTES else None


def counter_bytes(number: int) -> bytes:
    """How a counter is stored. One that leaves the 64 bits comes back at the other end."""
    return (number & ((1 << _BITS) - 1)).to_bytes(COUNTER_BYTES, "big")


def parse_counter(value: bytes) -> int:
    """The inverse of :func:`counter_bytes`."""
    return int.from_bytes(value, "big", signed=True)


class StateStore(abc.ABC):
    """The state of all functions in one place. All methods may be called from any thread.

    A write is there for every other instance when the call returns, and outlives the process that made it. Calls
    raise ``StateError`` with the reason, and then the state is as it was, or as the call would have made it. A key is
    a counter or a value until it is deleted: ``put`` on a counter and ``increment`` on a value are ``StateKindError``.
    """

    scheme: ClassVar[str]
    """What the URLs begin with that lead to such a store; the name of its entry point."""

    @classmethod
    @abc.abstractmethod
    def from_url(cls, url: str) -> Self:
        """The store that ``url`` names. Opens nothing yet: a store is made where it may never be used.

        A URL holds no secret, as it is shown and stands on command lines; a store that needs one finds it elsewhere.
        ``StateError`` when the URL cannot be right, or something is not installed that the store needs.
        """

    @abc.abstractmethod
    def get(self, function: FunctionKey, key: str) -> StateValue | None:
        """What stands under ``key``; ``None`` when nothing does."""

    @abc.abstractmethod
    def put(self, function: FunctionKey, key: str, value: bytes) -> None:
        """Write a value. ``StateKindError`` when the key is a counter."""

    @abc.abstractmethod
    def increment(self, function: FunctionKey, key: str, amount: int) -> None:
        """Add ``amount``, a signed 64-bit number, to a counter; one that is not there begins at 0. Atomic.

        ``StateKindError`` when the key holds a value.
        """

    @abc.abstractmethod
    def delete(self, function: FunctionKey, key: str) -> None:
        """Take a key away, counter or value. Nothing happens when it is not there."""

    @abc.abstractmethod
    def forget(self, function: FunctionKey) -> None:
        """Take away all that a function has, which is gone itself. Nothing happens when it has nothing."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of files and connections. Idempotent; no other call comes afterwards."""
