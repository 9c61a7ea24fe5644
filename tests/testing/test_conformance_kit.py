"""The conformance class can fail: each broken backend here is caught by the test that is about its fault."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError, ConfigError, LaunchError, PfrunError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import Capabilities, Observation, Phase, RuntimeHandle
from pulsar_runtimes.runtimes.base import FactoryContext, RuntimeFactory
from pulsar_runtimes.testing import (
    FakeRuntime,
    FakeRuntimeFactory,
    RuntimeFactoryConformance,
    Script,
    function_spec,
    instance_spec,
)
from pulsar_runtimes.testing.bench import Bench

pytest_plugins = ["pytester"]

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
REATTACHING = Capabilities(FakeRuntimeFactory.capabilities.languages, reattaches=True)


class Kit(RuntimeFactoryConformance):
    """The class under test, with little patience."""

    ready_within = 0.2
    stop_grace = 0.0
    stop_within = 0.2
    observe_within = 0.02


def run(kit_test: str, factory: RuntimeFactory, **fixtures: Any) -> None:
    """Call one test of the kit, as pytest would, on ``factory``."""
    bench = Bench(factory, Kit.ready_within, Kit.stop_grace, Kit.stop_within)
    getattr(Kit(), kit_test)(bench, **fixtures)


class BrokenFactory(FakeRuntimeFactory):
    """Makes runtimes of ``runtime_class``; the faults are subclasses."""

    runtime_class: type[FakeRuntime] = FakeRuntime

    def create(self, spec: InstanceSpec) -> FakeRuntime:
        made = super().create(spec)
        return self.runtime_class(spec, made.script, made.identity, self)


class SlowToObserve(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def observe(self) -> Observation:
            time.sleep(0.03)
            return super().observe()


class Immortal(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def stop(self, *, grace_seconds: float) -> None:
            pass


class StartsTwice(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def start(self) -> None:
            self._asked = False
            super().start()


class RestartsWhenAskedTwice(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def start(self) -> None:
            if self._asked:
                self._end = Observation(Phase.EXITED, 1, "made room for a second start")
            super().start()


class StartsAfterStop(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def start(self) -> None:
            self._end = None
            super().start()


class ForgetsItsEnd(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        looks_at_the_end = 0

        def observe(self) -> Observation:
            seen = super().observe()
            if seen.phase is Phase.EXITED:
                self.looks_at_the_end += 1
            return seen if self.looks_at_the_end < 3 else Observation(Phase.UNKNOWN)


class StopsOnlyOnce(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def stop(self, *, grace_seconds: float) -> None:
            if self.observe().phase is Phase.EXITED:
                raise LaunchError("is stopped already")
            super().stop(grace_seconds=grace_seconds)


class StopsBehindAnother(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        first = True

        def stop(self, *, grace_seconds: float) -> None:
            if not self.first:
                return
            self.first = False
            time.sleep(0.05)
            super().stop(grace_seconds=grace_seconds)


class SilentCrash(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def _usual_reason(self) -> str:
            return ""


class StopsTheOthers(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def stop(self, *, grace_seconds: float) -> None:
            for runtime in list(self._factory.machine.values()):
                FakeRuntime.stop(runtime, grace_seconds=grace_seconds)


class StartsInCreate(BrokenFactory):
    def create(self, spec: InstanceSpec) -> FakeRuntime:
        made = super().create(spec)
        made.start()
        return made


class ThreadInCreate(BrokenFactory):
    done = threading.Event()

    def create(self, spec: InstanceSpec) -> FakeRuntime:
        threading.Thread(target=self.done.wait, name="eager").start()
        return super().create(spec)


class Leaky(BrokenFactory):
    def render(self, spec: InstanceSpec) -> str:
        return f"run --client_auth_params {spec.auth.params if spec.auth else ''}"


class LeakyInBase64(BrokenFactory):
    def render(self, spec: InstanceSpec) -> str:
        import base64

        return f"kind: Secret\ndata: {base64.b64encode(repr(spec.secrets_provider_config).encode()).decode()}"


class RendersTheTime(BrokenFactory):
    def render(self, spec: InstanceSpec) -> str:
        return f"run at {time.monotonic_ns()}"


class RendersNothing(BrokenFactory):
    def render(self, spec: InstanceSpec) -> str:
        return " \n"


class AcceptsEverything(BrokenFactory):
    def check(self, spec: InstanceSpec) -> None:
        pass


class HandleWithoutReattach(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def handle(self) -> RuntimeHandle | None:
            return RuntimeHandle("fake", 1)


class HandleWithLiveObject(BrokenFactory):
    capabilities = REATTACHING

    class runtime_class(FakeRuntime):  # noqa: N801
        def handle(self) -> RuntimeHandle | None:
            return RuntimeHandle("fake", 1, {"pids": (1, 2)})


class AdoptsAnything(BrokenFactory):
    capabilities = REATTACHING

    def reattach(self, spec: InstanceSpec, handle: RuntimeHandle) -> FakeRuntime:
        return next(iter(self.machine.values()))


class AdoptsInVain(BrokenFactory):
    """What it finds again is a copy that stops without stopping the original."""

    capabilities = REATTACHING

    def reattach(self, spec: InstanceSpec, handle: RuntimeHandle) -> FakeRuntime:
        found = FakeRuntimeFactory(self._script).create(spec)
        found.start()
        return found


class Speechless(BrokenFactory):
    capabilities = Capabilities(languages=frozenset())


class RefusesEverything(BrokenFactory):
    def check(self, spec: InstanceSpec) -> None:
        raise AdmissionError("not today")


class RefusesStrangeKeys(BrokenFactory):
    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        section.refuse_unread()
        return super().from_config(section, context)


class SwallowsStrangeKeys(BrokenFactory):
    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        for key in section:
            section.raw(key)
        return super().from_config(section, context)


class ClosesOnce(BrokenFactory):
    def close(self) -> None:
        if self.closed:
            raise LaunchError("is closed already")
        super().close()


class LogsOneText(BrokenFactory):
    class runtime_class(FakeRuntime):  # noqa: N801
        def log_lines(self, last: int) -> list[str]:
            return ["one\ntwo"]


class LeavesAProcess(BrokenFactory):
    children: list[subprocess.Popen[bytes]] = []

    class runtime_class(FakeRuntime):  # noqa: N801
        def start(self) -> None:
            super().start()
            LeavesAProcess.children.append(subprocess.Popen(SLEEPER))


class UpdatesHalfway(BrokenFactory):
    capabilities = Capabilities(FakeRuntimeFactory.capabilities.languages, updates_in_place=True)

    class runtime_class(FakeRuntime):  # noqa: N801
        def update(self, spec: InstanceSpec) -> bool:
            super().update(spec)
            return False


class DiesOfAnUpdate(BrokenFactory):
    capabilities = UpdatesHalfway.capabilities

    class runtime_class(FakeRuntime):  # noqa: N801
        def update(self, spec: InstanceSpec) -> bool:
            self._end = Observation(Phase.EXITED, 1, "did not survive it")
            return super().update(spec)


SPEC = instance_spec()
SPECS = {"spec": SPEC}
TWO = {"spec": SPEC, "other_spec": instance_spec(instance_id=1)}
CRASH = {"crashing_spec": SPEC}


@pytest.fixture(autouse=True)
def _clear() -> Iterator[None]:
    ThreadInCreate.done.clear()
    yield
    ThreadInCreate.done.set()
    for child in LeavesAProcess.children:
        child.kill()
        child.wait()
    LeavesAProcess.children.clear()


@pytest.mark.parametrize(
    ("factory", "kit_test", "fixtures", "message"),
    [
        (SlowToObserve(), "test_observe_is_quick_in_each_phase", SPECS, "must take under 0.02 s"),
        (Immortal(), "test_it_starts_and_becomes_running", SPECS, "must be EXITED when stop"),
        (Immortal(), "test_stop_while_it_starts", SPECS, "must be EXITED when stop"),
        (StartsTwice(), "test_start_twice_is_refused", SPECS, "DID NOT RAISE"),
        (RestartsWhenAskedTwice(), "test_start_twice_is_refused", SPECS, "must not disturb"),
        (StartsAfterStop(), "test_stop_before_start_is_allowed", SPECS, "must not run"),
        (ForgetsItsEnd(), "test_exited_is_for_ever", SPECS, "must stay EXITED"),
        (StopsOnlyOnce(), "test_stop_again_is_allowed", SPECS, "is stopped already"),
        (StopsBehindAnother(), "test_several_threads_may_stop", SPECS, "must be EXITED when stop"),
        (FakeRuntimeFactory(Script(ready_after=9)), "test_it_starts_and_becomes_running", SPECS, "within 0.2 s"),
        (FakeRuntimeFactory(Script(run_for=0)), "test_it_starts_and_becomes_running", SPECS, "it exited"),
        (FakeRuntimeFactory(), "test_a_crash_is_seen_with_its_reason", CRASH, "never became EXITED"),
        (FakeRuntimeFactory(Script(run_for=0)), "test_a_crash_is_seen_with_its_reason", CRASH, "other than 0"),
        (SilentCrash(Script(run_for=0, exit_code=1)), "test_a_crash_is_seen_with_its_reason", CRASH, "a reason"),
        (StopsTheOthers(), "test_two_instances_do_not_disturb_one_another", TWO, "must stay RUNNING"),
        (StartsInCreate(), "test_create_has_no_side_effects", SPECS, "Phase.CREATED"),
        (ThreadInCreate(), "test_create_has_no_side_effects", SPECS, "eager"),
        (Leaky(), "test_render_shows_no_secrets", SPECS, "must not show secrets"),
        (LeakyInBase64(), "test_render_shows_no_secrets", SPECS, "must not show secrets"),
        (RendersTheTime(), "test_render_is_text_and_always_the_same", SPECS, "must be the same"),
        (RendersNothing(), "test_render_is_text_and_always_the_same", SPECS, "must say what start"),
        (AcceptsEverything(), "test_check_refuses_a_language_that_the_factory_cannot_run", SPECS, "DID NOT RAISE"),
        (AcceptsEverything(), "test_check_refuses_what_must_not_run", {"refused_spec": SPEC}, "DID NOT RAISE"),
        (HandleWithoutReattach(), "test_the_handle_is_plain_data", SPECS, "capabilities.reattaches is False"),
        (HandleWithLiveObject(), "test_the_handle_is_plain_data", SPECS, "must survive being JSON"),
        (AdoptsAnything(), "test_a_handle_that_is_not_understood_is_refused", SPECS, "DID NOT RAISE"),
        (AdoptsInVain(), "test_an_instance_is_found_again", SPECS, "never became EXITED"),
        (UpdatesHalfway(), "test_it_becomes_another_version", SPECS, "a refused update must change nothing"),
        (DiesOfAnUpdate(), "test_it_becomes_another_version", SPECS, "it exited"),
        (Speechless(), "test_the_factory_says_what_it_is", {}, "runs no language"),
        (RefusesEverything(), "test_check_accepts_what_the_factory_can_run", SPECS, "not today"),
        (ClosesOnce(), "test_closing_twice_is_allowed", {}, "is closed already"),
        (LogsOneText(), "test_log_lines_are_a_list_of_text", SPECS, ""),
        (LeavesAProcess(), "test_no_process_is_left_in_the_end", SPECS, "no process may be left"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, RuntimeFactory) else None,
)
def test_a_broken_backend_is_caught(
    factory: RuntimeFactory, kit_test: str, fixtures: dict[str, Any], message: str
) -> None:
    with pytest.raises((AssertionError, PfrunError, pytest.fail.Exception)) as caught:
        run(kit_test, factory, **fixtures)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        (RefusesStrangeKeys(), ConfigError, "noSuchKeyInAnyBackend: is not a known key"),
        (SwallowsStrangeKeys(), AssertionError, "must read every key it knows, by name"),
    ],
    ids=["refuses", "swallows"],
)
def test_unknown_keys_belong_to_the_caller(
    factory: RuntimeFactory, error: type[Exception], message: str, tmp_path: Path
) -> None:
    context = FactoryContext(tmp_path, 1 << 30)
    with pytest.raises(error, match=message):
        run("test_from_config_leaves_an_unknown_key_to_the_caller", factory, config={}, context=context)


def test_an_instance_that_comes_back_to_life_is_caught() -> None:
    with pytest.raises(AssertionError, match="away from EXITED"):
        run("test_several_threads_may_observe", ForgetsItsEnd(), spec=SPEC)


def test_a_backend_that_restarts_is_asked_for_a_reason_only() -> None:
    capabilities = replace(FakeRuntimeFactory.capabilities, restarts_itself=True)
    factory = FakeRuntimeFactory(Script(run_for=0, exit_code=1), capabilities=capabilities)
    run("test_a_crash_is_seen_with_its_reason", factory, crashing_spec=SPEC)


def test_the_bench_stops_everything_though_one_will_not() -> None:
    factory = FakeRuntimeFactory()
    bench = Bench(factory, 1, 1, 1)
    good = bench.running(SPEC)

    class Stubborn(FakeRuntime):
        def stop(self, *, grace_seconds: float) -> None:
            raise LaunchError("will not")

    bench.keep(Stubborn(instance_spec(function=function_spec(name="bad")), Script(), "bad", factory))
    with pytest.raises(LaunchError, match="will not"):
        bench.clear()
    assert good.observe().phase is Phase.EXITED
    assert factory.closed


def test_a_third_party_writes_four_lines(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pulsar_runtimes.testing import FakeRuntimeFactory, RuntimeFactoryConformance, Script

        class TestGood(RuntimeFactoryConformance):
            @pytest.fixture
            def factory(self):
                return FakeRuntimeFactory()

        class TestBad(RuntimeFactoryConformance):
            ready_within = 0.05
            @pytest.fixture
            def factory(self):
                return FakeRuntimeFactory(Script(run_for=0, exit_code=2, log=("a clue",)))

        class TestForgotten(RuntimeFactoryConformance):
            pass
        """
    )
    result = pytester.runpytest("-k", "TestGood or becomes_running", "-p", "no:cacheprovider")
    outcomes = result.parseoutcomes()
    assert outcomes["skipped"] == 5  # no crashing_spec, no refused_spec, no update in place, and twice no reattach
    assert (outcomes["failed"], outcomes["errors"]) == (1, 1)
    result.stdout.fnmatch_lines_random(
        [
            "*never became RUNNING: it exited; last Observation(phase=<Phase.EXITED*exit_code=2*",
            "*  a clue",
            "*NotImplementedError: TestForgotten must define a fixture named factory",
        ]
    )


