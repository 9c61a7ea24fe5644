"""Which worker runs which instance."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from pulsar_runtimes.metadata.records import Assignment, UnreadableRegistration
from pulsar_runtimes.model.function import Resources
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import Registration
from pulsar_runtimes.service.schedule import (
    Absences,
    LeastLoadedScheduler,
    RoundRobinScheduler,
    Schedule,
    Scheduler,
    plan_drain,
    plan_rebalance,
    plan_schedule,
)
from pulsar_runtimes.testing import function_spec

ROUND_ROBIN = RoundRobinScheduler()
Assigned = dict[InstanceKey, Assignment]


def registered(name: str, parallelism: int = 1, *, cpu: float = 1.0, version: int = 0) -> Registration:
    function = function_spec(name=name, parallelism=parallelism, resources=Resources(cpu=cpu))
    return Registration(function, version=version)


def by_key(*registrations: Registration) -> dict[FunctionKey, Registration]:
    return {registration.key: registration for registration in registrations}


def assigned(schedule: Schedule, before: Assigned | None = None) -> Assigned:
    """The assignments once ``schedule`` was written."""
    after = {key: each for key, each in (before or {}).items() if key not in schedule.deletes}
    return after | {each.key: each for each in schedule.puts}


def loads(assignments: Assigned) -> Counter[str]:
    return Counter(assignment.worker_id for assignment in assignments.values())


def scheduled(*registrations: Registration, workers: str = "abc", scheduler: Scheduler = ROUND_ROBIN) -> Assigned:
    return assigned(plan_schedule(by_key(*registrations), {}, workers, scheduler))


def test_instances_are_spread_evenly() -> None:
    assert loads(scheduled(registered("f", 7), registered("g", 2))) == {"a": 3, "b": 3, "c": 3}


def test_what_is_assigned_stays_and_a_second_schedule_is_empty() -> None:
    before = scheduled(registered("f", 4), workers="a")
    schedule = plan_schedule(by_key(registered("f", 4), registered("g", 2)), before, "ab", ROUND_ROBIN)
    after = assigned(schedule, before)
    assert {key: after[key] for key in before} == before
    assert loads(after) == {"a": 4, "b": 2}
    assert plan_schedule(by_key(registered("f", 4), registered("g", 2)), after, "ab", ROUND_ROBIN) == Schedule()


def test_what_is_not_registered_any_more_is_dropped() -> None:
    before = scheduled(registered("f", 3), registered("g"))
    schedule = plan_schedule(by_key(registered("f", 2)), before, "abc", ROUND_ROBIN)
    dropped = {InstanceKey(registered("f").key, 2), InstanceKey(registered("g").key, 0)}
    assert set(schedule.deletes) == dropped


def test_a_changed_function_keeps_its_workers() -> None:
    before = scheduled(registered("f", 2))
    after = assigned(plan_schedule(by_key(registered("f", 2, version=1)), before, "abc", ROUND_ROBIN), before)
    assert [each.registration.version for each in after.values()] == [1, 1]
    assert loads(after) == loads(before)


def test_what_runs_as_a_whole_is_one_instance() -> None:
    registrations = by_key(registered("f", 3), registered("g"))
    before = scheduled(registered("f", 3))
    schedule = plan_schedule(registrations, before, "abc", ROUND_ROBIN, as_whole=True)
    after = assigned(schedule, before)
    assert set(after) == {InstanceKey(key, -1) for key in registrations}
    assert plan_schedule(registrations, after, "abc", ROUND_ROBIN, as_whole=True) == Schedule()


def test_nothing_is_assigned_where_no_worker_is() -> None:
    assert scheduled(registered("f"), workers="") == {}


def test_a_heartbeat_goes_to_the_worker_that_it_names() -> None:
    function = replace(function_spec(name="b"), tenant="pulsar-function", namespace="heartbeat")
    (assignment,) = scheduled(Registration(function)).values()
    assert assignment.worker_id == "b"
    assert scheduled(Registration(replace(function, name="gone"))) == {}


def test_one_that_this_version_cannot_read_is_left_alone() -> None:
    key = FunctionKey("public", "default", "newer")
    strange = Assignment(UnreadableRegistration(key, 1, "an unknown enum"), 0, "a")
    assert plan_schedule({}, {strange.key: strange}, "ab", ROUND_ROBIN) == Schedule()
    assert plan_rebalance({strange.key: strange}, "ab", ROUND_ROBIN) == Schedule()


def test_cores_count_where_the_load_is_asked_for() -> None:
    heavy, light = registered("a-heavy", cpu=4.0), registered("b-light", 4, cpu=1.0)
    by_worker = scheduled(heavy, light, workers="ab", scheduler=LeastLoadedScheduler())
    assert loads(by_worker) == {"a": 1, "b": 4}


@pytest.mark.parametrize("count", [1, 2, 7, 60])
def test_a_rebalance_leaves_a_difference_of_one_at_most(count: int) -> None:
    before = scheduled(registered("f", count), workers="a")
    moves = plan_rebalance(before, "abc", ROUND_ROBIN)
    after = loads(assigned(moves, before))
    assert max(after.values()) - min(after.get(worker, 0) for worker in "abc") <= 1
    assert len(moves.puts) == count - after["a"]
    assert plan_rebalance(assigned(moves, before), "abc", ROUND_ROBIN) == Schedule()


def test_a_drained_worker_is_left_by_all() -> None:
    before = scheduled(registered("f", 9))
    after = assigned(plan_drain(before, "b", "abc", ROUND_ROBIN), before)
    assert set(loads(after)) == {"a", "c"}
    assert max(loads(after).values()) <= 5
    assert plan_drain(before, "b", "b", ROUND_ROBIN) == Schedule()


def test_a_worker_is_lost_once_it_has_been_missing_for_longer_than_the_time() -> None:
    before, absences = scheduled(registered("f", 3)), Absences()
    (of_b,) = [key for key, each in before.items() if each.worker_id == "b"]
    assert absences.lost(before, "ac", 100.0, 60.0) == []
    assert absences.lost(before, "ac", 160.0, 60.0) == []
    assert absences.lost(before, "ac", 160.1, 60.0) == [of_b]


def test_a_worker_that_comes_back_is_not_lost() -> None:
    before, absences = scheduled(registered("f", 3)), Absences()
    absences.lost(before, "ac", 0.0, 60.0)
    absences.lost(before, "abc", 50.0, 60.0)
    assert absences.lost(before, "ac", 100.0, 60.0) == []
