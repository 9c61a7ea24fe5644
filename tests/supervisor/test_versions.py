"""A function that is changed: its new version comes beside the old one, and takes over when it is ready."""

from __future__ import annotations

import threading

import pytest

from pulsar_runtimes.model.function import Language
from pulsar_runtimes.model.observation import Capabilities, Phase
from pulsar_runtimes.model.status import InstanceStatus, State
from pulsar_runtimes.testing import FakeClock, FakeRuntime, Script, function_spec, instance_spec
from tests.supervisor.stage import Stage, key
from tests.waiting import until

OLD, NEW, NEWER = "exclaim.Old", "exclaim.New", "exclaim.Newer"
LATE = Script(ready_after=5.0)
BROKEN = Script(start_error="no such class")


def play(stage: Stage, *scripts: Script, number: int = 0) -> None:
    stage.factory.play(f"public/default/f:{number}", *scripts)


def run(stage: Stage, instances: int = 1) -> list[FakeRuntime]:
    """The old version, running."""
    stage.want("f", instances, class_name=OLD)
    until(stage.states, lambda seen: set(seen.values()) == {State.RUNNING}, seconds=5)
    return list(stage.factory.runtimes)


def verbs(stage: Stage) -> list[str]:
    return [call.verb for call in stage.factory.calls]


def class_names(stage: Stage) -> list[str]:
    """What lives now, by its class."""
    living = [runtime for runtime in stage.factory.runtimes if runtime.observe().phase is not Phase.EXITED]
    return sorted(runtime.spec.function.class_name for runtime in living)


def until_started(stage: Stage, count: int) -> None:
    until(lambda: (stage.statuses(), verbs(stage).count("start"))[1], lambda starts: starts == count, seconds=5)
    stage.statuses()


def until_settled(stage: Stage) -> list[InstanceStatus]:
    return until(stage.statuses, lambda seen: not any(status.updating for status in seen), seconds=5)


def fail_update(stage: Stage) -> None:
    """Let the second and last chance of the new version pass."""
    until(lambda: stage.statuses() and pending(stage), lambda seen: State.BACKOFF in seen, seconds=5)
    stage.clock.advance(1.0)
    until_settled(stage)


def pending(stage: Stage) -> list[State]:
    """The states of what an update brings."""
    coming = stage.supervisor._functions[key("f")].coming
    return [record.state for record in coming.records()] if coming is not None else []


# It takes over


def test_the_old_one_stops_when_the_new_one_is_ready(stage: Stage) -> None:
    play(stage, Script(), LATE)
    (old,) = run(stage)
    (new,) = stage.want("f", class_name=NEW)
    until_started(stage, 2)
    stage.clock.advance(4.9)
    status = stage.the("f")
    assert (status.state, status.updating, verbs(stage)) == (State.RUNNING, True, ["start", "start"])
    assert stage.supervisor.runtime(new.key) is old

    stage.clock.advance(0.1)
    (status,) = until_settled(stage)

    assert (status.state, status.restarts, status.update_failure) == (State.RUNNING, 0, "")
    assert verbs(stage) == ["start", "start", "stop"]
    assert class_names(stage) == [NEW]
    assert stage.factory.runtimes[-1].spec == new


def test_while_the_old_one_drains_the_new_one_is_shown(stage: Stage) -> None:
    hold = threading.Event()
    play(stage, Script(stop_blocks=hold), Script())
    (old,) = run(stage)
    stage.want("f", class_name=NEW)
    try:
        until(lambda: (stage.statuses(), stage.factory.stopped)[1], seconds=5)
        status = stage.the("f")
        assert (status.state, status.updating) == (State.RUNNING, True)
        assert stage.supervisor.runtime(status.key) is not old
    finally:
        hold.set()
    until_settled(stage)


