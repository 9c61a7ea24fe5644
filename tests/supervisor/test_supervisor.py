"""The loop, moved by hand: time is a number, and starts and stops play a script."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.model.status import State
from pulsar_runtimes.supervisor.supervisor import Supervisor
from pulsar_runtimes.testing import FakeClock, FakeRuntime, FakeRuntimeFactory, Script, function_spec, instance_spec
from tests.supervisor.stage import POLICY, Stage, key
from tests.waiting import until

# Starting


def test_what_is_wanted_is_started(stage: Stage) -> None:
    specs = stage.want("f", instances=3)
    until(stage.states, lambda seen: set(seen.values()) == {State.RUNNING}, seconds=5)
    assert sorted(stage.factory.started) == [spec.key for spec in specs]


def test_a_start_failure_backs_off(stage: Stage) -> None:
    stage.factory.play("public/default/f:0", Script(start_error="no such file"), Script())
    stage.want("f")
    stage.until(f=State.BACKOFF)
    status = stage.the("f")
    assert (status.reason, status.phase, status.retry_in_seconds) == ("no such file", Phase.EXITED, 1.0)
    stage.clock.advance(0.9)
    assert stage.the("f").state is State.BACKOFF
    stage.clock.advance(0.1)
    stage.until(f=State.RUNNING)
    assert stage.the("f").restarts == 1


def test_an_unexpected_error_in_a_start_backs_off_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(spec: InstanceSpec) -> FakeRuntime:
        raise ZeroDivisionError("division by\nzero")

    monkeypatch.setattr(stage.factory, "create", create)
    stage.want("f")
    stage.until(f=State.BACKOFF)
    assert stage.the("f").reason == "ZeroDivisionError: division by"


def test_an_error_without_a_text_is_named_by_its_kind(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(spec: InstanceSpec) -> FakeRuntime:
        raise LaunchError

    monkeypatch.setattr(stage.factory, "create", create)
    stage.want("f")
    stage.until(f=State.BACKOFF)
    assert stage.the("f").reason == "LaunchError: "


def test_a_start_that_blocks_delays_no_other(stage: Stage) -> None:
    go = threading.Event()
    stage.factory.play("public/default/slow:0", Script(start_blocks=go))
    stage.want("slow")
    stage.want("quick")
    try:
        stage.until(slow=State.STARTING, quick=State.RUNNING)
        stage.clock.advance(3600)
        assert stage.the("slow").state is State.STARTING
    finally:
        go.set()
    stage.until(slow=State.RUNNING)


# Restarting


def test_a_crash_loop_ends_failed_with_its_reason(stage: Stage) -> None:
    stage.factory.play("public/default/f:0", Script(run_for=0.5, exit_code=3, reason="ValueError: no"))
    stage.want("f")
    delays = []
    for _ in range(2):
        stage.until(f=State.RUNNING)
        stage.clock.advance(0.5)
        stage.until(f=State.BACKOFF)
        delays.append(stage.the("f").retry_in_seconds)
        stage.clock.advance(delays[-1] or 0.0)
    stage.until(f=State.RUNNING)
    stage.clock.advance(0.5)
    stage.until(f=State.FAILED)
    assert delays == [1.0, 2.0]
    stage.clock.advance(1e6)
    status = stage.the("f")
    assert (status.state, status.reason, status.exit_code) == (State.FAILED, "ValueError: no", 3)
    assert len(stage.factory.started) == 3


def test_revive_starts_a_given_up_instance(stage: Stage) -> None:
    crash = Script(run_for=0.0, reason="broken")
    stage.factory.play("public/default/f:0", crash, crash, crash, Script())
    stage.want("f")
    for seconds in (1.0, 2.0):
        stage.until(f=State.BACKOFF)
        stage.clock.advance(seconds)
    stage.until(f=State.FAILED)
    stage.supervisor.revive(key("f"))
    stage.until(f=State.RUNNING)
    assert stage.the("f").restarts == 3


def test_revive_does_not_wait_for_the_next_chance(stage: Stage) -> None:
    stage.factory.play("public/default/f:0", Script(start_error="no"), Script())
    stage.want("f")
    stage.until(f=State.BACKOFF)
    stage.supervisor.revive(key("f"))
    stage.until(f=State.RUNNING)


def test_what_cannot_be_told_is_left_alone(stage: Stage) -> None:
    stage.factory.play("public/default/f:0", Script(unknown_between=(5, 100)))
    stage.want("f")
    stage.until(f=State.RUNNING)
    for _ in range(4):
        stage.clock.advance(24)
        status = stage.the("f")
        assert (status.state, status.phase) == (State.RUNNING, Phase.UNKNOWN)
    assert len(stage.factory.started) == 1


def test_an_observe_that_raises_is_unknown(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def observe(self: FakeRuntime) -> Observation:
        raise OSError("the disk is\non fire")

    stage.want("f")
    stage.want("g")
    stage.until(f=State.RUNNING, g=State.RUNNING)
    with monkeypatch.context() as patch:
        patch.setattr(FakeRuntime, "observe", observe)
        status = stage.the("f")
        assert (status.state, status.phase, status.reason) == (
            State.RUNNING,
            Phase.UNKNOWN,
            "OSError: the disk is",
        )
    assert stage.the("f").phase is Phase.RUNNING
    assert len(stage.factory.started) == 2


def test_last_lines_that_cannot_be_read_do_not_end_the_loop(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def log_lines(self: FakeRuntime, last: int) -> list[str]:
        raise OSError("no log")

    monkeypatch.setattr(FakeRuntime, "log_lines", log_lines)
    stage.factory.play("public/default/f:0", Script(run_for=0.0))
    stage.want("f")
    stage.until(f=State.BACKOFF)
    assert stage.the("f").last_lines == ()


def test_the_last_lines_of_what_ended_are_kept(stage: Stage) -> None:
    stage.factory.play("public/default/f:0", Script(run_for=0.0, log=("one", "two")), Script(log=("three",)))
    stage.want("f")
    stage.until(f=State.BACKOFF)
    stage.clock.advance(1.0)
    stage.until(f=State.RUNNING)
    assert stage.the("f").last_lines == ("one", "two")


# Changing


def test_an_equal_spec_changes_nothing(stage: Stage) -> None:
    stage.want("f")
    stage.until(f=State.RUNNING)
    stage.want("f")
    stage.statuses()
    assert [call.verb for call in stage.factory.calls] == ["start"]


def test_what_is_no_longer_wanted_is_stopped_and_forgotten(stage: Stage) -> None:
    specs = stage.want("f", instances=2)
    stage.want("g")
    stage.until(f=State.RUNNING, g=State.RUNNING)
    stage.supervisor.want(key("f"), specs[:1])
    until(stage.states, lambda seen: "f:1" not in seen, seconds=5)
    stage.supervisor.want(key("f"), ())
    until(stage.states, lambda seen: set(seen) == {"g:0"}, seconds=5)
    assert [str(instance) for instance in stage.factory.stopped] == ["public/default/f:1", "public/default/f:0"]


def test_what_was_removed_while_it_started_is_stopped(stage: Stage) -> None:
    go = threading.Event()
    stage.factory.play("public/default/f:0", Script(start_blocks=go))
    stage.want("f")
    try:
        stage.until(f=State.STARTING)
        until(lambda: stage.factory.started, seconds=5)
        stage.supervisor.want(key("f"), ())
        stage.statuses()
        assert stage.factory.stopped == []
    finally:
        go.set()
    until(stage.states, lambda seen: not seen, seconds=5)
    assert stage.factory.runtimes[0].observe().phase is Phase.EXITED


def test_what_is_wanted_again_while_it_stops_is_started_anew(stage: Stage) -> None:
    hold = threading.Event()
    stage.factory.play("public/default/f:0", Script(stop_blocks=hold), Script())
    stage.want("f")
    stage.until(f=State.RUNNING)
    stage.supervisor.want(key("f"), ())
    stage.until(f=State.STOPPING)
    stage.want("f")
    stage.until(f=State.STOPPING)
    hold.set()
    stage.until(f=State.RUNNING)
    assert [runtime.observe().phase for runtime in stage.factory.runtimes] == [Phase.EXITED, Phase.RUNNING]


# Seeing


def test_statuses_are_in_the_order_of_their_keys(stage: Stage) -> None:
    stage.want("b")
    stage.want("c")
    stage.want("a", instances=11)
    names = [f"{status.key.function.name}{status.key.instance_id}" for status in stage.supervisor.statuses()]
    assert names == [*(f"a{number}" for number in range(11)), "b0", "c0"]
    assert [f"{s.key.function.name}{s.key.instance_id}" for s in stage.statuses()] == names


def test_what_is_wanted_shows_before_the_loop_has_seen_it(stage: Stage) -> None:
    stage.want("f")
    (status,) = stage.supervisor.statuses()
    assert (status.state, status.phase) == (State.WAITING, Phase.CREATED)


# The end


@pytest.mark.parametrize("instances", [3, 50])
def test_stop_stops_all_at_once(stage: Stage, instances: int) -> None:
    """Fifty are more than the pool has threads. Each holds its stop until all have been asked."""
    hold = [threading.Event() for _ in range(instances)]
    for number, event in enumerate(hold):
        stage.factory.play(f"public/default/f:{number}", Script(stop_blocks=event))
    stage.want("f", instances)
    until(stage.states, lambda seen: set(seen.values()) == {State.RUNNING}, seconds=5)
    stopper = threading.Thread(target=stage.supervisor.stop)
    stopper.start()
    try:
        until(lambda: len(stage.factory.stopped), lambda stopped: stopped == instances, seconds=5)
    finally:
        for event in hold:
            event.set()
    stopper.join(5)
    assert not stopper.is_alive()
    assert {runtime.observe().phase for runtime in stage.factory.runtimes} == {Phase.EXITED}


def test_one_that_takes_its_whole_grace_takes_no_other_s(fake_clock: FakeClock) -> None:
    grace: list[float] = []
    factory = FakeRuntimeFactory(Script(ignores_stop=True), clock=fake_clock, sleep=grace.append)
    supervisor = Supervisor(factory, clock=fake_clock, stop_grace_seconds=7.0)
    function = function_spec()
    supervisor.want(function.key, [instance_spec(function=function, instance_id=number) for number in range(40)])

    def phases() -> set[Phase]:
        supervisor.tick()
        return {status.phase for status in supervisor.statuses()}

    until(phases, lambda seen: seen == {Phase.RUNNING}, seconds=5)
    supervisor.stop()
    assert len(grace) == 40
    assert min(grace) > 5.0, f"each has the whole grace of 7 s, less the moment the calls take (got {min(grace):.1f})"


def test_stop_may_be_called_again_and_before_any_start(fake_clock: FakeClock) -> None:
    supervisor = Supervisor(FakeRuntimeFactory(), clock=fake_clock)
    supervisor.stop()
    supervisor.stop()


def test_a_stop_that_fails_keeps_no_other_from_stopping(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    really_stop: Callable[..., None] = FakeRuntime.stop

    def stop(self: FakeRuntime, *, grace_seconds: float) -> None:
        really_stop(self, grace_seconds=grace_seconds)
        if self.spec.function.name == "f":
            raise LaunchError("it does not end even when killed")

    stage.want("f")
    stage.want("g")
    stage.until(f=State.RUNNING, g=State.RUNNING)
    monkeypatch.setattr(FakeRuntime, "stop", stop)
    stage.supervisor.stop()
    assert sorted(instance.function.name for instance in stage.factory.stopped) == ["f", "g"]


def test_the_loop_looks_when_a_restart_is_due_without_being_woken() -> None:
    """The one test with real time: start() runs the loop, which must not oversleep a short delay."""
    factory = FakeRuntimeFactory()
    factory.play("public/default/exclaim:0", Script(start_error="no"), Script())
    policy = replace(POLICY, initial_seconds=0.05)
    supervisor = Supervisor(factory, policy, look_seconds=60.0)
    supervisor.start()
    try:
        supervisor.want(function_spec().key, [instance_spec()])
        until(lambda: len(factory.started), lambda starts: starts == 2, seconds=5)
    finally:
        supervisor.stop()
    assert factory.runtimes[-1].observe().phase is Phase.EXITED
