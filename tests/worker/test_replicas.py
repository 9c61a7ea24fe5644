"""What is shown of the replicas of a function that its backend runs as one."""

from __future__ import annotations

import pytest

from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.model.status import InstanceStatus, State
from pulsar_runtimes.worker.replicas import replica_status

KEY = FunctionKey("public", "default", "f")
WHOLE = InstanceStatus(InstanceKey(KEY, -1), State.STARTING, Phase.STARTING, "1 of 2 pods are ready", restarts=1)


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (Observation(Phase.STARTING, reason="Unschedulable"), State.STARTING),
        (Observation(Phase.RUNNING), State.RUNNING),
        (Observation(Phase.EXITED, 137, "OOMKilled", restarts=3), State.BACKOFF),
    ],
)
def test_each_replica_is_as_its_backend_sees_it(seen: Observation, state: State) -> None:
    status = replica_status(WHOLE, 1, seen)
    assert (status.key, status.state, status.phase) == (InstanceKey(KEY, 1), state, seen.phase)
    assert (status.reason, status.exit_code, status.restarts) == (seen.reason, seen.exit_code, 1 + seen.restarts)


def test_one_of_the_version_before_is_still_to_be_replaced() -> None:
    assert replica_status(WHOLE, 0, Observation(Phase.RUNNING, outdated=True)).updating


def test_one_of_which_nothing_can_be_told_is_as_the_function_is() -> None:
    status = replica_status(WHOLE, 0, Observation(Phase.UNKNOWN, reason="the API server is away"))
    assert (status.state, status.reason) == (State.STARTING, WHOLE.reason)


@pytest.mark.parametrize("state", [State.WAITING, State.BACKOFF, State.FAILED, State.STOPPING])
def test_none_runs_of_a_function_that_is_not_there(state: State) -> None:
    whole = InstanceStatus(InstanceKey(KEY, -1), state, Phase.EXITED, "403 exceeded quota")
    status = replica_status(whole, 0, Observation(Phase.RUNNING))
    assert (status.state, status.reason) == (state, whole.reason)
