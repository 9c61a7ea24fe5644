"""The contract of :mod:`pulsar_runtimes.runtimes.base` as tests that any backend can run.

    class TestSystemdConformance(RuntimeFactoryConformance):
        @pytest.fixture
        def factory(self):
            return SystemdRuntimeFactory(unit_prefix="pfrun-test")

Tests that do not apply are skipped by what the factory's capabilities say, never by its name.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError, LaunchError
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec, Language
from pulsar_runtimes.model.observation import Capabilities, Observation, Phase, RuntimeHandle
from pulsar_runtimes.runtimes.base import FactoryContext, LogPart, Runtime, RuntimeFactory

from .bench import Bench, at_once, child_processes, no_side_effects
from .specs import instance_spec

_SECRET = "c0nf0rmance-s3cret-marker"


class RuntimeFactoryConformance:
    """Subclass it as ``Test...`` and give the ``factory`` fixture; the other fixtures have defaults.

    ``ready_within``: seconds from start to RUNNING. ``stop_grace``: what ``stop`` is given, and
    ``stop_within`` how long it may take in all. ``observe_within``: what "quick" means for one look.
    """

    ready_within: ClassVar[float] = 30.0
    stop_grace: ClassVar[float] = 5.0
    stop_within: ClassVar[float] = 30.0
    observe_within: ClassVar[float] = 0.25

    @pytest.fixture
    def factory(self) -> RuntimeFactory:
        """A new factory for each test. The kit closes it."""
        raise NotImplementedError(f"{type(self).__name__} must define a fixture named factory")

    @pytest.fixture
    def spec(self, factory: RuntimeFactory) -> InstanceSpec:
        """An instance that the factory can run, and that runs until it is stopped."""
        return instance_spec(instance_id=-1 if factory.capabilities.runs_all_replicas else 0)

    @pytest.fixture
    def other_spec(self, factory: RuntimeFactory, spec: InstanceSpec) -> InstanceSpec:
        """One like ``spec`` that runs beside it: the function's next instance, or another function."""
        if factory.capabilities.runs_all_replicas:
            return replace(spec, function=replace(spec.function, name=f"{spec.function.name}-other"))
        number = spec.first_consumer_number + max(1, len(spec.function.source.input_specs))
        return replace(spec, instance_id=spec.instance_id + 1, first_consumer_number=number)

    @pytest.fixture
    def crashing_spec(self) -> InstanceSpec | None:
        """An instance that starts and then ends by itself with a failure; ``None`` skips that test."""
        return None

    @pytest.fixture
    def refused_spec(self) -> InstanceSpec | None:
        """An instance that the factory's ``check`` must refuse; ``None`` skips that test."""
        return None

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        """The keys of ``functionRuntimeFactoryConfigs`` that ``from_config`` cannot do without."""
        return {}

    @pytest.fixture
    def context(self, tmp_path: Path) -> FactoryContext:
        return FactoryContext(state_dir=tmp_path / "state", memory_ceiling_bytes=8 << 30)

    @pytest.fixture
    def bench(self, factory: RuntimeFactory) -> Iterator[Bench]:
        bench = Bench(factory, self.ready_within, self.stop_grace, self.stop_within)
        yield bench
        bench.clear()

    # What the factory is

    def test_the_factory_says_what_it_is(self, bench: Bench) -> None:
        factory = bench.factory
        assert isinstance(factory, RuntimeFactory)
        assert isinstance(factory.name, str)
        assert factory.name
        assert isinstance(factory.capabilities, Capabilities)
        assert factory.capabilities.languages, "a factory that runs no language is of no use"

    def test_from_config_leaves_an_unknown_key_to_the_caller(
        self, bench: Bench, config: Mapping[str, Any], context: FactoryContext
    ) -> None:
        section = Section({**config, "noSuchKeyInAnyBackend": 1}, "functionRuntimeFactoryConfigs")
        with no_side_effects("from_config()"):
            made = type(bench.factory).from_config(section, context)
        made.close()
        assert isinstance(made, type(bench.factory))
        assert section.unread() == ["noSuchKeyInAnyBackend"], "from_config() must read every key it knows, by name"
        assert not section.problems, "from_config() must not report keys it does not know"

    def test_closing_twice_is_allowed(self, bench: Bench) -> None:
        bench.factory.close()
        bench.factory.close()

    # Before anything runs

    def test_create_has_no_side_effects(self, bench: Bench, spec: InstanceSpec) -> None:
        with no_side_effects("create()"):
            runtime = bench.create(spec)
        assert isinstance(runtime, Runtime)
        assert runtime.spec == spec
        assert bench.observe(runtime).phase is Phase.CREATED

    def test_check_accepts_what_the_factory_can_run(self, bench: Bench, spec: InstanceSpec) -> None:
        with no_side_effects("check()"):
            bench.factory.check(spec)

    def test_check_refuses_a_language_that_the_factory_cannot_run(self, bench: Bench, spec: InstanceSpec) -> None:
        unable = [language for language in Language if language not in bench.factory.capabilities.languages]
        if not unable:
            pytest.skip("capabilities.languages has every language")
        for language in unable:
            with pytest.raises(AdmissionError):
                bench.factory.check(replace(spec, function=replace(spec.function, language=language)))

    def test_check_refuses_what_must_not_run(self, bench: Bench, refused_spec: InstanceSpec | None) -> None:
        if refused_spec is None:
            pytest.skip("the fixture refused_spec gives nothing that must be refused")
        with pytest.raises(AdmissionError) as refusal:
            bench.factory.check(refused_spec)
        assert str(refusal.value), "a refusal must give its reason"

    def test_render_is_text_and_always_the_same(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.create(spec)
        with no_side_effects("render()"):
            text = bench.factory.render(spec)
        assert isinstance(text, str)
        assert text.strip(), "render() must say what start() would do"
        assert bench.factory.render(replace(spec)) == text, "render() must be the same for the same spec"
        assert bench.observe(runtime).phase is Phase.CREATED, "render() must not start anything"

    def test_render_shows_no_secrets(self, bench: Bench, spec: InstanceSpec) -> None:
        secretive = replace(
            spec,
            auth=ClientAuth(plugin="org.example.TokenAuthentication", params=f"token:{_SECRET}"),
            secrets_provider=spec.secrets_provider or "secretsprovider.ClearTextSecretsProvider",
            secrets_provider_config={"password": _SECRET},
        )
        text = bench.factory.render(secretive)
        shown = [spelling for spelling in _spellings(_SECRET) if spelling in text]
        assert not shown, f"render() must not show secrets (shows {shown} in {text!r})"

    # One life

    def test_it_starts_and_becomes_running(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.create(spec)
        runtime.start()
        assert bench.observe(runtime).phase is not Phase.CREATED
        bench.until(runtime, Phase.RUNNING)
        assert bench.stop(runtime).phase is Phase.EXITED

    def test_observe_is_quick_in_each_phase(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.create(spec)
        bench.observe(runtime)
        runtime.start()
        bench.until(runtime, Phase.RUNNING)
        for _ in range(20):
            bench.observe(runtime)
        bench.stop(runtime)
        bench.observe(runtime)
        limit = self.observe_within
        assert bench.slowest_observe < limit, f"observe() must take under {limit} s (took {bench.slowest_observe:.2f})"

    def test_several_threads_may_observe(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.create(spec)
        done = threading.Event()

        def live() -> None:
            try:
                runtime.start()
                bench.until(runtime, Phase.RUNNING)
                runtime.stop(grace_seconds=self.stop_grace)
            finally:
                done.set()

        def watch() -> None:
            seen = [runtime.observe().phase]
            while not done.wait(0.002):
                seen.append(runtime.observe().phase)
            seen.extend(runtime.observe().phase for _ in range(5))
            assert _is_one_life(seen), f"phases must never go back to CREATED, or away from EXITED (got {seen})"

        troubles = at_once([live, watch, watch, watch], self.ready_within + self.stop_within)
        assert not troubles, troubles

    def test_start_twice_is_refused(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.running(spec)
        with pytest.raises((LaunchError, RuntimeError)):
            runtime.start()
        seen = bench.observe(runtime)
        assert seen.phase is Phase.RUNNING, f"a refused start must not disturb what runs (got {seen})"

    def test_a_crash_is_seen_with_its_reason(self, bench: Bench, crashing_spec: InstanceSpec | None) -> None:
        if crashing_spec is None:
            pytest.skip("the fixture crashing_spec gives nothing that crashes")
        runtime = bench.create(crashing_spec)
        runtime.start()
        if bench.factory.capabilities.restarts_itself:
            seen = bench.until_seen(runtime, _is_failing, "seen to fail, with a reason")
        else:
            seen = bench.until(runtime, Phase.EXITED)
        assert seen.reason.strip(), f"a crash must have a reason (got {seen})"
        assert "\n" not in seen.reason, f"a reason is one line (got {seen.reason!r})"
        assert seen.exit_code != 0, f"a crash has an exit code other than 0, or none (got {seen})"
        bench.stop(runtime)

    def test_two_instances_do_not_disturb_one_another(
        self, bench: Bench, spec: InstanceSpec, other_spec: InstanceSpec
    ) -> None:
        one, other = bench.running(spec), bench.running(other_spec)
        seen = bench.observe(one)
        assert seen.phase is Phase.RUNNING, f"starting the other must not disturb the one (got {seen})"
        bench.stop(one)
        bench.always(other, Phase.RUNNING)
        bench.stop(other)

    def test_it_becomes_another_version(self, bench: Bench, spec: InstanceSpec) -> None:
        if not bench.factory.capabilities.updates_in_place:
            pytest.skip("capabilities.updates_in_place is false")
        runtime = bench.running(spec)
        function = spec.function
        changed = replace(spec, function=replace(function, user_config={**function.user_config, "version": "2"}))
        larger = replace(changed, function=replace(changed.function, parallelism=function.parallelism + 1))
        for version in (changed, larger) if bench.factory.capabilities.runs_all_replicas else (changed,):
            if runtime.update(version):
                assert runtime.spec == version
            else:
                assert runtime.spec == spec, "a refused update must change nothing"
            bench.until(runtime, Phase.RUNNING)
        bench.stop(runtime)

    # The end

    def test_exited_is_for_ever(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.running(spec)
        bench.stop(runtime)
        bench.always(runtime, Phase.EXITED)

    def test_stop_before_start_is_allowed(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.create(spec)
        bench.stop(runtime)
        try:
            runtime.start()
        except (LaunchError, RuntimeError):
            return
        seen = bench.observe(runtime)
        assert seen.phase is Phase.EXITED, f"what was stopped before its start must not run (got {seen})"

    def test_stop_while_it_starts(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.create(spec)
        runtime.start()
        bench.stop(runtime)
        bench.always(runtime, Phase.EXITED)

    def test_stop_again_is_allowed(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.running(spec)
        first = bench.stop(runtime)
        assert bench.stop(runtime) == first, "a second stop must change nothing"

    def test_several_threads_may_stop(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.running(spec)

        def stop() -> None:
            bench.stop(runtime)

        troubles = at_once([stop] * 4, self.stop_within + 1.0)
        assert not troubles, troubles

    def test_no_process_is_left_in_the_end(self, bench: Bench, spec: InstanceSpec) -> None:
        before = child_processes()
        bench.stop(bench.running(spec))
        bench.factory.close()
        left = sorted(child_processes() - before)
        assert not left, f"no process may be left after stop() and close() (found the processes {left})"

    # What is written down

    def test_the_handle_is_plain_data(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.running(spec)
        handle = runtime.handle()
        able = bench.factory.capabilities.reattaches
        assert (handle is not None) == able, f"capabilities.reattaches is {able}, but the handle is {handle}"
        if handle is not None:
            assert isinstance(handle, RuntimeHandle)
            assert handle.factory == bench.factory.name
            assert json.loads(json.dumps(handle.state)) == handle.state, "the state must survive being JSON"

    def test_an_instance_is_found_again(self, bench: Bench, spec: InstanceSpec) -> None:
        original, handle = self._running_with_handle(bench, spec)
        found = bench.keep(bench.factory.reattach(spec, handle))
        bench.until(found, Phase.RUNNING)
        again = bench.keep(bench.factory.reattach(spec, handle))
        bench.until(again, Phase.RUNNING)
        bench.stop(found)
        bench.until(original, Phase.EXITED)

    def test_a_handle_that_is_not_understood_is_refused(self, bench: Bench, spec: InstanceSpec) -> None:
        original, handle = self._running_with_handle(bench, spec)
        for wrong in (replace(handle, factory="somebody-else"), replace(handle, version=handle.version + 1000)):
            with pytest.raises(LaunchError):
                bench.factory.reattach(spec, wrong)
        assert bench.observe(original).phase is Phase.RUNNING

    def _running_with_handle(self, bench: Bench, spec: InstanceSpec) -> tuple[Runtime, RuntimeHandle]:
        if not bench.factory.capabilities.reattaches:
            pytest.skip("capabilities.reattaches is false")
        runtime = bench.running(spec)
        handle = runtime.handle()
        assert handle is not None, "capabilities.reattaches is true, but there is no handle"
        return runtime, handle

    def test_log_lines_are_a_list_of_text(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.create(spec)
        _check_log_lines(runtime)
        runtime.start()
        bench.until(runtime, Phase.RUNNING)
        _check_log_lines(runtime)
        bench.stop(runtime)
        _check_log_lines(runtime)

    def test_what_is_new_in_a_log_is_told_once(self, bench: Bench, spec: InstanceSpec) -> None:
        runtime = bench.create(spec)
        _check_log_parts(runtime)
        runtime.start()
        bench.until(runtime, Phase.RUNNING)
        bench.stop(runtime)
        _check_log_parts(runtime)


def _check_log_parts(runtime: Runtime) -> None:
    first = runtime.log_after("", 3)
    if first is None:
        pytest.skip("the backend cannot tell what is new in a log")
    assert len(first.lines) <= 3, f"log_after('', 3) must give at most 3 lines (got {len(first.lines)})"
    assert runtime.log_after("", 0) == LogPart((), first.mark)
    assert runtime.log_after(first.mark, 3) == LogPart((), first.mark), "nothing was written in between"
    strange = runtime.log_after("nonsense", 3)
    assert strange is not None
    assert strange.lines[-len(first.lines) or None :] == first.lines


def _check_log_lines(runtime: Runtime) -> None:
    for last in (0, 1, 100):
        lines = runtime.log_lines(last)
        assert isinstance(lines, list)
        assert all(isinstance(line, str) and "\n" not in line for line in lines), lines
        assert len(lines) <= last, f"log_lines({last}) must give at most {last} (got {len(lines)})"


def _is_failing(seen: Observation) -> bool:
    return bool(seen.reason) and seen.phase is not Phase.RUNNING


def _is_one_life(phases: list[Phase]) -> bool:
    pairs = list(itertools.pairwise(phases))
    resurrected = any(before is Phase.EXITED and after is not Phase.EXITED for before, after in pairs)
    forgotten = any(before is not Phase.CREATED and after is Phase.CREATED for before, after in pairs)
    return not resurrected and not forgotten


def _spellings(secret: str) -> list[str]:
    """``secret`` as it is, and the middle of its base64 at each alignment, as a Kubernetes Secret would show it."""
    encoded = [base64.b64encode(b"." * shift + secret.encode()).decode() for shift in range(3)]
    return [secret, *(text[4:-4] for text in encoded)]
