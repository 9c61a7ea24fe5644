"""The subprocess runtime with a stand-in for the instance: everything but Pulsar, in no time."""

from __future__ import annotations

import configparser
import dataclasses
import os
import sys
import time
from pathlib import Path

import pytest
from pfrun_subprocess.factory import SubprocessRuntimeFactory
from pfrun_subprocess.runtime import Launch, SubprocessRuntime

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.instance.arguments import parse_arguments
from pulsar_runtimes.model.errors import AdmissionError, ConfigError, LaunchError
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec
from pulsar_runtimes.model.observation import Phase
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.registry import RUNTIME_FACTORIES
from pulsar_runtimes.testing import RuntimeFactoryConformance, function_spec, instance_spec
from pulsar_runtimes.testing.bench import Bench

READY = "import os, signal, sys, time; fd = int(os.environ['PFRUN_NOTIFY_FD'])\n"
READY += "def tell(text): os.write(fd, text.encode() + b'\\n')\n"
READY += "print('hello')\n"
RUNS = READY + """tell('{"event": "ready", "port": 1}'); time.sleep(60)"""
FAILS = READY + """tell('{"event": "failed", "reason": "no such module"}'); sys.exit(3)"""
CRASHES = READY + "os.kill(os.getpid(), signal.SIGKILL)"
STUBBORN = READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + RUNS
BREEDS = READY + "pid = os.fork()\nif pid: print(pid, flush=True); sys.exit(1)\ntime.sleep(60)"


class StandInFactory(SubprocessRuntimeFactory):
    """Runs ``code_file`` itself where the real one would run the instance."""

    def _launch(self, spec: InstanceSpec) -> Launch:
        return dataclasses.replace(super()._launch(spec), command=(sys.executable, "-S", "-u", spec.code_file))


class Scripts:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, code: str) -> InstanceSpec:
        path = self._directory / f"stand_in_{len(list(self._directory.iterdir()))}.py"
        path.write_text(code)
        return instance_spec(code_file=str(path))


@pytest.fixture
def context(tmp_path: Path) -> FactoryContext:
    return FactoryContext(tmp_path / "state", 1 << 30, os.environ)


@pytest.fixture
def script(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path)


