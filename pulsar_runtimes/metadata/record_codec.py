"""How the records of one topic look, and which of them count."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

VERSION_PROPERTY = "version"


@dataclass(frozen=True, slots=True)
class Record:
    """A message of the topic. ``key`` is empty when it has none."""

    data: bytes
    key: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change(Generic[K, V]):
    """What a record says: ``key`` has ``value`` from now on, or is gone (``None``). ``version`` orders records."""

    key: K
    value: V | None
    version: int = 0


class RecordCodec(abc.ABC, Generic[K, V]):
    """Between changes and records. Without state, and pure but for identifiers drawn at random."""

    compacted: bool = False
    """Whether the topic is read compacted: the last record of each key is all that counts then."""

    @abc.abstractmethod
    def encode(self, change: Change[K, V], known: V | None) -> Record:
        """The record of ``change``, where ``known`` is what it replaces. ``MetadataError`` if it has none."""

    @abc.abstractmethod
    def decode(self, record: Record) -> Change[K, V] | None:
        """What ``record`` says; ``None`` when it is of no concern. ``MetadataError`` when it cannot be understood."""

    def is_outdated(self, change: Change[K, V], known: V | None) -> bool:
        """Whether ``change`` comes too late to count, where ``known`` is what there is."""
        return False
