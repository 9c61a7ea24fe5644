"""Asking all instances again and again, so that nobody else waits for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.runtimes.base import Replica, Runtime
from pulsar_runtimes.service.collector import Collector
from pulsar_runtimes.testing import FakeRuntimeFactory, function_spec, instance_spec
from tests.waiting import until

SLOW, QUICK = (instance_spec(function=function_spec(name=name)) for name in ("slow", "quick"))


class Instances:
    """What a collector wants of a worker."""

    def __init__(self) -> None:
        self.factory = FakeRuntimeFactory()
        self.found: dict[InstanceKey, Replica] = {each.key: self.factory.create(each) for each in (SLOW, QUICK)}

    def replicas(self) -> dict[InstanceKey, Replica]:
        return dict(self.found)


def key_of(replica: Replica) -> InstanceKey:
    assert isinstance(replica, Runtime)
    return replica.spec.key


@pytest.fixture
def instances() -> Instances:
    return Instances()


@pytest.fixture
def collect(instances: Instances) -> Iterator[Callable[..., Collector[InstanceKey, Replica, Any]]]:
    """``collect(ask)`` is a started collector over ``instances``."""
    with ExitStack() as open_:

        def start(ask: Callable[[Replica], Any], **options: Any) -> Collector[InstanceKey, Replica, Any]:
            collector = Collector(instances.replicas, ask, period_seconds=0.02, name="test", **options)
            collector.start()
            open_.callback(collector.stop)
            return collector

        yield start


def test_one_that_does_not_answer_holds_up_nobody(collect: Callable[..., Collector[InstanceKey, Replica, Any]]) -> None:
    answer_it = threading.Event()
    asked: list[InstanceKey] = []

    def ask(runtime: Replica) -> int:
        key = key_of(runtime)
        asked.append(key)
        if key == SLOW.key:
            answer_it.wait(20)
        return asked.count(key)

    collector = collect(ask)
    until(lambda: collector.answers().get(QUICK.key), lambda answer: answer is not None and answer.value > 3)
    assert SLOW.key not in collector.answers()
    assert asked.count(SLOW.key) == 1
    answer_it.set()
    until(lambda: SLOW.key in collector.answers())


def test_what_is_gone_or_new_has_no_answer_of_before(
    collect: Callable[..., Collector[InstanceKey, Replica, Any]], instances: Instances
) -> None:
    collector = collect(lambda runtime: id(runtime))
    until(lambda: len(collector.answers()), lambda count: count == 2)
    del instances.found[SLOW.key]
    instances.found[QUICK.key] = anew = instances.factory.create(QUICK)
    until(
        lambda: {key: answer.value for key, answer in collector.answers().items()},
        lambda seen: seen == {QUICK.key: id(anew)},
    )


def test_nobody_is_asked_while_nobody_looks(collect: Callable[..., Collector[InstanceKey, Replica, Any]]) -> None:
    asked: list[float] = []
    collector = collect(lambda runtime: asked.append(time.monotonic()), idle_seconds=0.05)
    assert collector.answers() == {}
    until(lambda: len(collector.answers()), lambda count: count == 2)
    until(lambda: time.monotonic() - asked[-1], lambda seconds: seconds > 0.5)
    assert collector.answers() == {}  # what was known is old
    until(lambda: len(collector.answers()), lambda count: count == 2)


def test_a_runtime_that_breaks_its_contract_costs_only_its_own_answer(
    collect: Callable[..., Collector[InstanceKey, Replica, Any]],
) -> None:
    def ask(runtime: Replica) -> str:
        if key_of(runtime) == SLOW.key:
            raise ValueError("not today")
        return "well"

    collector = collect(ask)
    until(lambda: list(collector.answers()), lambda keys: keys == [QUICK.key])


def test_a_round_is_told_when_all_have_answered(collect: Callable[..., Collector[InstanceKey, Replica, Any]]) -> None:
    rounds: list[int] = []
    collect(lambda runtime: 1, on_round=lambda answers: rounds.append(len(answers)))
    until(lambda: 2 in rounds)
