"""A restart that somebody asked for."""

from __future__ import annotations

from pulsar_runtimes.model.status import State
from tests.supervisor.stage import Stage, key
from tests.waiting import until


def _restarts(stage: Stage) -> list[int]:
    return [status.restarts for status in stage.statuses() if status.state is State.RUNNING]


def test_all_instances_are_stopped_and_started_anew(stage: Stage) -> None:
    specs = stage.want("f", instances=2)
    stage.until(f=State.RUNNING)
    stage.supervisor.restart(key("f"))
    until(lambda: _restarts(stage), lambda seen: seen == [1, 1], seconds=5)
    assert sorted(stage.factory.started) == sorted(spec.key for spec in specs * 2)


def test_one_instance_is_restarted_and_the_others_are_left_alone(stage: Stage) -> None:
    specs = stage.want("f", instances=2)
    until(lambda: _restarts(stage), lambda seen: seen == [0, 0], seconds=5)
    stage.supervisor.restart(key("f"), 1)
    until(lambda: _restarts(stage), lambda seen: seen == [0, 1], seconds=5)
    assert sorted(stage.factory.started) == sorted(spec.key for spec in (*specs, specs[1]))


def test_a_restart_of_what_is_not_there_changes_nothing(stage: Stage) -> None:
    stage.want("f")
    stage.until(f=State.RUNNING)
    stage.supervisor.restart(key("other"))
    stage.supervisor.restart(key("f"), 7)
    assert stage.the("f").state is State.RUNNING
    assert stage.the("f").restarts == 0