def test_golden_files_are_compared_and_rewritten(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_text(golden, tmp_path):
            golden("sub/it.txt", f"one\\ntwo in {tmp_path}\\n", {"<TMP>": str(tmp_path)})
        """
    )
    absent = pytester.runpytest()
    absent.stdout.fnmatch_lines(["*it.txt: there is no such golden file; write it with pytest --update-golden"])
    pytester.runpytest("--update-golden").assert_outcomes(passed=1)
    path = pytester.path / "tests" / "golden" / "sub" / "it.txt"
    assert path.read_text() == "one\ntwo in <TMP>\n"
    pytester.runpytest().assert_outcomes(passed=1)
    path.write_text("one\n2 in <TMP>\n")
    pytester.runpytest().stdout.fnmatch_lines(["E*-2 in <TMP>", "E*+two in <TMP>"])


@pytest.mark.parametrize("module", ["pulsar_runtimes.testing.plugin", "pulsar_runtimes.testing"])
def test_the_plugin_is_light(module: str) -> None:
    """Everybody with pfrun installed pays for it in every run of pytest."""
    code = (
        f"import pytest, sys; before = set(sys.modules); import {module}; "
        "print(*sorted(name for name in set(sys.modules) - before if 'pulsar_runtimes' not in name)); "
        "print(*sorted(name for name in set(sys.modules) - before if 'pulsar_runtimes' in name))"
    )
    foreign, ours = subprocess.check_output([sys.executable, "-c", code], text=True).split("\n")[:2]
    assert foreign == ""
    own = {"", "._version", ".testing", ".testing.plugin"}
    assert set(ours.split()) <= {f"pulsar_runtimes{name}" for name in own}


def test_fakes_need_no_pytest() -> None:
    code = (
        "import sys; from pulsar_runtimes.testing import FakeClock, FakeRuntimeFactory, instance_spec; "
        "sys.exit('pytest' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
