"""What an instance tells whoever launched it."""

from __future__ import annotations

import json
import os

import pytest

from pulsar_runtimes.instance.notify import Notifier


@pytest.fixture
def pipe() -> tuple[int, int]:
    return os.pipe()


def test_events_are_lines_of_json(pipe: tuple[int, int]) -> None:
    environment = {"PFRUN_NOTIFY_FD": str(pipe[1]), "OTHER": "x"}
    notifier = Notifier.from_environment(environment)
    assert environment == {"OTHER": "x"}
    assert notifier.managed
    notifier.ready(port=1, metrics_port=2)
    notifier.failed("it's\nbad")
    os.close(pipe[1])
    with open(pipe[0]) as reader:
        lines = [json.loads(line) for line in reader]
    assert lines == [
        {"event": "ready", "port": 1, "metrics_port": 2},
        {"event": "failed", "reason": "it's\nbad"},
    ]


def test_a_child_of_the_function_does_not_inherit_the_pipe(pipe: tuple[int, int]) -> None:
    os.set_inheritable(pipe[1], True)
    Notifier.from_environment({"PFRUN_NOTIFY_FD": str(pipe[1])})
    assert not os.get_inheritable(pipe[1])
    for descriptor in pipe:
        os.close(descriptor)


def test_a_launcher_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    notifier = Notifier(pipe[1])
    os.close(pipe[0])
    notifier.ready(port=1, metrics_port=2)
    os.close(pipe[1])
    notifier.failed("nobody hears it")


@pytest.mark.parametrize("value", ["", "none", "-1", "1.5"])
def test_without_a_launcher_nothing_is_managed(value: str) -> None:
    notifier = Notifier.from_environment({"PFRUN_NOTIFY_FD": value})
    assert not notifier.managed
    notifier.failed("said to nobody")
