"""A function is changed while messages go through it, with real instances on a real broker."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pulsar_runtimes import PfrunError, RestartPolicy, State, Worker
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.status import FunctionStatus
from tests.channel import Channel
from tests.waiting import until
from tests.workers import Build, Run

pytestmark = pytest.mark.broker

KEY = "public/default/f"
_BATCH, _BATCHES_ON_THEIR_WAY = 20, 10
IMPATIENT = RestartPolicy(initial_seconds=0.05, give_up_after=3)

Open = Callable[[FunctionSpec], Channel]
Version = Callable[..., FunctionSpec]


@pytest.fixture
def version(tmp_path: Path, build: Build) -> Version:
    """``version("v1")`` is a function whose answers are marked with that, or whose code is ``body``."""

    def write(name: str, body: str = "", **keys: object) -> FunctionSpec:
        code = tmp_path / f"{name}.py"
        code.write_text(body or f"def process(input):\n    return '{name} ' + input\n")
        return build("x", py=str(code), className=name, **keys)

    return write


@contextmanager
def _stream(talk: Channel) -> Iterator[list[str]]:
    """Messages that go in all the time, some of them always on their way; gives all that the broker has got."""
    sent: list[str] = []
    ending = threading.Event()

    def converse() -> None:
        for number in itertools.count():
            batch = [f"{number}-{place}" for place in range(_BATCH)]
            talk.send(batch)
            sent.extend(batch)
            if number >= _BATCHES_ON_THEIR_WAY:
                talk.take(_BATCH)
            if ending.is_set():
                return

    thread = threading.Thread(target=converse)
    thread.start()
    try:
        yield sent
    finally:
        ending.set()
        thread.join()


def _update(worker: Worker, function: FunctionSpec) -> list[FunctionStatus]:
    """Submit ``function``; everything that could be seen until the update was over."""
    worker.submit(function)
    seen: list[FunctionStatus] = []

    def look() -> FunctionStatus:
        seen.append(worker.status(function.key))
        return seen[-1]

    until(look, lambda status: not status.is_updating)
    return seen


def _answers(talk: Channel) -> dict[str, set[str]]:
    """Which version answered what, in the order of their first answers."""
    answers: dict[str, set[str]] = {}
    for text in talk.received:
        name, _, message = text.partition(" ")
        answers.setdefault(name, set()).add(message)
    return answers


def _await_version(talk: Channel, name: str) -> None:
    """Wait until it is ``name`` that answers the stream."""
    until(lambda: talk.received[-1:], lambda last: bool(last) and last[0].startswith(f"{name} "))


def _check_that_nothing_is_lost(talk: Channel, sent: list[str]) -> None:
    """Wait until each of ``sent`` was answered, by whatever version."""

    def missing() -> set[str]:
        talk.poll()
        return set(sent).difference(*_answers(talk).values())

    until(missing, lambda left: not left, seconds=60)


@pytest.mark.parametrize("factory", ["thread", "process"])
def test_nothing_is_lost_and_something_runs_all_the_time(
    factory: str, run: Run, version: Version, channel: Open
) -> None:
    worker = run(factory)
    first = version("v1", parallelism=2)
    worker.submit(first)
    worker.wait_running(KEY)
    talk = channel(first)
    with _stream(talk) as sent:
        _await_version(talk, "v1")
        for name, parallelism in (("v2", 2), ("v3", 3), ("v4", 1)):
            seen = _update(worker, version(name, parallelism=parallelism))
            assert min(status.running for status in seen) >= 1
            assert not any(status.update_failure for status in seen)
            last = seen[-1].instances
            assert [(i.key.instance_id, i.state, i.restarts) for i in last] == [
                (number, State.RUNNING, 0) for number in range(parallelism)
            ]
            _await_version(talk, name)
    _check_that_nothing_is_lost(talk, sent)
    assert list(_answers(talk)) == ["v1", "v2", "v3", "v4"]


@pytest.mark.parametrize("factory", ["thread", "process"])
def test_a_broken_version_leaves_the_one_before_and_a_corrected_one_goes_in(
    factory: str, run: Run, version: Version, channel: Open
) -> None:
    worker = run(factory, policy=IMPATIENT)
    good = version("good", parallelism=2)
    worker.submit(good)
    before = worker.wait_running(KEY)
    runtimes = [worker.replica(instance.key) for instance in before.instances]
    talk = channel(good)
    broken = version("broken", "table = {}\nlimit = table['limit']\n\ndef process(input):\n    return input\n")
    with _stream(talk) as sent:
        seen = _update(worker, broken)
        assert {status.running for status in seen} == {2}
        after = seen[-1]
        assert "KeyError: 'limit'" in after.update_failure
        assert [(i.state, i.restarts, i.since) for i in after.instances] == [
            (State.RUNNING, 0, instance.since) for instance in before.instances
        ]
        assert [worker.replica(instance.key) for instance in after.instances] == runtimes
        assert worker.functions() == (good,)
        with pytest.raises(PfrunError, match=r"the update failed: .*KeyError: 'limit'"):
            worker.wait_running(KEY)

        worker.submit(broken)
        assert worker.status(KEY).is_updating
        until(lambda: worker.status(KEY), lambda status: bool(status.update_failure))

        corrected = version("corrected", parallelism=2)
        assert {status.running for status in _update(worker, corrected)} == {2}
        _await_version(talk, "corrected")
    assert worker.functions() == (corrected,)
    assert worker.wait_running(KEY).update_failure == ""
    _check_that_nothing_is_lost(talk, sent)
    assert list(_answers(talk)) == ["good", "corrected"]


def test_another_parallelism_leaves_the_others_running(run: Run, version: Version) -> None:
    worker = run("process")
    worker.submit(version("v1", parallelism=2))
    worker.wait_running(KEY)
    kept = [worker.replica(instance.key) for instance in worker.status(KEY).instances]
    for parallelism in (4, 2):
        worker.submit(version("v1", parallelism=parallelism))
        status = worker.wait_running(KEY)
        assert len(status.instances) == parallelism
        assert [worker.replica(instance.key) for instance in status.instances][:2] == kept
        assert [instance.restarts for instance in status.instances] == [0] * parallelism


def test_a_function_that_is_removed_while_it_is_updated_ends(run: Run, version: Version) -> None:
    worker = run("process")
    worker.submit(version("v1"))
    worker.wait_running(KEY)
    worker.submit(version("slow", "import time\ntime.sleep(3600)\n\ndef process(input):\n    return input\n"))
    assert worker.status(KEY).is_updating
    worker.remove(KEY)
    until(worker.statuses, lambda statuses: not statuses)
    assert worker.functions() == ()
