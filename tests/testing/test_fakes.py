"""The fake backend: it keeps the contract, and it does what its script says when its script says so."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError, ConfigError, LaunchError
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.model.observation import Capabilities, Observation, Phase, RuntimeHandle
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.testing import (
    FakeClock,
    FakeRuntimeFactory,
    RuntimeFactoryConformance,
    Script,
    function_spec,
    instance_spec,
)

CONTEXT = FactoryContext(Path("/nowhere"), 1 << 30)
SPEC = instance_spec()
PYTHON = frozenset({Language.PYTHON})


class TestFakeConformance(RuntimeFactoryConformance):
    ready_within = 2.0
    stop_grace = 0.02

    @pytest.fixture
    def factory(self) -> FakeRuntimeFactory:
        factory = FakeRuntimeFactory(Script(ready_after=0.02, ignores_stop=True, log=("one", "two")))
        factory.play("public/default/crash:0", Script(run_for=0.02, exit_code=3))
        factory.play("public/default/refused:0", Script(admission_error="no such function here"))
        return factory

    @pytest.fixture
    def crashing_spec(self) -> InstanceSpec:
        return instance_spec(function=function_spec(name="crash"))

    @pytest.fixture
    def refused_spec(self) -> InstanceSpec:
        return instance_spec(function=function_spec(name="refused"))


class TestReattachingFakeConformance(TestFakeConformance):
    @pytest.fixture
    def factory(self) -> FakeRuntimeFactory:
        capabilities = Capabilities(PYTHON, runs_all_replicas=True, reattaches=True)
        return FakeRuntimeFactory(Script(ready_after=0.02), capabilities=capabilities)

    @pytest.fixture
    def crashing_spec(self) -> None:
        return None

    @pytest.fixture
    def refused_spec(self) -> None:
        return None


def phases(script: Script, *, until: int) -> list[Phase]:
    """What a runtime that plays ``script`` shows at each second after its start."""
    clock = FakeClock()
    runtime = FakeRuntimeFactory(script, clock=clock).create(SPEC)
    runtime.start()
    seen = []
    for _ in range(until):
        seen.append(runtime.observe().phase)
        clock.advance(1)
    return seen


def test_a_script_is_played_by_the_clock() -> None:
    script = Script(ready_after=1, run_for=3, unknown_between=(2, 3))
    assert phases(script, until=6) == [
        Phase.STARTING,
        Phase.RUNNING,
        Phase.UNKNOWN,
        Phase.RUNNING,
        Phase.EXITED,
        Phase.EXITED,
    ]


def test_a_script_without_an_end_runs_on() -> None:
    assert set(phases(Script(), until=100)) == {Phase.RUNNING}


def test_an_end_has_its_code_and_its_reason() -> None:
    clock = FakeClock()
    runtime = FakeRuntimeFactory(Script(run_for=1, exit_code=7, reason="out of cheese"), clock=clock).create(SPEC)
    runtime.start()
    clock.advance(1)
    assert runtime.observe() == Observation(Phase.EXITED, 7, "out of cheese")


def test_a_failed_start_is_an_end() -> None:
    runtime = FakeRuntimeFactory(Script(start_error="no such image")).create(SPEC)
    with pytest.raises(LaunchError, match="no such image"):
        runtime.start()
    assert runtime.observe() == Observation(Phase.EXITED, reason="no such image")


def test_one_that_ignores_stop_takes_the_whole_grace() -> None:
    clock = FakeClock()
    factory = FakeRuntimeFactory(Script(ignores_stop=True), clock=clock, sleep=clock.advance)
    runtime = factory.create(SPEC)
    runtime.start()
    before = clock()
    runtime.stop(grace_seconds=5)
    assert clock() - before == 5
    assert runtime.observe() == Observation(Phase.EXITED, -9, "killed after the whole grace")


def test_start_is_held_up_until_the_event_is_set() -> None:
    hold = threading.Event()
    runtime = FakeRuntimeFactory(Script(start_blocks=hold)).create(SPEC)
    thread = threading.Thread(target=runtime.start)
    thread.start()
    try:
        assert runtime.observe().phase in (Phase.CREATED, Phase.STARTING)
    finally:
        hold.set()
        thread.join(5)
    assert runtime.observe().phase is Phase.RUNNING


def test_what_is_stopped_while_it_is_held_up_never_runs() -> None:
    hold = threading.Event()
    runtime = FakeRuntimeFactory(Script(start_blocks=hold)).create(SPEC)
    troubles: list[LaunchError] = []

    def start() -> None:
        try:
            runtime.start()
        except LaunchError as error:
            troubles.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    runtime.stop(grace_seconds=1)
    hold.set()
    thread.join(5)
    assert len(troubles) == 1
    assert runtime.observe().phase is Phase.EXITED


def test_successive_runtimes_of_an_instance_play_successive_scripts(fake_clock: FakeClock) -> None:
    factory = FakeRuntimeFactory(clock=fake_clock)
    factory.play(SPEC.key, Script(start_error="first"), Script(reason="the rest"))
    reasons = [runtime.script.start_error or runtime.script.reason for runtime in map(factory.create, [SPEC] * 3)]
    assert reasons == ["first", "the rest", "the rest"]
    assert factory.create(instance_spec(instance_id=1)).script == Script()


def test_calls_are_written_down(fake_clock: FakeClock) -> None:
    factory = FakeRuntimeFactory(clock=fake_clock)
    runtime = factory.create(SPEC)
    runtime.start()
    fake_clock.advance(2)
    runtime.stop(grace_seconds=1)
    factory.close()
    assert factory.calls == [("start", SPEC.key, 1000.0), ("stop", SPEC.key, 1002.0)]
    assert (factory.started, factory.stopped, factory.closed) == ([SPEC.key], [SPEC.key], True)


def test_check_refuses_what_the_script_refuses() -> None:
    factory = FakeRuntimeFactory(Script(admission_error="too big for here"))
    with pytest.raises(AdmissionError, match="too big for here"):
        factory.check(SPEC)


def test_the_next_worker_finds_what_the_last_one_launched() -> None:
    capabilities = Capabilities(PYTHON, reattaches=True)
    before = FakeRuntimeFactory(capabilities=capabilities)
    runtime = before.create(SPEC)
    runtime.start()
    handle = runtime.handle()
    assert handle is not None
    after = FakeRuntimeFactory(capabilities=capabilities, machine=before.machine)
    assert after.reattach(SPEC, handle).observe().phase is Phase.RUNNING
    with pytest.raises(LaunchError, match="nothing that runs here is this instance"):
        after.reattach(SPEC, RuntimeHandle("fake", 1, {"identity": "other"}))
    with pytest.raises(LaunchError, match=r"must be a handle of fake, version 1 \(got fake, version 2\)"):
        after.reattach(SPEC, dataclasses.replace(handle, version=2))


def test_it_is_configured_like_any_backend() -> None:
    values = {"languages": ["JAVA", "GO"], "readyAfter": 2, "runFor": 1.5, "exitCode": 4, "reason": "done"}
    factory = FakeRuntimeFactory.from_config(Section(values), CONTEXT)
    assert factory.capabilities.languages == {Language.JAVA, Language.GO}
    assert FakeRuntimeFactory.capabilities.languages == PYTHON
    assert factory.create(SPEC).script == Script(ready_after=2, run_for=1.5, exit_code=4, reason="done")


def test_its_configuration_answers_back() -> None:
    with pytest.raises(ConfigError) as caught:
        FakeRuntimeFactory.from_config(Section({"languages": ["PERL"], "readyAfter": -1}), CONTEXT)
    assert str(caught.value).splitlines() == [
        "languages: must hold only JAVA, PYTHON, GO (got 'PERL')",
        "readyAfter: must be at least 0 (got -1)",
    ]


def test_a_clock_never_goes_back(fake_clock: FakeClock) -> None:
    with pytest.raises(ValueError, match=r"cannot go back \(got -1 seconds\)"):
        fake_clock.advance(-1)
