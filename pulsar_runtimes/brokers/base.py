"""The contract of a broker that the worker starts when ``pulsarServiceUrl`` is not set.

A third party writes one :class:`Broker` and registers it under the entry-point group ``pulsar_runtimes.brokers``.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from pulsar_runtimes.model.function import Language
from pulsar_runtimes.model.observation import Observation

ENTRY_POINT_GROUP = "pulsar_runtimes.brokers"


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What a broker can and cannot do, told as data so that nobody asks for its name.

    The defaults are those of Apache Pulsar itself: a broker names only what it lacks. ``False`` means that a
    client which asks for it hangs or fails, so a function that needs it is better refused before it starts.

    ``languages`` whose client libraries work with the broker;
    ``patterns``: subscriptions by regular expression;
    ``schemas_from_registry``: a client can ask for a topic's schema (a Java instance does unless its input and
    output specs name a ``schemaType``);
    ``last_message_id``: a client can ask for the end of a topic (table views and ``hasMessageAvailable`` do);
    ``compaction``, ``authentication``, ``tls``, ``admin`` (the REST API), ``geo_replication``: as the words say;
    ``tells_consumers_apart``: consumers of one subscription that come over different connections may have the same
    number, which is what every client counts from 0;
    ``deduplication``: a message that is sent once is kept once, on which EFFECTIVELY_ONCE relies;
    ``max_message_bytes``: the largest message that the broker takes.
    """

    languages: frozenset[Language] = frozenset(Language)
    patterns: bool = True
    schemas_from_registry: bool = True
    last_message_id: bool = True
    compaction: bool = True
    authentication: bool = True
    tls: bool = True
    admin: bool = True
    geo_replication: bool = True
    tells_consumers_apart: bool = True
    deduplication: bool = True
    max_message_bytes: int = 5 * 1024 * 1024


class Broker(abc.ABC):
    """One broker that belongs to one worker, with its data in that worker's state directory.

    ``observe`` may be called from any thread while ``start`` or ``stop`` runs in another.
    """

    name: ClassVar[str]
    limits: ClassVar[BrokerLimits]
    server_name: ClassVar[str] = ""
    """What its ``server_version`` begins with: a service URL behind which it is found has its limits as well."""

    @classmethod
    @abc.abstractmethod
    def from_state_dir(cls, state_dir: Path, environment: Mapping[str, str]) -> Self:
        """A broker that keeps its data under ``state_dir``, not started. No side effects.

        ``environment`` is the worker's, given rather than looked up.
        """

    @abc.abstractmethod
    def start(self) -> str:
        """Start the broker and return its service URL once it accepts connections.

        May be called again: it answers the same URL while the broker runs, and after the broker died or was
        stopped it starts it on the data it had. A broker that died comes back on the same port, so that
        clients reconnect by themselves; one that was stopped does if the port is still free.

        ``BrokerError`` when it cannot be started; nothing runs then.
        """

    @abc.abstractmethod
    def observe(self) -> Observation:
        """What is known now. Quick: never waits for the broker, never raises for a dead one.

        CREATED before ``start``, STARTING until connections are accepted, RUNNING from then on, EXITED after
        the broker died or was stopped, and UNKNOWN whenever it cannot be told.
        """

    @abc.abstractmethod
    def stop(self, *, grace_seconds: float) -> None:
        """End the broker; when this returns nothing of it runs and another worker may use its data.

        Idempotent, and allowed before ``start``. The broker has ``grace_seconds`` to end by itself, then it is
        ended the hard way.
        """

    def tend(self) -> None:
        """A chance to look after itself, given several times a second while it runs. Quick; raises nothing.

        A broker that finds itself in a state it cannot work in ends itself here: it is started again then.
        """
        return

    def log_lines(self, last: int) -> list[str]:
        """The last lines that the broker wrote, oldest first; empty when it keeps none."""
        return []
