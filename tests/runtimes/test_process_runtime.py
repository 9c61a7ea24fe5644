"""What is particular to the process runtime: sessions, logs, secrets, and who dies with whom."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import FunctionSpec, InstanceSpec, Language
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.process.factory import ProcessRuntimeFactory
from pulsar_runtimes.runtimes.process.runtime import ProcessRuntime
from pulsar_runtimes.testing import function_spec, instance_spec
from pulsar_runtimes.testing.bench import Bench
from tests.channel import Channel
from tests.waiting import is_alive, until

pytestmark = pytest.mark.broker

Sample = Callable[..., InstanceSpec]
Open = Callable[[FunctionSpec], Channel]

FLAGS = ["", "-X dev"]
"""Forked from the launcher, and in an interpreter of its own."""


@pytest.fixture
def factory(tmp_path: Path) -> ProcessRuntimeFactory:
    context = FactoryContext(tmp_path / "state", 8 << 30, os.environ)
    return ProcessRuntimeFactory.from_config(Section({"logDirectory": str(tmp_path / "logs")}), context)


@pytest.fixture
def bench(factory: ProcessRuntimeFactory) -> Iterator[Bench]:
    bench = Bench(factory, ready_within=30.0, stop_grace=5.0, stop_within=10.0)
    yield bench
    bench.clear()


def pid_of(runtime: object) -> int:
    assert isinstance(runtime, ProcessRuntime)
    assert runtime.pid is not None
    return runtime.pid


def launcher_of(runtime: object) -> int:
    parent: int = psutil.Process(pid_of(runtime)).ppid()
    return parent


def ask(channel: Channel) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(channel.ask("tell"))
    return answer


# What an instance is


@pytest.mark.parametrize("flags", FLAGS)
def test_an_instance_leads_a_session_and_group_of_its_own(
    flags: str, bench: Bench, sample: Sample, channel: Open
) -> None:
    spec = sample("Surroundings", runtime_flags=flags)
    runtime = bench.running(spec)
    seen = ask(channel(spec.function))
    assert seen["pid"] == seen["group"] == seen["session"] == pid_of(runtime)
    assert seen["parent"] == launcher_of(runtime)


@pytest.mark.parametrize(("flags", "dev_mode", "optimize"), [("", False, 0), ("-X dev", True, 0), ("-O", False, 1)])
def test_runtime_flags_are_the_interpreter_s(
    flags: str, dev_mode: bool, optimize: int, bench: Bench, sample: Sample, channel: Open
) -> None:
    spec = sample("Surroundings", runtime_flags=flags)
    bench.running(spec)
    seen = ask(channel(spec.function))
    assert (seen["dev_mode"], seen["optimize"]) == (dev_mode, optimize)


@pytest.mark.parametrize("flags", FLAGS)
def test_a_process_listing_shows_no_secret(flags: str, bench: Bench, sample: Sample, channel: Open) -> None:
    spec = sample("Surroundings", runtime_flags=flags, secrets_map={"PASSWORD": "s3cret it's"})
    runtime = bench.running(spec)
    assert ask(channel(spec.function))["secret"] == "s3cret it's"
    for name in ("cmdline", "environ"):
        shown = Path(f"/proc/{pid_of(runtime)}/{name}").read_bytes()
        assert b"s3cret" not in shown
        assert b"secretsMap" not in shown
        assert b"function_details" not in shown


def test_flags_the_interpreter_does_not_know_are_a_clear_reason(bench: Bench, sample: Sample) -> None:
    runtime = bench.create(sample("Exclaim", runtime_flags="--no-such-flag"))
    runtime.start()
    seen = bench.until(runtime, Phase.EXITED)
    assert seen.exit_code == 2
    assert seen.reason.startswith("exit code 2: ")
    assert "unknown option --no-such-flag" in "".join(runtime.log_lines(10))


# What it writes


@pytest.mark.parametrize("flags", FLAGS)
def test_everything_an_instance_writes_is_in_its_log_file(
    flags: str, bench: Bench, sample: Sample, channel: Open, tmp_path: Path
) -> None:
    spec = sample("Talks", name="talks", runtime_flags=flags)
    runtime = bench.running(replace(spec, instance_id=3))
    channel(spec.function).ask("hello")
    file = tmp_path / "logs/functions/public/default/talks/talks-3.log"
    expected = {f"{how} hello" for how in ("printed", "on stderr", "native", "by a child", "logged", "told")}
    until(file.read_text, lambda text: all(line in text for line in expected), seconds=5)
    assert runtime.log_lines(100) == file.read_text().splitlines()
    assert list((tmp_path / "logs/functions").rglob("*.log")) == [file]


def test_a_log_directory_that_cannot_be_made_is_a_clear_reason(bench: Bench, sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the directory should be")
    runtime = bench.create(sample("Exclaim"))
    runtime.start()
    seen = bench.until(runtime, Phase.EXITED)
    assert seen.reason.startswith("the log file cannot be opened: ")
    assert str(tmp_path / "logs") in seen.reason


def test_a_launcher_that_ran_out_of_descriptors_refuses_and_lives_on(bench: Bench, sample: Sample) -> None:
    first = bench.running(sample("Exclaim", name="first"))
    launcher = psutil.Process(launcher_of(first))
    usual = launcher.rlimit(psutil.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path(f"/proc/{launcher.pid}/fd").iterdir())
    launcher.rlimit(psutil.RLIMIT_NOFILE, (highest + 3, usual[1]))
    refused = bench.create(sample("Exclaim", name="refused"))
    refused.start()
    seen = bench.until(refused, Phase.EXITED)
    assert "Too many open files" in seen.reason
    launcher.rlimit(psutil.RLIMIT_NOFILE, usual)
    bench.running(sample("Exclaim", name="third"))
    assert bench.observe(first).phase is Phase.RUNNING


# Its end


@pytest.mark.parametrize("flags", FLAGS)
def test_what_an_instance_started_ends_with_it(flags: str, bench: Bench, sample: Sample, channel: Open) -> None:
    spec = sample("Breeds", runtime_flags=flags)
    runtime = bench.running(spec)
    instance, *children = json.loads(channel(spec.function).ask("breed"))
    assert [is_alive(pid) for pid in children] == [True, True]
    os.kill(instance, signal.SIGKILL)
    seen = bench.until(runtime, Phase.EXITED)
    assert (seen.exit_code, seen.reason) == (-9, "killed by SIGKILL")
    until(lambda: [pid for pid in children if is_alive(pid)], lambda left: not left, seconds=5)


@pytest.mark.parametrize("flags", FLAGS)
def test_one_that_ignores_the_polite_signal_is_killed_after_the_grace(flags: str, bench: Bench, sample: Sample) -> None:
    runtime = bench.running(sample("Stubborn", runtime_flags=flags))
    before = time.monotonic()
    runtime.stop(grace_seconds=0.5)
    taken = time.monotonic() - before
    assert 0.5 <= taken < 3.0
    assert bench.observe(runtime) == Observation(Phase.EXITED, -9, "stopped")


def test_a_stop_in_the_middle_of_a_start_takes_no_grace_and_no_other(bench: Bench, sample: Sample) -> None:
    """A child that was signalled before it had shed the launcher's handlers used to end its siblings."""
    other = bench.running(sample("Exclaim", name="other"))
    before = time.monotonic()
    for number in range(20):
        runtime = bench.create(sample("Exclaim", name=f"short-{number}"))
        runtime.start()
        bench.stop(runtime)
    assert time.monotonic() - before < 10.0
    assert bench.observe(other).phase is Phase.RUNNING


