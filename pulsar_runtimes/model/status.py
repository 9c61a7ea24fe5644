"""What is shown of a function and its instances."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .names import FunctionKey, InstanceKey
from .observation import InstanceStats, Phase


class State(enum.Enum):
    """Where an instance is in the supervisor's eyes."""

    WAITING = "waiting"
    """Wanted, and about to be started."""
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    """It ended; a new start comes after a delay."""
    FAILED = "failed"
    """It ended too often and is left alone until somebody revives it."""
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class End:
    """How one life of an instance ended by itself: ``at`` in seconds since the epoch, ``exit_code`` negative for a
    signal and ``None`` where there is none, ``last_lines`` the last that it wrote, ``last_messages`` topic and id of
    the message that each input took last: the one in hand when it ended, or the one before.
    """

    at: float
    reason: str
    exit_code: int | None = None
    last_lines: tuple[str, ...] = field(default=(), repr=False)
    last_messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """One instance as a person sees it.

    ``reason`` is why it is not running, or why it last ended; ``since`` is when the state began (seconds since
    the epoch); ``retry_in_seconds`` counts down to the next start in BACKOFF; ``ends`` are its last ends, oldest
    first.

    ``updating``: an update of the function is under way; what is told is the old instance until the new version is
    ready, then the new one while the old drains. ``update_failure`` is why the last update failed, so that this is
    still the version before it; empty once something else is asked for.
    """

    key: InstanceKey
    state: State
    phase: Phase
    reason: str = ""
    exit_code: int | None = None
    restarts: int = 0
    since: float = 0.0
    retry_in_seconds: float | None = None
    ends: tuple[End, ...] = field(default=(), repr=False)
    stats: InstanceStats | None = None
    updating: bool = False
    update_failure: str = ""

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the life that ended last; empty when none has."""
        return self.ends[-1].last_lines if self.ends else ()


@dataclass(frozen=True, slots=True)
class FunctionStatus:
    """A function and its instances, in the order of their numbers."""

    key: FunctionKey
    instances: tuple[InstanceStatus, ...]

    @property
    def running(self) -> int:
        """How many instances are running."""
        return sum(1 for instance in self.instances if instance.state is State.RUNNING)

    @property
    def is_running(self) -> bool:
        """Whether all instances are running."""
        return bool(self.instances) and self.running == len(self.instances)

    @property
    def has_failed(self) -> bool:
        """Whether an instance was given up, and no update is under way that may replace it."""
        return any(instance.state is State.FAILED and not instance.updating for instance in self.instances)

    @property
    def is_updating(self) -> bool:
        """Whether another version is being brought in, or the one before is not quite gone."""
        return any(instance.updating for instance in self.instances)

    @property
    def update_failure(self) -> str:
        """Why the last update failed, empty when it did not: then what runs is the version before it."""
        return next((instance.update_failure for instance in self.instances if instance.update_failure), "")
