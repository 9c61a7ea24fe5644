"""Consumers of one subscription never meet under one number, also after instances have died."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pulsar
import pytest

from pulsar_runtimes.model.function import ConsumerSpec, InstanceSpec, SourceSpec
from pulsar_runtimes.runtimes.process.runtime import ProcessRuntime
from pulsar_runtimes.testing import function_spec, instance_spec
from pulsar_runtimes.worker.consumer_numbers import ConsumerNumbers
from tests.channel import Channel
from tests.waiting import until
from tests.workers import Build, Run


def spec_of(name: str = "f", *, inputs: int = 1, parallelism: int = 1) -> InstanceSpec:
    source = SourceSpec(input_specs={f"in-{number}": ConsumerSpec() for number in range(inputs)})
    return instance_spec(function=function_spec(name=name, source=source, parallelism=parallelism))


def test_each_start_has_numbers_of_its_own_and_each_function_counts_by_itself(tmp_path: Path) -> None:
    numbers = ConsumerNumbers(tmp_path / "numbers.json")
    taken = [numbers.number(spec_of(inputs=3)).first_consumer_number for _ in range(4)]
    assert taken == [0, 3, 6, 9]
    assert numbers.number(spec_of("other")).first_consumer_number == 0


@pytest.mark.parametrize(("inputs", "parallelism", "span"), [(1, 1, 256), (2, 100, 800)])
def test_numbers_come_again_only_after_a_long_while(inputs: int, parallelism: int, span: int, tmp_path: Path) -> None:
    numbers = ConsumerNumbers(tmp_path / "numbers.json")
    spec = spec_of(inputs=inputs, parallelism=parallelism)
    taken = [numbers.number(spec).first_consumer_number for _ in range(span // inputs + 1)]
    assert len(set(taken)) == span // inputs and taken[-1] == 0


@pytest.mark.parametrize("left", [None, "", "[]", '{"public/default/f": "x"}'])
def test_the_next_worker_counts_on_and_a_file_that_is_broken_is_forgotten(left: str | None, tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    if left is None:
        ConsumerNumbers(path).number(spec_of())
        assert ConsumerNumbers(path).number(spec_of()).first_consumer_number == 1
    else:
        path.write_text(left)
        assert ConsumerNumbers(path).number(spec_of()).first_consumer_number == 0


def test_nothing_else_of_a_spec_is_touched(tmp_path: Path) -> None:
    spec = spec_of()
    numbers = ConsumerNumbers(tmp_path / "numbers.json")
    numbers.number(spec)
    assert replace(numbers.number(spec), first_consumer_number=0) == spec


@pytest.mark.broker
def test_an_instance_that_is_killed_under_load_is_replaced_again_and_again(run: Run, build: Build) -> None:
    worker = run("process", embedded=True)
    function = build("Exclaim")
    worker.submit(function)
    client = pulsar.Client(worker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    talk = Channel(client, function)
    for part in range(3):
        status = worker.wait_running(function.key, seconds=10)
        runtime = worker.replica(status.instances[0].key)
        assert isinstance(runtime, ProcessRuntime) and runtime.pid is not None
        talk.send(f"{part}-{number}" for number in range(1000))
        os.kill(runtime.pid, signal.SIGKILL)
        until(lambda: worker.status(function.key).is_running, lambda running: not running)
    talk.await_all(f"{part}-{number}!" for part in range(3) for number in range(1000))
    client.close()