def test_the_reason_is_what_the_instance_said_itself(bench: Bench, sample: Sample) -> None:
    runtime = bench.create(sample("Unbuildable"))
    runtime.start()
    seen = bench.until(runtime, Phase.EXITED)
    assert seen.reason == "'samples.Unbuildable': its constructor failed: RuntimeError: no table of that name"
    assert seen.exit_code == 1


def test_one_that_ends_without_a_word_shows_its_exit_code(bench: Bench, sample: Sample, channel: Open) -> None:
    spec = sample("Exits")
    runtime = bench.running(spec)
    channel(spec.function).send(["die"])
    seen = bench.until(runtime, Phase.EXITED)
    assert seen.exit_code == 7
    assert seen.reason.startswith("exit code 7")


@pytest.mark.parametrize("flags", FLAGS)
def test_one_that_was_killed_leaves_word_of_the_message_in_its_hand(
    flags: str, bench: Bench, sample: Sample, channel: Open
) -> None:
    spec = sample("Exits", runtime_flags=flags)
    runtime = bench.running(spec)
    talk = channel(spec.function)
    assert talk.ask("fine") == "fine"
    talk.send(["die"])
    seen = bench.until(runtime, Phase.EXITED)
    (topic,) = spec.function.source.input_specs
    (noted,) = seen.last_messages
    assert re.fullmatch(re.escape(topic) + r" \(\d+,1,-1,-1\)", noted), noted


# The launcher


def test_instances_end_with_their_launcher_and_the_next_one_gets_another(bench: Bench, sample: Sample) -> None:
    runtimes = [bench.running(sample("Exclaim", name=f"f{number}")) for number in range(3)]
    pids = [pid_of(runtime) for runtime in runtimes]
    launcher = launcher_of(runtimes[0])
    os.kill(launcher, signal.SIGKILL)
    for runtime in runtimes:
        seen = bench.until(runtime, Phase.EXITED)
        assert seen.reason == "the launcher process ended (killed by SIGKILL)"
    until(lambda: [pid for pid in pids if is_alive(pid)], lambda left: not left, seconds=5)
    again = bench.running(sample("Exclaim", name="again"))
    assert launcher_of(again) != launcher