class TestStandInConformance(RuntimeFactoryConformance):
    @pytest.fixture
    def factory(self, context: FactoryContext) -> StandInFactory:
        return StandInFactory(context)

    @pytest.fixture
    def spec(self, script: Scripts) -> InstanceSpec:
        return script(RUNS)

    @pytest.fixture
    def crashing_spec(self, script: Scripts) -> InstanceSpec:
        return script(FAILS)

    def test_the_instance_says_why_it_failed(self, bench: Bench, crashing_spec: InstanceSpec) -> None:
        runtime = bench.create(crashing_spec)
        runtime.start()
        seen = bench.until(runtime, Phase.EXITED)
        assert (seen.exit_code, seen.reason) == (3, "no such module")

    def test_a_silent_death_points_at_the_log(self, bench: Bench, script: Scripts, context: FactoryContext) -> None:
        runtime = bench.create(script(CRASHES))
        runtime.start()
        seen = bench.until(runtime, Phase.EXITED)
        log = context.state_dir / "subprocess/public/default/exclaim/0.log"
        assert (seen.exit_code, seen.reason) == (-9, f"killed by SIGKILL; its log is {log}")
        assert runtime.log_lines(5) == ["hello"]

    def test_one_that_ignores_sigterm_is_killed_after_the_grace(self, bench: Bench, script: Scripts) -> None:
        runtime = bench.running(script(STUBBORN))
        before = time.monotonic()
        runtime.stop(grace_seconds=0.1)
        assert time.monotonic() - before >= 0.1
        seen = bench.observe(runtime)
        assert (seen.exit_code, seen.reason) == (-9, "stopped")

    def test_what_a_dead_instance_started_dies_too(self, bench: Bench, script: Scripts) -> None:
        runtime = bench.create(script(BREEDS))
        runtime.start()
        bench.until(runtime, Phase.EXITED)
        child = Path("/proc", runtime.log_lines(1)[0], "status")
        deadline = time.monotonic() + 5
        while child.exists() and "zombie" not in child.read_text():
            assert time.monotonic() < deadline, child.read_text()
            time.sleep(0.01)

    def test_secrets_go_into_a_private_file_that_does_not_stay(
        self, bench: Bench, spec: InstanceSpec, context: FactoryContext
    ) -> None:
        auth = ClientAuth("org.example.Token", "token:s3cret")
        runtime = bench.running(dataclasses.replace(spec, auth=auth))
        (path,) = context.state_dir.rglob("*.ini")
        assert path.stat().st_mode & 0o777 == 0o600
        options = configparser.RawConfigParser()
        options.read(path)
        assert options.defaults()["client_auth_params"] == "token:s3cret"
        assert "function_details" in options.defaults()
        bench.stop(runtime)
        assert not path.exists()

    def test_what_cannot_be_launched_says_so(self, bench: Bench, spec: InstanceSpec, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("a file where the directory should be")
        runtime = bench.create(spec)
        with pytest.raises(LaunchError, match="public/default/exclaim:0: cannot be launched: "):
            runtime.start()
        assert bench.observe(runtime).phase is Phase.EXITED


def test_niceness_stands_in_front_of_the_command(context: FactoryContext) -> None:
    factory = SubprocessRuntimeFactory.from_config(Section({"niceness": 10}), context)
    _, command = factory.render(instance_spec()).splitlines()
    assert command.startswith(f"nice -n 10 {sys.executable} -P -m pulsar_runtimes.instance --py ")


def test_niceness_out_of_range_is_refused(context: FactoryContext) -> None:
    with pytest.raises(ConfigError, match=r"niceness: must be from 0 to 19 \(got 20\)"):
        SubprocessRuntimeFactory.from_config(Section({"niceness": 20}), context)


def test_runtime_flags_are_refused(context: FactoryContext) -> None:
    spec = instance_spec(function=function_spec(runtime_flags="-v"))
    with pytest.raises(AdmissionError, match=r"runtimeFlags: .* \(got '-v'\)"):
        SubprocessRuntimeFactory(context).check(spec)


def test_the_client_memory_limit_reaches_the_instance(context: FactoryContext) -> None:
    text = SubprocessRuntimeFactory(context).render(instance_spec(client_memory_bytes=1 << 20))
    assert "--client_memory_bytes 1048576" in text


def test_the_name_leads_to_the_factory() -> None:
    if "subprocess" not in {plugin.name for plugin in RUNTIME_FACTORIES.installed()}:
        pytest.skip("pfrun-subprocess is not installed here, only importable")
    assert RUNTIME_FACTORIES.find("subprocess") is SubprocessRuntimeFactory


def test_the_instance_understands_its_command_line(context: FactoryContext, tmp_path: Path) -> None:
    """The options of the command line and those of the file together are the whole spec."""
    spec = instance_spec(
        client_memory_bytes=1 << 20,
        auth=ClientAuth("org.example.Token", "token:100%=s3cret;#"),
        secrets_provider="secretsprovider.ClearTextSecretsProvider",
        secrets_provider_config={"path": "it's [here]"},
    )
    stand_in = "import shutil, sys\nshutil.copy(sys.argv[sys.argv.index('--config_file') + 1], sys.argv[0] + '.ini')\n"
    (tmp_path / "copy.py").write_text(stand_in)
    launch = SubprocessRuntimeFactory(context)._launch(spec)
    runtime = SubprocessRuntime(
        spec, dataclasses.replace(launch, command=(sys.executable, "-S", str(tmp_path / "copy.py")))
    )
    runtime.start()
    Bench(StandInFactory(context), 10, 5, 5).until(runtime, Phase.EXITED)
    options = launch.command[launch.command.index("pulsar_runtimes.instance") + 1 :]
    understood = parse_arguments([*options, "--config_file", str(tmp_path / "copy.py.ini")]).spec
    assert understood.function == dataclasses.replace(spec.function, package="")
    assert understood == dataclasses.replace(spec, function=understood.function, web_service_url="")