def test_the_old_one_has_its_whole_grace(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    graces: list[float] = []
    monkeypatch.setattr(stage.factory, "sleep", graces.append)
    play(stage, Script(ignores_stop=True), Script())
    run(stage)
    stage.want("f", class_name=NEW)
    until_settled(stage)
    assert graces == [7.0]


def test_an_update_shows_before_the_loop_has_seen_it(stage: Stage) -> None:
    run(stage)
    stage.want("f", 2, class_name=NEW)
    first, second = stage.supervisor.statuses()
    assert (first.state, first.updating) == (State.RUNNING, True)
    assert (second.state, second.updating) == (State.WAITING, True)


def test_no_old_one_stops_before_every_new_one_is_ready(stage: Stage) -> None:
    play(stage, Script(), LATE, number=1)
    run(stage, instances=3)
    stage.want("f", 3, class_name=NEW)
    until_started(stage, 6)
    assert [status.state for status in stage.statuses()] == [State.RUNNING] * 3
    assert stage.factory.stopped == []
    stage.clock.advance(5.0)
    until_settled(stage)
    assert class_names(stage) == [NEW] * 3


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_an_update_may_change_the_parallelism_as_well(before: int, after: int, stage: Stage) -> None:
    play(stage, Script(), LATE)
    run(stage, before)
    stage.want("f", after, class_name=NEW)
    until_started(stage, before + after)
    assert stage.factory.stopped == []
    stage.clock.advance(5.0)
    assert len(until_settled(stage)) == after
    assert class_names(stage) == [NEW] * after


def test_an_old_one_that_dies_is_replaced_and_not_restarted(stage: Stage) -> None:
    play(stage, Script(run_for=2.0, reason="it died"), LATE)
    run(stage)
    stage.want("f", class_name=NEW)
    until_started(stage, 2)
    stage.clock.advance(2.0)
    status = stage.the("f")
    assert (status.state, status.retry_in_seconds, status.updating) == (State.BACKOFF, None, True)
    stage.clock.advance(3.0)
    stage.until(f=State.RUNNING)
    until_settled(stage)
    assert verbs(stage) == ["start", "start", "stop"]
    assert stage.the("f").restarts == 0


def test_a_new_one_that_fails_once_is_tried_again(stage: Stage) -> None:
    play(stage, Script(), BROKEN, Script())
    run(stage)
    stage.want("f", class_name=NEW)
    until(lambda: stage.statuses() and pending(stage), lambda seen: seen == [State.BACKOFF], seconds=5)
    stage.clock.advance(1.0)
    (status,) = until_settled(stage)
    assert (status.state, status.update_failure, class_names(stage)) == (State.RUNNING, "", [NEW])


def test_what_cannot_be_told_hands_nothing_over(stage: Stage) -> None:
    play(stage, Script(), Script(unknown_between=(0, 50)))
    run(stage)
    stage.want("f", class_name=NEW)
    until_started(stage, 2)
    stage.clock.advance(49)
    assert stage.the("f").updating
    assert stage.factory.stopped == []
    stage.clock.advance(1)
    until_settled(stage)
    assert class_names(stage) == [NEW]


# The way back


def test_a_new_one_that_is_given_up_leaves_the_old_one_as_it_was(stage: Stage) -> None:
    play(stage, Script(), Script(start_error="no such class", log=("Traceback",)))
    (old,) = run(stage)
    before = stage.the("f")
    (new,) = stage.want("f", class_name=NEW)
    fail_update(stage)

    status = stage.the("f")
    assert (status.state, status.update_failure, status.updating) == (State.RUNNING, "no such class", False)
    assert (status.since, status.restarts, status.reason) == (before.since, 0, "")
    assert status.last_lines == ("Traceback",)
    assert stage.supervisor.runtime(new.key) is old
    assert [spec.function.class_name for spec in stage.supervisor.wanted(key("f"))] == [OLD]
    stage.clock.advance(1e6)
    stage.statuses()
    assert verbs(stage).count("start") == 3


def test_one_that_fails_takes_the_others_back(stage: Stage) -> None:
    play(stage, Script(), BROKEN, number=1)
    old = run(stage, instances=3)
    stage.want("f", 4, class_name=NEW)
    fail_update(stage)
    until(stage.states, lambda seen: len(seen) == 3, seconds=5)
    until(lambda: (stage.statuses(), class_names(stage))[1], lambda seen: seen == [OLD] * 3, seconds=5)
    assert {status.update_failure for status in stage.statuses()} == {"no such class"}
    assert all(runtime.observe().phase is Phase.RUNNING for runtime in old)


def test_the_same_version_may_be_tried_again(stage: Stage) -> None:
    play(stage, Script(), BROKEN, BROKEN, Script())
    run(stage)
    stage.want("f", class_name=NEW)
    fail_update(stage)
    stage.want("f", class_name=NEW)
    assert stage.supervisor.statuses()[0].update_failure == ""
    (status,) = until_settled(stage)
    assert (status.update_failure, class_names(stage)) == ("", [NEW])


def test_asking_for_what_runs_acknowledges_the_failure(stage: Stage) -> None:
    play(stage, Script(), BROKEN)
    run(stage)
    stage.want("f", class_name=NEW)
    fail_update(stage)
    starts = verbs(stage).count("start")
    stage.want("f", class_name=OLD)
    status = stage.the("f")
    assert (status.state, status.update_failure, verbs(stage).count("start")) == (State.RUNNING, "", starts)


def test_an_old_one_that_died_meanwhile_is_started_again(stage: Stage) -> None:
    play(stage, Script(run_for=0.5, reason="it died"), BROKEN, BROKEN, Script())
    run(stage)
    stage.want("f", class_name=NEW)
    fail_update(stage)
    stage.clock.advance(1.0)
    stage.until(f=State.RUNNING)
    status = stage.the("f")
    assert (status.update_failure, status.reason, status.restarts) == ("no such class", "it died", 1)
    assert class_names(stage) == [OLD]


def test_a_version_that_never_worked_has_no_way_back(stage: Stage) -> None:
    """Nothing is lost when it stops first, and the new one has as many chances as any."""
    play(stage, BROKEN)
    stage.want("f", class_name=OLD)
    stage.until(f=State.BACKOFF)
    stage.want("f", class_name=NEW)
    assert stage.supervisor.statuses()[0].state is State.STOPPING
    for seconds in (1.0, 2.0):
        stage.until(f=State.BACKOFF)
        stage.clock.advance(seconds)
    stage.until(f=State.FAILED)
    assert stage.the("f").update_failure == ""
    assert [spec.function.class_name for spec in stage.supervisor.wanted(key("f"))] == [NEW]
    assert verbs(stage) == ["start", "stop", "start", "start", "start"]


def test_an_old_one_that_was_given_up_is_replaced_at_once(stage: Stage) -> None:
    crash = Script(run_for=0.0, reason="it died")
    play(stage, crash, crash, crash, LATE)
    stage.want("f", class_name=OLD)
    for seconds in (1.0, 2.0):
        stage.until(f=State.BACKOFF)
        stage.clock.advance(seconds)
    stage.until(f=State.FAILED)
    stage.want("f", class_name=NEW)
    assert stage.supervisor.statuses()[0].state is State.STOPPING
    stage.until(f=State.STARTING)
    assert not stage.the("f").updating


# What comes in between


def test_a_newer_version_replaces_the_one_that_is_coming(stage: Stage) -> None:
    play(stage, Script(), LATE, Script())
    run(stage)
    stage.want("f", class_name=NEW)
    until_started(stage, 2)
    stage.want("f", class_name=NEWER)
    until_settled(stage)
    assert class_names(stage) == [NEWER]
    assert [runtime.spec.function.class_name for runtime in stage.factory.runtimes] == [
        OLD,
        NEW,
        NEWER,
    ]


def test_a_newer_version_waits_until_the_one_it_replaces_is_gone(stage: Stage) -> None:
    hold = threading.Event()
    play(stage, Script(), Script(ready_after=5.0, stop_blocks=hold), Script())
    run(stage)
    stage.want("f", class_name=NEW)
    until_started(stage, 2)
    stage.want("f", class_name=NEWER)
    try:
        until(lambda: (stage.statuses(), stage.factory.stopped)[1], seconds=5)
        stage.statuses()
        assert stage.the("f").state is State.RUNNING
        assert verbs(stage) == ["start", "start", "stop"]
    finally:
        hold.set()
    until_settled(stage)
    assert class_names(stage) == [NEWER]


def test_going_back_to_what_runs_ends_the_update(stage: Stage) -> None:
    play(stage, Script(), LATE)
    (old,) = run(stage)
    stage.want("f", class_name=NEW)
    until_started(stage, 2)
    (spec,) = stage.want("f", class_name=OLD)
    until_settled(stage)
    assert stage.supervisor.runtime(spec.key) is old
    assert class_names(stage) == [OLD]


def test_removing_the_function_ends_both(stage: Stage) -> None:
    play(stage, Script(), LATE)
    run(stage)
    stage.want("f", class_name=NEW)
    until_started(stage, 2)
    stage.supervisor.want(key("f"), ())
    assert [status.state for status in stage.supervisor.statuses()] == [State.STOPPING]
    until(stage.states, lambda seen: not seen, seconds=5)
    assert class_names(stage) == []


def test_stopping_the_supervisor_ends_both(stage: Stage) -> None:
    play(stage, Script(), LATE)
    run(stage)
    stage.want("f", class_name=NEW)
    until_started(stage, 2)
    stage.supervisor.stop()
    assert class_names(stage) == []


def test_a_revive_gives_a_coming_version_its_next_chance_at_once(stage: Stage) -> None:
    play(stage, Script(), BROKEN, Script())
    run(stage)
    stage.want("f", class_name=NEW)
    until(lambda: stage.statuses() and pending(stage), lambda seen: seen == [State.BACKOFF], seconds=5)
    stage.supervisor.revive(key("f"))
    until_settled(stage)
    assert class_names(stage) == [NEW]


# More and fewer


def test_more_instances_are_added_to_those_that_run(stage: Stage) -> None:
    old = run(stage, instances=2)
    stage.want("f", 4, class_name=OLD)
    assert [status.updating for status in stage.supervisor.statuses()] == [False] * 4
    until(stage.states, lambda seen: list(seen.values()) == [State.RUNNING] * 4, seconds=5)
    assert verbs(stage) == ["start"] * 4
    assert stage.factory.runtimes[:2] == old


def test_fewer_instances_leave_the_others_running(stage: Stage) -> None:
    run(stage, instances=3)
    stage.want("f", 1, class_name=OLD)
    states = {str(status.key.instance_id): status.state for status in stage.supervisor.statuses()}
    assert states == {"0": State.RUNNING, "1": State.STOPPING, "2": State.STOPPING}
    until(stage.states, lambda seen: list(seen.values()) == [State.RUNNING], seconds=5)
    assert verbs(stage).count("start") == 3
    assert sorted(str(instance) for instance in stage.factory.stopped) == ["public/default/f:1", "public/default/f:2"]


def test_new_random_ids_change_nothing(stage: Stage) -> None:
    specs = stage.want("f", class_name=OLD)
    stage.until(f=State.RUNNING)
    again = instance_spec(function=specs[0].function, function_id="other", function_version="other")
    stage.supervisor.want(key("f"), [again])
    assert not stage.the("f").updating
    assert verbs(stage) == ["start"]


def test_a_restart_has_the_parallelism_of_now(stage: Stage) -> None:
    play(stage, Script(run_for=5.0), Script())
    run(stage)
    stage.want("f", 2, class_name=OLD)
    stage.statuses()
    stage.clock.advance(5.0)
    stage.until(f=State.BACKOFF)
    stage.clock.advance(1.0)
    stage.until(f=State.RUNNING)
    assert stage.factory.runtimes[-1].spec.function.parallelism == 2


def test_more_instances_may_be_asked_for_during_an_update(stage: Stage) -> None:
    play(stage, Script(), LATE)
    run(stage)
    stage.want("f", class_name=NEW)
    until_started(stage, 2)
    stage.want("f", 2, class_name=NEW)
    until_started(stage, 3)
    assert stage.factory.stopped == []
    stage.clock.advance(5.0)
    until_settled(stage)
    assert class_names(stage) == [NEW] * 2


# In place


@pytest.mark.parametrize(
    "capabilities",
    [
        Capabilities(frozenset({Language.PYTHON}), runs_all_replicas=True),
        Capabilities(frozenset({Language.PYTHON}), restarts_itself=True),
    ],
)
def test_a_backend_that_replaces_instances_itself_gets_a_stop_and_a_start(
    capabilities: Capabilities, fake_clock: FakeClock
) -> None:
    stage = Stage(fake_clock, capabilities)
    run(stage)
    stage.want("f", class_name=NEW)
    assert stage.supervisor.statuses()[0].state is State.STOPPING
    until_started(stage, 2)
    until_settled(stage)
    assert verbs(stage) == ["start", "stop", "start"]
    stage.supervisor.stop()


HANDED = Capabilities(frozenset({Language.PYTHON}), runs_all_replicas=True, restarts_itself=True, updates_in_place=True)


def test_a_backend_that_can_is_handed_the_new_version(fake_clock: FakeClock) -> None:
    stage = Stage(fake_clock, HANDED)
    (runtime,) = run(stage)
    stage.want("f", class_name=NEW)
    assert stage.supervisor.statuses()[0].state is State.RUNNING
    until(lambda: (stage.statuses(), verbs(stage))[1], lambda seen: "update" in seen, seconds=5)
    assert until(stage.states, lambda seen: seen == {"f:0": State.RUNNING}, seconds=5)
    assert verbs(stage) == ["start", "update"]
    assert runtime.spec.function.class_name == NEW
    assert stage.supervisor.wanted(key("f"))[0].function.class_name == NEW
    stage.want("f", class_name=NEW)
    stage.statuses()
    assert verbs(stage) == ["start", "update"]
    stage.supervisor.stop()


def test_what_cannot_become_the_new_version_stops_and_starts_as_that(fake_clock: FakeClock) -> None:
    stage = Stage(fake_clock, HANDED)
    play(stage, Script(refuses_update=True))
    run(stage)
    stage.want("f", class_name=NEW)
    until_started(stage, 2)
    until(stage.states, lambda seen: seen == {"f:0": State.RUNNING}, seconds=5)
    assert verbs(stage) == ["start", "update", "stop", "start"]
    assert class_names(stage) == [NEW]
    stage.supervisor.stop()


def test_one_that_was_given_up_starts_as_the_new_version(fake_clock: FakeClock) -> None:
    stage = Stage(fake_clock, HANDED)
    play(stage, BROKEN, BROKEN, BROKEN, Script())
    stage.want("f", class_name=OLD)
    for _ in range(3):
        until(stage.states, lambda seen: seen["f:0"] in (State.BACKOFF, State.FAILED), seconds=5)
        fake_clock.advance(20.0)
    until(stage.states, lambda seen: seen == {"f:0": State.FAILED}, seconds=5)
    stage.want("f", class_name=NEW)
    until(stage.states, lambda seen: seen == {"f:0": State.RUNNING}, seconds=5)
    assert "update" not in verbs(stage)
    assert class_names(stage) == [NEW]
    stage.supervisor.stop()


def test_what_another_worker_looks_after_is_left_as_it_is(fake_clock: FakeClock) -> None:
    stage = Stage(fake_clock, HANDED)
    run(stage)
    stage.supervisor.leave(key("f"))
    until(stage.states, lambda seen: not seen, seconds=5)
    assert verbs(stage) == ["start", "leave"]
    stage.supervisor.stop()


def test_what_comes_back_before_it_was_left_stays(fake_clock: FakeClock) -> None:
    stage = Stage(fake_clock, HANDED)
    run(stage)
    stage.supervisor.leave(key("f"))
    stage.want("f", class_name=OLD)
    stage.statuses()
    stage.supervisor.want(key("f"), ())
    until(stage.states, lambda seen: not seen, seconds=5)
    assert verbs(stage) == ["start", "stop"]
    stage.supervisor.stop()


def test_a_stop_that_takes_long_holds_up_no_start(fake_clock: FakeClock) -> None:
    stage = Stage(fake_clock)
    blocked = threading.Event()
    for number in range(40):
        stage.factory.play(f"public/default/old{number}:0", Script(stop_blocks=blocked))
        stage.want(f"old{number}")
    until(stage.states, lambda seen: set(seen.values()) == {State.RUNNING}, seconds=5)
    for number in range(40):
        stage.supervisor.want(key(f"old{number}"), ())
    stage.want("new")
    stage.until(new=State.RUNNING)
    blocked.set()
    stage.supervisor.stop()


def test_instances_that_cannot_run_side_by_side_are_stopped_first(stage: Stage) -> None:
    run(stage)
    new = instance_spec(function=function_spec(name="f", class_name=NEW))
    stage.supervisor.want(key("f"), [new], in_place=True)
    until_started(stage, 2)
    until_settled(stage)
    assert verbs(stage) == ["start", "stop", "start"]
    assert stage.the("f").state is State.RUNNING
