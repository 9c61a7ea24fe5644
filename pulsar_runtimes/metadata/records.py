"""What the topics of the state of record hold, as plain data."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import Registration


class RequestKind(enum.Enum):
    UPDATE = 0
    DELETE = 1
    INITIALIZE = 2


@dataclass(frozen=True, slots=True)
class UnreadableRegistration:
    """A registered function that this version cannot read, such as one with an enum number of a newer Pulsar.

    It keeps its name and its version, so that nobody takes them for free. ``reason`` shows no secret.
    """

    key: FunctionKey
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """A change of the registered functions, by the worker that led then."""

    kind: RequestKind
    registration: Registration | UnreadableRegistration
    request_id: str
    worker_id: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which worker is to run an instance, and of which registration."""

    registration: Registration | UnreadableRegistration
    instance_id: int
    worker_id: str

    @property
    def key(self) -> InstanceKey:
        return InstanceKey(self.registration.key, self.instance_id)
