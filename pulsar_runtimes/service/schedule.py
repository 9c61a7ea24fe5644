"""Which worker is to run which instance. Pure: from what is registered, assigned and alive to what must be written.

Source of the rules: ``SchedulerManager`` and ``RoundRobinScheduler`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

import abc
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from pulsar_runtimes.metadata.records import Assignment, UnreadableRegistration
from pulsar_runtimes.model.function import DEFAULT_RESOURCES
from pulsar_runtimes.model.names import ALL_REPLICAS, FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import Registration
from pulsar_runtimes.plug_point import PlugPoint

ENTRY_POINT_GROUP = "pulsar_runtimes.schedulers"
ROUND_ROBIN = "org.apache.pulsar.functions.worker.scheduler.RoundRobinScheduler"

HEARTBEAT_TENANT, HEARTBEAT_NAMESPACE = "pulsar-function", "heartbeat"

Assignments = Mapping[InstanceKey, Assignment]


class Scheduler(abc.ABC):
    """Chooses workers. Third parties subclass this and register it under ``pulsar_runtimes.schedulers``."""

    @abc.abstractmethod
    def weight(self, registration: Registration) -> float:
        """How heavy one instance of the function is on its worker; above 0."""


SCHEDULERS = PlugPoint(
    group=ENTRY_POINT_GROUP,
    base=Scheduler,  # type: ignore[type-abstract]
    what="scheduler",
    setting="schedulerClassName",
    aliases={ROUND_ROBIN: "round-robin"},
)


class RoundRobinScheduler(Scheduler):
    """Every instance counts the same, as in the reference."""

    def weight(self, registration: Registration) -> float:
        return 1.0


class LeastLoadedScheduler(Scheduler):
    """An instance counts as many cores as it may use."""

    def weight(self, registration: Registration) -> float:
        return (registration.function.resources or DEFAULT_RESOURCES).cpu or DEFAULT_RESOURCES.cpu


@dataclass(frozen=True, slots=True)
class Schedule:
    """What has to be written so that every instance has a worker."""

    puts: tuple[Assignment, ...] = ()
    deletes: tuple[InstanceKey, ...] = ()


def plan_schedule(
    registrations: Mapping[FunctionKey, Registration],
    assignments: Assignments,
    workers: Collection[str],
    scheduler: Scheduler,
    *,
    as_whole: bool = False,
) -> Schedule:
    """Drop what is not registered any more, renew what has changed, and give what has no worker to the least loaded.

    An assignment to a worker that is not among ``workers`` stays: :func:`lost` says when it is dropped. Without any
    worker nothing new is assigned. With ``as_whole`` all replicas of a function are one instance.
    """
    expected = {
        InstanceKey(key, number): registration
        for key, registration in registrations.items()
        for number in ((ALL_REPLICAS,) if as_whole else range(registration.function.parallelism))
    }
    # A registration that this version cannot read is not in the mapping; whoever can read it looks after it.
    deletes = [
        key
        for key, assignment in assignments.items()
        if key not in expected and not isinstance(assignment.registration, UnreadableRegistration)
    ]
    puts = [
        replace(assignments[key], registration=registration)
        for key, registration in expected.items()
        if key in assignments and assignments[key].registration != registration
    ]
    kept = {key: assignment for key, assignment in assignments.items() if key in expected}
    loads = Loads(workers, kept.values(), scheduler)
    for key, registration in expected.items():
        if key not in kept:
            worker = loads.place(registration)
            if worker is not None:
                puts.append(Assignment(registration, key.instance_id, worker))
    return Schedule(tuple(puts), tuple(deletes))


class Loads:
    """How much each worker carries, while instances are placed one after another."""

    def __init__(self, workers: Collection[str], assignments: Iterable[Assignment], scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._loads = dict.fromkeys(sorted(workers), 0.0)
        for assignment in assignments:
            if assignment.worker_id in self._loads and isinstance(assignment.registration, Registration):
                self._loads[assignment.worker_id] += scheduler.weight(assignment.registration)

    def place(self, registration: Registration) -> str | None:
        """The worker for one more instance; ``None`` when there is none. A heartbeat goes to the worker it names."""
        key = registration.key
        if (key.tenant, key.namespace) == (HEARTBEAT_TENANT, HEARTBEAT_NAMESPACE):
            return key.name if key.name in self._loads else None
        if not self._loads:
            return None
        worker = min(self._loads, key=lambda name: self._loads[name])
        self._loads[worker] += self._scheduler.weight(registration)
        return worker


def plan_rebalance(assignments: Assignments, workers: Collection[str], scheduler: Scheduler) -> Schedule:
    """Move instances from the most to the least loaded worker, as long as that makes the two more alike."""
    placed = {
        worker: [
            assignment
            for _, assignment in sorted(assignments.items())
            if assignment.worker_id == worker and isinstance(assignment.registration, Registration)
        ]
        for worker in sorted(workers)
    }
    if len(placed) < 2:
        return Schedule()

    def weight(assignment: Assignment) -> float:
        assert isinstance(assignment.registration, Registration)
        return scheduler.weight(assignment.registration)

    loads = {worker: sum(map(weight, instances)) for worker, instances in placed.items()}
    moved: dict[InstanceKey, Assignment] = {}
    while True:
        fullest = max(loads, key=lambda name: loads[name])
        emptiest = min(loads, key=lambda name: loads[name])
        gap = loads[fullest] - loads[emptiest]
        fitting = [each for each in placed[fullest] if weight(each) < gap]
        if not fitting:
            return Schedule(tuple(moved.values()))
        chosen = min(fitting, key=lambda each: abs(weight(each) - gap / 2))
        placed[fullest].remove(chosen)
        there = replace(chosen, worker_id=emptiest)
        placed[emptiest].append(there)
        moved[there.key] = there
        loads[fullest] -= weight(chosen)
        loads[emptiest] += weight(chosen)


def plan_drain(assignments: Assignments, drained: str, workers: Collection[str], scheduler: Scheduler) -> Schedule:
    """Give everything of ``drained`` to the other ``workers``."""
    others = [worker for worker in workers if worker != drained]
    loads = Loads(others, assignments.values(), scheduler)
    puts = []
    for _, assignment in sorted(assignments.items()):
        if assignment.worker_id == drained and isinstance(assignment.registration, Registration):
            worker = loads.place(assignment.registration)
            if worker is not None:
                puts.append(replace(assignment, worker_id=worker))
    return Schedule(tuple(puts))


class Absences:
    """Since when the workers of assigned instances are missing."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def lost(self, assignments: Assignments, workers: Collection[str], now: float, timeout: float) -> list[InstanceKey]:
        """The instances whose worker has been missing for longer than ``timeout`` seconds; asked again and again."""
        missing = {each.worker_id for each in assignments.values()} - set(workers)
        self._since = {worker: self._since.get(worker, now) for worker in missing}
        gone = {worker for worker, since in self._since.items() if now - since > timeout}
        return [key for key, assignment in assignments.items() if assignment.worker_id in gone]
