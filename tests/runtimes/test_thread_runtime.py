"""What is particular to the thread runtime: names, neighbours, and functions that do not come back."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import FunctionSpec, InstanceSpec
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.thread.factory import ThreadRuntimeFactory
from pulsar_runtimes.testing import function_spec, instance_spec
from pulsar_runtimes.testing.bench import Bench
from tests.channel import Channel
from tests.waiting import until

Sample = Callable[..., InstanceSpec]
Open = Callable[[FunctionSpec], Channel]


def make_factory(directory: Path, **keys: object) -> ThreadRuntimeFactory:
    return ThreadRuntimeFactory.from_config(Section(keys), FactoryContext(directory / "state", 8 << 30, os.environ))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    factory = make_factory(tmp_path, threadGroupName="Function Threads")
    bench = Bench(factory, ready_within=30.0, stop_grace=1.0, stop_within=10.0)
    yield bench
    bench.clear()


# Before anything runs


def test_runtime_flags_are_refused(tmp_path: Path) -> None:
    spec = instance_spec(function=function_spec(runtime_flags="-O"))
    with pytest.raises(AdmissionError, match=r"^public/default/exclaim: runtimeFlags \(got '-O'\): .*process runtime"):
        make_factory(tmp_path).check(spec)


@pytest.mark.parametrize(
    ("group", "name"),
    [("", "public/default/exclaim-0"), ("Function Threads", "Function Threads: public/default/exclaim-0")],
)
def test_a_thread_is_named_after_its_group_and_instance(group: str, name: str, tmp_path: Path) -> None:
    factory = make_factory(tmp_path, threadGroupName=group)
    assert factory.thread_name(instance_spec()) == name
    assert repr(name) in factory.render(instance_spec())


def test_render_tells_the_shared_memory_limit(tmp_path: Path) -> None:
    limit = {"absoluteValue": 1000, "percentOfMaxDirectMemory": 50}
    assert "client memory limit 1000 bytes, shared" in make_factory(tmp_path, pulsarClientMemoryLimit=limit).render(
        instance_spec()
    )
    assert "no client memory limit" in make_factory(tmp_path).render(instance_spec())


# Running


@pytest.mark.broker
def test_the_thread_group_s_name_is_in_the_thread_names(bench: Bench, sample: Sample, channel: Open) -> None:
    spec = sample("Surroundings", name="named")
    bench.running(spec)
    seen = json.loads(channel(spec.function).ask("tell"))
    assert seen["pid"] == os.getpid()
    assert "Function Threads: public/default/named-0" in seen["threads"]


@pytest.mark.broker
def test_functions_in_files_of_the_same_name_do_not_mix(
    bench: Bench, sample: Sample, channel: Open, tmp_path: Path
) -> None:
    answers = {}
    for name in ("one", "two"):
        file = tmp_path / name / "main.py"
        file.parent.mkdir()
        file.write_text(f"def process(input):\n    return {name!r} + ': ' + input\n")
        spec = sample("process", name=name, package=file)
        bench.running(spec)
        answers[name] = channel(spec.function)
    assert [answers[name].ask("hello") for name in ("one", "two", "one")] == ["one: hello", "two: hello", "one: hello"]


@pytest.mark.broker
def test_a_new_start_runs_the_file_as_it_is_now(bench: Bench, sample: Sample, channel: Open, tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    file.write_text("def process(input):\n    return 'old'\n")
    spec = sample("process", package=file)
    answers = channel(spec.function)
    first = bench.running(spec)
    assert answers.ask("?") == "old"
    bench.stop(first)
    file.write_text("def process(input):\n    return 'new'\n")
    bench.running(spec)
    assert answers.ask("?") == "new"


@pytest.mark.broker
@pytest.mark.parametrize("class_name", ["Exclaim", "Unbuildable", "NoSuchClass"])
def test_no_module_is_left_of_what_ended(class_name: str, bench: Bench, sample: Sample) -> None:
    before = {name for name in sys.modules if name.startswith("_pfrun_")}
    runtime = bench.create(sample(class_name))
    runtime.start()
    until(runtime.observe, lambda seen: seen.phase in (Phase.RUNNING, Phase.EXITED))
    bench.stop(runtime)
    assert {name for name in sys.modules if name.startswith("_pfrun_")} == before


# Functions that misbehave


@pytest.fixture
def neighbour(bench: Bench, sample: Sample, channel: Open) -> Channel:
    """A function that has to go on, whatever the others do."""
    spec = sample("Exclaim", name="neighbour")
    bench.running(spec)
    return channel(spec.function)


@pytest.mark.broker
@pytest.mark.parametrize("class_name", ["Blocks", "Spins"])
def test_a_function_that_never_comes_back_harms_no_other(
    class_name: str, bench: Bench, sample: Sample, channel: Open, neighbour: Channel
) -> None:
    spec = sample(class_name)
    runtime = bench.running(spec)
    channel(spec.function).send(["go"])
    until(runtime.stats, lambda stats: stats is not None and stats.received == 1)
    assert neighbour.ask("hello") == "hello!"
    before = time.monotonic()
    runtime.stop(grace_seconds=1.0)
    assert time.monotonic() - before < 1.0 + 3.5
    assert bench.observe(runtime).phase is Phase.EXITED
    assert neighbour.ask("still there") == "still there!"


@pytest.mark.broker
def test_a_function_that_spins_is_interrupted(bench: Bench, sample: Sample, channel: Open) -> None:
    before = set(threading.enumerate())
    spec = sample("Spins", name="spins")
    runtime = bench.running(spec)
    channel(spec.function).send(["go"])
    until(runtime.stats, lambda stats: stats is not None and stats.received == 1)
    runtime.stop(grace_seconds=0.2)
    until(
        lambda: [thread.name for thread in threading.enumerate() if thread not in before and "spins" in thread.name],
        lambda left: not left,
        seconds=5,
    )


@pytest.mark.broker
def test_a_constructor_that_never_comes_back_is_exited_once_stopped(bench: Bench, sample: Sample) -> None:
    runtime = bench.create(sample("BlocksInConstructor"))
    runtime.start()
    bench.always(runtime, Phase.STARTING)
    before = time.monotonic()
    runtime.stop(grace_seconds=0.1)
    assert time.monotonic() - before < 0.1 + 5.0
    assert bench.observe(runtime) == Observation(Phase.EXITED, reason="stopped")


@pytest.mark.broker
def test_sys_exit_ends_the_instance_and_no_other(
    bench: Bench, sample: Sample, channel: Open, neighbour: Channel
) -> None:
    spec = sample("Exits")
    runtime = bench.running(spec)
    channel(spec.function).send(["exit"])
    seen = bench.until(runtime, Phase.EXITED)
    assert seen.reason == "the instance failed: SystemExit: asked to exit"
    assert len(seen.last_messages) == 1
    assert neighbour.ask("hello") == "hello!"


@pytest.mark.broker
def test_an_exception_of_the_function_is_counted_and_ends_nothing(bench: Bench, sample: Sample, channel: Open) -> None:
    spec = sample("Picky")
    runtime = bench.running(spec)
    assert channel(spec.function).ask("good") == "good"
    channel(spec.function).send(["bad one"])
    stats = until(runtime.stats, lambda stats: stats is not None and stats.user_exceptions > 0)
    assert stats is not None
    assert "ValueError: cannot take bad one" in stats.latest_user_exceptions[0][0]
    assert bench.observe(runtime).phase is Phase.RUNNING
    assert any("ValueError: cannot take bad one" in line for line in runtime.log_lines(50))
