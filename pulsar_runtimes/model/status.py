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
class InstanceStatus:
    """One instance as a person sees it.

    ``reason`` is why it is not running, or why it last ended; ``since`` is when the state began (seconds since
    the epoch); ``retry_in_seconds`` counts down to the next start in BACKOFF; ``last_lines`` are the last lines
    of the instance that ended last.
    """

    key: InstanceKey
    state: State
    phase: Phase
    reason: str = ""
    exit_code: int | None = None
    restarts: int = 0
    since: float = 0.0
    retry_in_seconds: float | None = None
    last_lines: tuple[str, ...] = field(default=(), repr=False)
    stats: InstanceStats | None = None


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
        """Whether an instance was given up."""
        return any(instance.state is State.FAILED for instance in self.instances)
