"""The decisions about an old and a new version of a function."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pulsar_runtimes.model.function import ConsumerSpec, Language, SourceSpec
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.model.status import State
from pulsar_runtimes.supervisor.record import Record
from pulsar_runtimes.supervisor.update import (
    Move,
    is_guarded,
    next_move,
    same_version,
    updates_in_place,
)
from pulsar_runtimes.testing import function_spec, instance_spec

FUNCTION = FunctionKey("public", "default", "f")
WAITING, STARTING, RUNNING = State.WAITING, State.STARTING, State.RUNNING
BACKOFF, FAILED = State.BACKOFF, State.FAILED
GO_ON, HAND_OVER, WAY_BACK = Move.GO_ON, Move.HAND_OVER, Move.WAY_BACK


def records(*states: State, was_ready: bool = True) -> list[Record]:
    return [Record(InstanceKey(FUNCTION, n), state, was_ready=was_ready) for n, state in enumerate(states)]


@pytest.mark.parametrize(
    ("old", "new", "move"),
    [
        ([RUNNING], [WAITING], GO_ON),
        ([RUNNING], [STARTING], GO_ON),
        ([RUNNING], [BACKOFF], GO_ON),
        ([RUNNING], [RUNNING], HAND_OVER),
        ([RUNNING], [FAILED], WAY_BACK),
        # all together
        ([RUNNING, RUNNING], [RUNNING, STARTING], GO_ON),
        ([RUNNING, RUNNING], [RUNNING, RUNNING], HAND_OVER),
        ([RUNNING, RUNNING], [RUNNING, FAILED], WAY_BACK),
        ([RUNNING], [RUNNING, STARTING], GO_ON),
        ([RUNNING, RUNNING], [RUNNING], HAND_OVER),
        # an old one that is down is something to come back to, one that was given up is not
        ([BACKOFF], [STARTING], GO_ON),
        ([BACKOFF], [RUNNING], HAND_OVER),
        ([BACKOFF], [FAILED], WAY_BACK),
        ([FAILED], [WAITING], HAND_OVER),
        ([FAILED, RUNNING], [WAITING, WAITING], GO_ON),
        ([FAILED, FAILED], [WAITING, WAITING], HAND_OVER),
    ],
)
def test_the_next_move_follows_from_the_states(old: list[State], new: list[State], move: Move) -> None:
    assert next_move(records(*old), records(*new, was_ready=False), in_place=False) is move


@pytest.mark.parametrize("old", [WAITING, STARTING, BACKOFF, FAILED])
def test_a_version_that_never_worked_makes_room_at_once(old: State) -> None:
    assert next_move(records(old, was_ready=False), records(WAITING), in_place=False) is HAND_OVER


@pytest.mark.parametrize("new", [WAITING, STARTING, FAILED])
def test_in_place_nothing_runs_side_by_side(new: State) -> None:
    assert next_move(records(RUNNING), records(new), in_place=True) is HAND_OVER
    assert not is_guarded(records(RUNNING), in_place=True)


@pytest.mark.parametrize(
    ("capabilities", "in_place"),
    [
        (Capabilities(frozenset(Language)), False),
        (Capabilities(frozenset(Language), runs_all_replicas=True), True),
        (Capabilities(frozenset(Language), restarts_itself=True), True),
    ],
)
def test_backends_that_replace_instances_themselves_update_in_place(capabilities: Capabilities, in_place: bool) -> None:
    assert updates_in_place(capabilities) is in_place


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"function_id": "other", "function_version": "other"}, True),
        ({"first_consumer_number": 16}, True),
        ({"function": function_spec(parallelism=7)}, True),
        ({"function": function_spec(class_name="exclaim.Louder")}, False),
        ({"function": function_spec(source=SourceSpec(input_specs={"persistent://a/b/c": ConsumerSpec()}))}, False),
        ({"code_file": "/functions/other.py"}, False),
        ({"service_url": "pulsar://elsewhere:6650"}, False),
        ({"instance_id": 1, "code_file": "/functions/other.py"}, True),  # no number in common
    ],
)
def test_what_makes_another_version(changes: dict[str, object], same: bool) -> None:
    assert same_version([instance_spec()], [instance_spec(**changes)]) is same


def test_one_that_stands_for_all_replicas_is_another_with_another_parallelism() -> None:
    one, two = (instance_spec(function=function_spec(parallelism=n), instance_id=-1) for n in (1, 2))
    assert not same_version([one], [two])
    assert same_version([one], [replace(one, function_id="other")])
