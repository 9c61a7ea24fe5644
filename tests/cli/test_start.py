"""``pfrun start`` as a process: from a config file to an answer on a topic, and down again."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals

import pytest

from pulsar_runtimes._version import __version__
from pulsar_runtimes.cli.serving import serve
from pulsar_runtimes.cli.workload import Workload, add_function, add_worker
from pulsar_runtimes.config.worker import load_worker_config
from pulsar_runtimes.model.status import State
from pulsar_runtimes.supervisor.policy import RestartPolicy
from tests.channel import Channel
from tests.cli.daemon import Daemon, run_process
from tests.waiting import until

Start = Callable[..., Daemon]
Write = Callable[[str, str], str]
Function = Callable[..., str]
Talk = Callable[[Daemon, str], Channel]

BUSY = """\
import time
from pathlib import Path
from pulsar import Function


class Busy(Function):
    def process(self, input, context):
        Path("busy").touch()
        time.sleep(3600)
"""


@pytest.fixture
def busy(write: Write, daemon: Start, talk: Talk, place: Path) -> Callable[..., Daemon]:
    """A worker whose function holds a message that it never finishes."""

    def busy(*arguments: str) -> Daemon:
        write("busy.py", BUSY)
        write(
            "busy.yml", "py: busy.py\nclassName: busy.Busy\ninputs: [in]\noutput: out\nsubscriptionPosition: Earliest\n"
        )
        started = daemon("start", "--function-config", "busy.yml", *arguments)
        started.await_err(": running")
        talk(started, "busy.yml").send(["one"])
        until((place / "busy").exists)
        return started

    return busy


# Up


@pytest.mark.broker
@pytest.mark.parametrize("runtime", ["process", "thread"])
def test_a_function_answers_on_its_topics_and_sigterm_ends_all_of_it(
    runtime: str, daemon: Start, talk: Talk, write: Write, function: Function, tmp_path: Path
) -> None:
    write("worker.yml", f"functionRuntimeFactoryClassName: {runtime}\n")
    file = function()
    started = daemon("start", "--conf", "worker.yml", "--function-config", file)
    assert talk(started, file).ask("hello") == "hello!"
    assert started.descendants()
    assert started.stop() == 0
    started.assert_nothing_left()
    url = started.broker_url
    assert started.out == (
        f"pfrun {__version__} is up: broker {url}, {runtime} runtime, 1 function, state in {tmp_path / 'state'}\n"
    )
    lines = started.err.splitlines()
    assert any(line.endswith("INFO    SIGTERM: stopping, for 10 s at the most") for line in lines)
    topics = "reads persistent://public/default/f-in, writes persistent://public/default/f-out"
    assert any(line.endswith(f"INFO    public/default/f: {topics}") for line in lines)
    assert any(line.endswith("INFO    public/default/f:0: running") for line in lines)
    assert "Traceback" not in started.err
    assert "\x1b" not in started.out + started.err


@pytest.mark.broker
@pytest.mark.parametrize("number", [SIGINT, SIGHUP])
def test_other_polite_signals_stop_it_too(number: Signals, daemon: Start, function: Function) -> None:
    started = daemon("start", "--function-config", function())
    started.await_err("public/default/f:0: running")
    assert started.stop(number) == 0
    started.assert_nothing_left()


@pytest.mark.broker
def test_a_worker_that_nohup_has_started_goes_on_when_the_terminal_is_gone(daemon: Start, function: Function) -> None:
    started = daemon("start", "--function-config", function(), ignoring=SIGHUP)
    started.await_err("public/default/f:0: running")
    started.signal(SIGHUP)
    with pytest.raises(AssertionError, match="runs on after"):
        started.wait(0.5)
    assert started.stop() == 0


@pytest.mark.broker
def test_ctrl_c_leaves_functions_to_their_grace(daemon: Start, function: Function) -> None:
    started = daemon("start", "--function-config", function())
    started.await_err("public/default/f:0: running")
    started.descendants()
    started.interrupt()
    assert started.wait() == 0
    started.assert_nothing_left()
    assert "ended" not in started.err


@pytest.mark.broker
def test_a_worker_runs_without_functions(daemon: Start) -> None:
    started = daemon("start")
    assert "process runtime, no functions, state in" in started.await_out(" is up: ")
    assert started.stop() == 0
    started.assert_nothing_left()


@pytest.mark.broker
def test_messages_and_the_broker_s_address_survive_a_restart(daemon: Start, talk: Talk, function: Function) -> None:
    file = function()
    first = daemon("start")
    talk(first, file).send(["while nobody was there"])
    assert first.stop() == 0
    second = daemon("start", "--function-config", file)
    assert second.broker_url == first.broker_url
    talk(second, file).await_all(["while nobody was there!"])
    assert second.stop() == 0


# Down


@pytest.mark.broker
def test_a_function_that_never_ends_is_ended_with_the_grace(busy: Callable[..., Daemon]) -> None:
    started = busy("--grace", "0.5")
    before = time.monotonic()
    assert started.stop() == 0
    assert 0.5 <= time.monotonic() - before < 5
    started.assert_nothing_left()


@pytest.mark.broker
def test_a_second_signal_ends_the_grace(busy: Callable[..., Daemon]) -> None:
    started = busy("--grace", "3600")
    started.descendants()
    started.signal(SIGTERM)
    started.await_err("SIGTERM: stopping, for 3600 s at the most")
    started.signal(SIGINT)
    assert started.wait() == 128 + SIGINT
    assert "SIGINT: ending at once" in started.err
    started.assert_nothing_left()


# What cannot be started


def test_a_bad_configuration_starts_nothing(write: Write, function: Function, tmp_path: Path) -> None:
    write(
        "worker.yml", "workerPortt: 1\nfunctionRuntimeFactoryConfigs:\n  pulsarClientMemoryLimit: {absoluteValue: 0}\n"
    )
    write("bad.yml", "name: bad\nparallelism: x\n")
    ran = run_process("start", "-c", "worker.yml", "--function-config", function(), "--function-config", "bad.yml")
    assert (ran.code, ran.out) == (2, "")
    assert "warning: worker.yml:1: workerPortt: " in ran.err
    assert "worker.yml:3: functionRuntimeFactoryConfigs.pulsarClientMemoryLimit.absoluteValue: must be" in ran.err
    assert "bad.yml:2: parallelism: must be a number (got 'x')" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "state").exists()


@pytest.mark.broker
def test_a_worker_for_kubernetes_needs_an_api_server(
    write: Write, function: Function, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    write(
        "worker.yml",
        "functionRuntimeFactoryClassName: kubernetes\n"
        "pulsarServiceUrl: pulsar://127.0.0.1:1\npulsarWebServiceUrl: http://127.0.0.1:2\n",
    )
    ran = run_process("start", "-c", "worker.yml", "--function-config", function())
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].endswith("; set KUBECONFIG, k8Uri, or submittingInsidePod")
    assert not (tmp_path / "state").exists()


def test_a_second_worker_on_the_same_state_directory_is_refused(daemon: Start, tmp_path: Path) -> None:
    first = daemon("start")
    first.await_out(" is up: ")
    ran = run_process("start")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"{tmp_path / 'state'}: in use by the worker with pid {first.pid}; "
        "stop that one, or give this worker a state directory of its own\n"
    )
    assert first.stop() == 0


def test_a_state_directory_that_cannot_be_made_is_one_line() -> None:
    ran = run_process("start", "--state-dir", "/proc/no/such")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("/proc/no")
    assert ran.err.endswith(": cannot be used: No such file or directory\n")
    assert len(ran.err.splitlines()) == 1


def test_a_state_directory_that_is_a_file_is_a_mistake(write: Write) -> None:
    ran = run_process("start", "--state-dir", write("file", ""))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith("/file: the state directory must be a directory\n")


# Functions that fail


@pytest.mark.broker
def test_the_reason_of_a_failure_is_shown_and_the_other_functions_go_on(
    daemon: Start, talk: Talk, function: Function
) -> None:
    function("Unbuildable", name="bad")
    good = function(name="good")
    started = daemon("start", "--function-config", "bad.yml", "--function-config", good)
    started.await_err("public/default/bad:0: ended (")
    assert "its constructor failed: RuntimeError: no table of that name" in started.err
    assert talk(started, good).ask("hello") == "hello!"
    assert started.stop() == 0
    started.assert_nothing_left()


@pytest.mark.broker
def test_a_function_that_is_given_up_is_logged_with_its_reason(
    function: Function, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    workload = Workload()
    policy = RestartPolicy(initial_seconds=0.01, give_up_after=2)
    add_worker(workload, load_worker_config(None), None, restart_policy=policy)
    add_function(workload, function("Unbuildable"))

    worker = workload.require_worker()

    def stop_when_given_up() -> None:
        if any(each.state is State.FAILED for status in worker.statuses() for each in status.instances):
            os.kill(os.getpid(), SIGTERM)

    former = signal.getsignal(SIGTERM)
    with caplog.at_level(logging.INFO):
        assert serve(worker, workload.functions, 5.0, stop_when_given_up) == 0
    assert signal.getsignal(SIGTERM) is former
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert line.startswith("public/default/f:0: given up after 2 failures: ")
    assert line.endswith("RuntimeError: no table of that name")
    assert " is up: " in capsys.readouterr().out
