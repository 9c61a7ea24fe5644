"""A supervisor on a stage: time is a number, and starts and stops play a script."""

from __future__ import annotations

from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.model.status import InstanceStatus, State
from pulsar_runtimes.supervisor.policy import RestartPolicy
from pulsar_runtimes.supervisor.supervisor import Supervisor
from pulsar_runtimes.testing import FakeClock, FakeRuntimeFactory, function_spec, instance_spec
from tests.waiting import until

POLICY = RestartPolicy(
    initial_seconds=1.0, factor=2.0, jitter=0.0, up_seconds=10.0, give_up_after=3, give_up_update_after=2
)


class Stage:
    """A supervisor, its fake factory, and the clock of both."""

    def __init__(self, clock: FakeClock, capabilities: Capabilities | None = None) -> None:
        self.clock = clock
        self.factory = FakeRuntimeFactory(clock=clock, sleep=clock.advance, capabilities=capabilities)
        self.supervisor = Supervisor(self.factory, POLICY, clock=clock, stop_grace_seconds=7.0)

    def want(self, name: str, instances: int = 1, **changes: object) -> list[InstanceSpec]:
        """Want a function with so many instances; any change of it makes another version."""
        function = function_spec(name=name, parallelism=instances, **changes)
        specs = [instance_spec(function=function, instance_id=number) for number in range(instances)]
        self.supervisor.want(function.key, specs)
        return specs

    def states(self) -> dict[str, State]:
        return {f"{status.key.function.name}:{status.key.instance_id}": status.state for status in self.statuses()}

    def statuses(self) -> list[InstanceStatus]:
        self.supervisor.tick()
        return self.supervisor.statuses()

    def until(self, **states: State) -> None:
        """Tick, without letting time pass, until instance 0 of each function named is in its state."""
        wanted = {f"{name}:0": state for name, state in states.items()}
        until(self.states, lambda seen: seen.items() >= wanted.items(), seconds=5)

    def the(self, name: str) -> InstanceStatus:
        (status,) = [status for status in self.statuses() if status.key.function.name == name]
        return status


def key(name: str) -> FunctionKey:
    return FunctionKey("public", "default", name)
