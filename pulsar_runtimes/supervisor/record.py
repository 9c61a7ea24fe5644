"""What the supervisor remembers of an instance, and the pure decision what to do next."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.model.status import State

from .policy import RestartPolicy


class Action(enum.Enum):
    NONE = "none"
    START = "start"


@dataclass(frozen=True, slots=True)
class Record:
    """One wanted instance. ``since`` is the clock's reading when the state began.

    ``failures`` counts ends in a row, ``restarts`` all starts after the first; ``reason`` and ``exit_code`` are
    those of the last end. ``was_ready``: it has been seen RUNNING, now or in an earlier life.
    """

    key: InstanceKey
    state: State = State.WAITING
    since: float = 0.0
    failures: int = 0
    restarts: int = 0
    starts: int = 0
    reason: str = ""
    exit_code: int | None = None
    was_ready: bool = False

    def retry_at(self, policy: RestartPolicy) -> float:
        """When the next start is due, in BACKOFF."""
        return self.since + policy.delay(self.failures, str(self.key))


def step(record: Record, seen: Observation, now: float, policy: RestartPolicy) -> tuple[Record, Action]:
    """The next state of an instance, and what to do. Pure: no effect, no clock.

    ``seen`` is the latest observation of the runtime that was started last, or CREATED when there is none.
    """
    match record.state, seen.phase:
        case ((State.FAILED | State.STOPPING), _):
            return record, Action.NONE
        case _, Phase.UNKNOWN:  # "cannot tell" is not "dead"
            return record, Action.NONE
        case State.WAITING, _:
            return _started(record, now), Action.START
        case State.BACKOFF, _:
            if now >= record.retry_at(policy):
                return _started(record, now), Action.START
            return record, Action.NONE
        case ((State.STARTING | State.RUNNING), Phase.EXITED):
            return _ended(record, seen, now, policy), Action.NONE
        case State.STARTING, Phase.RUNNING:
            return replace(record, state=State.RUNNING, since=now, was_ready=True), Action.NONE
        case State.RUNNING, Phase.STARTING:  # a backend that restarts by itself has lost some of its replicas
            return replace(record, state=State.STARTING, since=now), Action.NONE
        case State.RUNNING, Phase.RUNNING if record.failures and now - record.since >= policy.up_seconds:
            return replace(record, failures=0), Action.NONE
    return record, Action.NONE


def _started(record: Record, now: float) -> Record:
    restarts = record.restarts + (1 if record.starts else 0)
    return replace(record, state=State.STARTING, since=now, starts=record.starts + 1, restarts=restarts)


def _ended(record: Record, seen: Observation, now: float, policy: RestartPolicy) -> Record:
    long_run = record.state is State.RUNNING and now - record.since >= policy.up_seconds
    failures = 1 if long_run else record.failures + 1
    state = State.FAILED if failures >= policy.give_up_after else State.BACKOFF
    return replace(record, state=state, since=now, failures=failures, reason=seen.reason, exit_code=seen.exit_code)


def revive(record: Record, now: float) -> Record:
    """A given-up instance gets a new chance: it is started at once, its failures forgotten."""
    if record.state not in (State.FAILED, State.BACKOFF):
        return record
    return replace(record, state=State.WAITING, since=now, failures=0)
