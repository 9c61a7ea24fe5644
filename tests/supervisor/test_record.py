"""The decision what to do next, one row a rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.model.status import State
from pulsar_runtimes.supervisor.policy import RestartPolicy
from pulsar_runtimes.supervisor.record import Action, Record, revive, step

KEY = InstanceKey(FunctionKey("public", "default", "f"), 0)
POLICY = RestartPolicy(initial_seconds=1.0, factor=2.0, jitter=0.0, up_seconds=10.0, give_up_after=3)
NOW = 1000.0

NONE, START = Action.NONE, Action.START
WAITING, STARTING, RUNNING = State.WAITING, State.STARTING, State.RUNNING
BACKOFF, FAILED, STOPPING = State.BACKOFF, State.FAILED, State.STOPPING


def record(state: State, age: float = 0.0, failures: int = 0, starts: int = 1) -> Record:
    return Record(KEY, state, since=NOW - age, failures=failures, starts=starts)


@pytest.mark.parametrize(
    ("state", "age", "failures", "phase", "next_state", "next_failures", "action"),
    [
        # the usual life
        (WAITING, 0, 0, Phase.CREATED, STARTING, 0, START),
        (STARTING, 0, 0, Phase.CREATED, STARTING, 0, NONE),
        (STARTING, 5, 0, Phase.STARTING, STARTING, 0, NONE),
        (STARTING, 5, 0, Phase.RUNNING, RUNNING, 0, NONE),
        (RUNNING, 5, 0, Phase.RUNNING, RUNNING, 0, NONE),
        # ends, and what was before is forgotten after a run of up_seconds
        (STARTING, 1, 0, Phase.EXITED, BACKOFF, 1, NONE),
        (RUNNING, 1, 0, Phase.EXITED, BACKOFF, 1, NONE),
        (RUNNING, 9.9, 1, Phase.EXITED, BACKOFF, 2, NONE),
        (RUNNING, 10, 1, Phase.EXITED, BACKOFF, 1, NONE),
        (RUNNING, 9.9, 2, Phase.RUNNING, RUNNING, 2, NONE),
        (RUNNING, 10, 2, Phase.RUNNING, RUNNING, 0, NONE),
        # a start that takes long is no run
        (STARTING, 100, 1, Phase.EXITED, BACKOFF, 2, NONE),
        # delays: 1 s after the first failure, 2 s after the second
        (BACKOFF, 0.9, 1, Phase.EXITED, BACKOFF, 1, NONE),
        (BACKOFF, 1.0, 1, Phase.EXITED, STARTING, 1, START),
        (BACKOFF, 1.9, 2, Phase.EXITED, BACKOFF, 2, NONE),
        (BACKOFF, 2.0, 2, Phase.EXITED, STARTING, 2, START),
        # the third failure in a row is the last
        (RUNNING, 1, 2, Phase.EXITED, FAILED, 3, NONE),
        (FAILED, 1e6, 3, Phase.EXITED, FAILED, 3, NONE),
        (RUNNING, 10, 2, Phase.EXITED, BACKOFF, 1, NONE),
        # what is being stopped is left alone
        (STOPPING, 5, 0, Phase.EXITED, STOPPING, 0, NONE),
        (STOPPING, 5, 0, Phase.RUNNING, STOPPING, 0, NONE),
        # back to STARTING is no end, but no RUNNING either: a backend replaces a part of it by itself
        (RUNNING, 5, 0, Phase.STARTING, STARTING, 0, NONE),
        (RUNNING, 50, 2, Phase.STARTING, STARTING, 2, NONE),
    ],
)
def test_the_next_state_follows_from_state_phase_and_time(
    state: State, age: float, failures: int, phase: Phase, next_state: State, next_failures: int, action: Action
) -> None:
    after, decided = step(record(state, age, failures), Observation(phase), NOW, POLICY)
    assert (after.state, after.failures, decided) == (next_state, next_failures, action)
    if next_state is not state:
        assert after.since == NOW


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("age", [0.0, 1e9])
def test_an_unknown_phase_never_changes_anything(state: State, age: float) -> None:
    before = record(state, age, failures=2)
    assert step(before, Observation(Phase.UNKNOWN), NOW, POLICY) == (before, Action.NONE)


def test_an_end_is_remembered_with_its_reason_and_code() -> None:
    after, _ = step(record(RUNNING), Observation(Phase.EXITED, 3, "no such module"), NOW, POLICY)
    assert (after.reason, after.exit_code) == ("no such module", 3)


def test_the_reason_of_the_last_end_stays_while_it_runs_again() -> None:
    ended = replace(record(BACKOFF, 60, failures=1), reason="it was killed", exit_code=-9)
    started, _ = step(ended, Observation(Phase.EXITED, -9), NOW, POLICY)
    running, _ = step(started, Observation(Phase.RUNNING), NOW, POLICY)
    assert (running.state, running.reason, running.exit_code) == (RUNNING, "it was killed", -9)


def test_it_is_remembered_that_it_was_ready_once() -> None:
    assert not record(STARTING).was_ready
    running, _ = step(record(STARTING), Observation(Phase.RUNNING), NOW, POLICY)
    ended, _ = step(running, Observation(Phase.EXITED), NOW, POLICY)
    assert (running.was_ready, ended.state, ended.was_ready) == (True, BACKOFF, True)


def test_the_first_start_is_no_restart() -> None:
    first, _ = step(record(WAITING, starts=0), Observation(Phase.CREATED), NOW, POLICY)
    assert (first.starts, first.restarts) == (1, 0)
    second, _ = step(record(BACKOFF, 60, failures=1, starts=1), Observation(Phase.EXITED), NOW, POLICY)
    assert (second.starts, second.restarts) == (2, 1)


@pytest.mark.parametrize("state", [FAILED, BACKOFF])
def test_revive_starts_at_once_and_forgets_failures(state: State) -> None:
    revived = revive(record(state, failures=3), NOW)
    assert (revived.state, revived.failures) == (WAITING, 0)
    _, action = step(revived, Observation(Phase.EXITED), NOW, POLICY)
    assert action is Action.START


@pytest.mark.parametrize("state", [WAITING, STARTING, RUNNING, STOPPING])
def test_revive_leaves_alone_what_is_not_down(state: State) -> None:
    before = record(state, failures=1)
    assert revive(before, NOW) is before


def test_delays_are_counted_from_the_end() -> None:
    assert record(BACKOFF, 0.25, failures=2).retry_at(POLICY) == NOW - 0.25 + 2.0
