"""What was seen of a launched instance, and what is written down to find it again."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .function import Language


class Phase(enum.Enum):
    """Where a runtime is in its one life. ``UNKNOWN`` means "cannot tell now", never "dead"."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a runtime.

    ``reason`` is one line that a person can act on, empty when there is nothing to say. ``exit_code`` is that
    of the process, negative for a signal, and ``None`` where there is none. ``last_messages``, of one that has EXITED,
    are topic and id of the message that each input took last, where the backend can tell.

    Of a single replica: ``restarts`` counts how often the backend itself has started it again; ``outdated`` is one
    that the backend is about to replace, as it is of the version before.
    """

    phase: Phase
    exit_code: int | None = None
    reason: str = ""
    last_messages: tuple[str, ...] = ()
    restarts: int = 0
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class MinuteStats:
    """What an instance has counted in its running window of a minute."""

    received: int = 0
    processed: int = 0
    user_exceptions: int = 0
    system_exceptions: int = 0
    average_latency_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class InstanceStats:
    """What an instance has counted since it started. Exceptions are (text, ms since the epoch), oldest first.

    Failures of a source or sink are among the system exceptions, and told apart beside them. ``user_metrics`` has the
    function's own figures by the names of the reference.
    """

    received: int = 0
    processed: int = 0
    user_exceptions: int = 0
    system_exceptions: int = 0
    average_latency_ms: float = 0.0
    last_invocation_ms: int = 0
    latest_user_exceptions: tuple[tuple[str, int], ...] = ()
    latest_system_exceptions: tuple[tuple[str, int], ...] = ()
    last_minute: MinuteStats = MinuteStats()
    user_metrics: Mapping[str, float] = field(default_factory=dict)
    source_exceptions: int = 0
    sink_exceptions: int = 0
    latest_source_exceptions: tuple[tuple[str, int], ...] = ()
    latest_sink_exceptions: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimeHandle:
    """What a worker writes down to find a launched instance after its own restart.

    ``state`` is JSON data that only the factory named ``factory`` understands; ``version`` is the version of
    that data, and a factory refuses one that it does not know.
    """

    factory: str
    version: int
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How a backend differs from the others, told as data so that nobody asks for its name.

    ``languages`` it can run; ``isolates_memory``: each instance has memory of its own;
    ``runs_all_replicas``: one runtime stands for the whole function (instance id -1);
    ``restarts_itself``: the backend replaces a dead instance, the supervisor need not;
    ``updates_in_place``: a runtime can become another version or size of the function (``Runtime.update``);
    ``reattaches``: ``reattach`` works after the worker was restarted;
    ``secret_references``: secrets may be references to what the backend keeps (KubernetesSecretsProviderConfigurator).
    """

    languages: frozenset[Language]
    isolates_memory: bool = False
    runs_all_replicas: bool = False
    restarts_itself: bool = False
    updates_in_place: bool = False
    reattaches: bool = False
    secret_references: bool = False
