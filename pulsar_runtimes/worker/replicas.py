"""A function whose replicas its backend runs as one, shown as the instances it consists of. Pure."""

from __future__ import annotations

from dataclasses import replace

from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.model.status import InstanceStatus, State

_STATES = {
    Phase.CREATED: State.STARTING,
    Phase.STARTING: State.STARTING,
    Phase.RUNNING: State.RUNNING,
    Phase.EXITED: State.BACKOFF,
}


def replica_status(whole: InstanceStatus, number: int, seen: Observation) -> InstanceStatus:
    """One replica of the function that ``whole`` stands for, as it was ``seen``.

    While the function itself is not there, or is given up, all of them are as it is.
    """
    status = replace(whole, key=InstanceKey(whole.key.function, number))
    if whole.state not in (State.STARTING, State.RUNNING) or seen.phase is Phase.UNKNOWN:
        return status
    return replace(
        status,
        state=_STATES[seen.phase],
        phase=seen.phase,
        reason=seen.reason,
        exit_code=seen.exit_code,
        restarts=whole.restarts + seen.restarts,
        updating=whole.updating or seen.outdated,
    )