def test_a_launcher_killed_with_requests_unread_is_noticed(bench: Bench, sample: Sample) -> None:
    """The end of such a socket is an error to whoever reads it, and used to end the reader instead."""
    first = bench.running(sample("Exclaim", name="first"))
    launcher = launcher_of(first)
    os.kill(launcher, signal.SIGSTOP)
    second = bench.create(sample("Exclaim", name="second"))
    second.start()
    os.kill(launcher, signal.SIGKILL)
    for runtime in (first, second):
        assert "killed by SIGKILL" in bench.until(runtime, Phase.EXITED).reason


def test_a_start_right_after_the_launcher_died_is_not_taken_along(
    bench: Bench, factory: ProcessRuntimeFactory, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader of the dead launcher comes late; it must not report the next launcher's instances as ended."""
    first = bench.running(sample("Exclaim", name="first"))
    client = factory._launcher
    process = client._process
    assert process is not None
    late = threading.Event()
    usual_wait = process.wait

    def wait(timeout: float | None = None) -> int:
        late.wait(10)
        return usual_wait(timeout)

    monkeypatch.setattr(process, "wait", wait)
    os.kill(process.pid, signal.SIGKILL)
    until(process.poll, lambda code: code is not None, seconds=5)
    second = bench.running(sample("Exclaim", name="second"))
    late.set()
    bench.until(first, Phase.EXITED)
    bench.always(second, Phase.RUNNING)
    assert is_alive(pid_of(second))


def test_stopping_an_instance_whose_launcher_just_died_is_no_error(bench: Bench, sample: Sample) -> None:
    runtime = bench.running(sample("Exclaim"))
    os.kill(launcher_of(runtime), signal.SIGKILL)
    bench.stop(runtime)


def test_closing_a_factory_whose_launcher_just_died_is_no_error(
    bench: Bench, factory: ProcessRuntimeFactory, sample: Sample
) -> None:
    runtime = bench.running(sample("Exclaim"))
    os.kill(launcher_of(runtime), signal.SIGKILL)
    factory.close()
    bench.until(runtime, Phase.EXITED)


def test_the_launcher_holds_nothing_of_an_instance_that_ended(bench: Bench, sample: Sample) -> None:
    keeper = bench.running(sample("Exclaim", name="keeper"))
    launcher = launcher_of(keeper)

    def descriptors() -> int:
        return len(list(Path(f"/proc/{launcher}/fd").iterdir()))

    before = descriptors()
    for number in range(3):
        bench.stop(bench.running(sample("Exclaim", name=f"f{number}")))
    until(descriptors, lambda now: now <= before, seconds=5)


# What it would do


def test_render_masks_secrets_and_tells_how_it_starts(factory: ProcessRuntimeFactory) -> None:
    spec = instance_spec()
    forked = factory.render(spec)
    spawned = factory.render(replace(spec, function=replace(spec.function, runtime_flags="-O -X dev")))
    assert "forked from the preloaded launcher" in forked
    assert "own program" in spawned
    assert " -P -O -X dev -m pulsar_runtimes.instance --py " in spawned


def test_no_socket_is_left_when_the_launcher_cannot_be_started(
    bench: Bench, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pulsar_runtimes.model.errors import LaunchError

    made: list[socket.socket] = []
    pair = socket.socketpair

    def remember() -> tuple[socket.socket, socket.socket]:
        made.extend(pair())
        return made[-2], made[-1]

    monkeypatch.setattr(socket, "socketpair", remember)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    runtime = bench.create(sample("Exclaim"))
    with pytest.raises(LaunchError, match=r"the launcher process cannot be started: .*/no/such/python"):
        runtime.start()
    assert [each.fileno() for each in made] == [-1, -1]


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({}, r"a Java function needs java-instance\.jar; set javaInstanceJarLocation, or PULSAR_HOME"),
        (
            {"javaInstanceJarLocation": "/no/such.jar"},
            r"/no/such\.jar: there is no such file; set javaInstanceJarLocation",
        ),
    ],
)
def test_what_a_java_function_lacks_is_told_before_the_start(
    keys: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    java = tmp_path / "java"
    java.touch(mode=0o755)
    context = FactoryContext(tmp_path / "state", 8 << 30, {"PATH": str(tmp_path)})
    factory = ProcessRuntimeFactory.from_config(Section(keys), context)
    with pytest.raises(AdmissionError, match=complaint):
        factory.check(instance_spec(function=function_spec(language=Language.JAVA)))
    java.unlink()
    with pytest.raises(AdmissionError, match=r"a Java function needs java, which is not on the PATH"):
        factory.check(instance_spec(function=function_spec(language=Language.JAVA)))
