"""Go functions: a real program under a worker with the process runtime, on a real Apache Pulsar."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes import AdmissionError, Worker
from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.function import parse_function_config
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.status import FunctionStatus
from tests.standalone.distribution import UnavailableError
from tests.waiting import is_alive, until

from .conftest import Run, Talk
from .go_program import build_go_function

REPLACED_SECONDS = 10.0
HUNG = "it hung: alive, but without an answer"

Build = Callable[..., FunctionSpec]


@pytest.fixture
def build(go_function: Path, topic: Callable[[str], str]) -> Build:
    """``build(parallelism=2)`` is the spec of the Go function between topics that no other test has."""

    def parse(**keys: Any) -> FunctionSpec:
        document = {
            "name": "go",
            "go": str(go_function),
            "inputs": [topic("go-in")],
            "output": topic("go-out"),
            "subscriptionPosition": "Earliest",
        }
        return parse_function_config(parse_document(json.dumps(document | keys)))

    return parse


def pids(worker: Worker, function: FunctionSpec) -> list[int]:
    found = []
    for instance in worker.status(function.key).instances:
        runtime = worker.replica(instance.key)
        pid = None if runtime is None else runtime.pid  # type: ignore[attr-defined]
        found += [] if pid is None else [pid]
    return found


def counted(status: FunctionStatus) -> list[tuple[int, int]]:
    """What each instance that can be asked has received and processed."""
    all_stats = [instance.stats for instance in status.instances]
    return [(stats.received, stats.processed) for stats in all_stats if stats is not None]


@pytest.mark.slow
@pytest.mark.standalone
class TestGoFunction:
    def test_a_hundred_messages_in_are_a_hundred_out_and_counted(self, run: Run, build: Build, talk: Talk) -> None:
        worker, function = run(), build(parallelism=2)
        worker.submit(function)
        worker.wait_running(function.key)
        assert len(set(pids(worker, function))) == 2

        channel = talk(function)
        channel.send(f"word {number}" for number in range(100))
        channel.await_all(f"word {number}!" for number in range(100))

        assert len(channel.received) == 100
        stats = until(
            lambda: counted(worker.status(function.key, stats=True)),
            lambda seen: sum(processed for _, processed in seen) == 100,
        )
        assert all(received == processed > 0 for received, processed in stats), stats

    def test_all_its_inputs_are_read(self, run: Run, build: Build, topic: Callable[[str], str], talk: Talk) -> None:
        worker = run()
        first, second = build(name="many", inputs=[topic("one")]), build(name="many", inputs=[topic("two")])
        worker.submit(build(name="many", inputs=[topic("one"), topic("two")]))
        worker.wait_running(first.key)
        assert talk(first).ask("this") == "this!"
        channel = talk(second)
        channel.send(["that"])
        channel.await_all(["this!", "that!"])

    def test_its_secret_reaches_it_and_is_on_no_command_line(
        self, run: Run, build: Build, talk: Talk, tmp_path: Path
    ) -> None:
        worker, function = run(), build(secrets={"PASSWORD": "hunter2"}, userConfig={"key": "swordfish"})
        worker.submit(function)
        worker.wait_running(function.key)
        channel = talk(function)

        assert channel.ask("has secret PASSWORD") == "has secret PASSWORD: true"
        assert channel.ask("has secret OTHER") == "has secret OTHER: false"
        (pid,) = pids(worker, function)
        for name in ("cmdline", "environ"):
            text = Path(f"/proc/{pid}/{name}").read_bytes()
            assert b"hunter2" not in text
            assert b"swordfish" not in text
        assert str(function.key.name).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert "hunter2" not in "".join(path.read_text() for path in (tmp_path / "logs").rglob("*.log"))

    def test_a_killed_one_is_restarted_and_nothing_is_lost(self, run: Run, build: Build, talk: Talk) -> None:
        worker, function = run(), build(parallelism=2)
        worker.submit(function)
        worker.wait_running(function.key)
        channel = talk(function)
        words = [f"slow {number}" for number in range(600)]
        channel.send(words)
        channel.take(20)  # under way, not over
        before = pids(worker, function)

        os.kill(before[0], signal.SIGKILL)

        status = worker.wait(function.key, lambda seen: seen.instances[0].restarts == 1 and seen.is_running, seconds=20)
        channel.await_all((f"{word}!" for word in words), seconds=60)
        assert "SIGKILL" in status.instances[0].reason
        assert pids(worker, function)[0] != before[0]
        assert pids(worker, function)[1] == before[1]

    def test_told_to_stop_it_finishes_what_it_has_and_ends_with_0(self, run: Run, build: Build, talk: Talk) -> None:
        worker, function = run(), build()
        worker.submit(function)
        (instance,) = worker.wait_running(function.key).instances
        runtime = worker.replica(instance.key)
        assert runtime is not None
        channel = talk(function)
        channel.send(f"slow {number}" for number in range(300))
        channel.take(20)
        (pid,) = pids(worker, function)

        worker.remove(function.key)

        until(lambda: runtime.observe().exit_code, lambda code: code is not None)
        assert runtime.observe().exit_code == 0
        assert not is_alive(pid)
        assert runtime.log_lines(1) == ["go:0 ended"]
        assert len(channel.poll()) < 300
        worker.submit(function)  # what it had not done is done by the next one, and nothing is done twice
        channel.await_all((f"slow {number}!" for number in range(300)), seconds=60)
        assert len(channel.received) == 300

    def test_one_that_stands_still_is_found_and_replaced(self, run: Run, build: Build, talk: Talk) -> None:
        worker, function = run(), build()
        worker.submit(function)
        worker.wait_running(function.key)
        channel = talk(function)
        assert channel.ask("before") == "before!"
        (pid,) = pids(worker, function)

        os.kill(pid, signal.SIGSTOP)
        since = time.monotonic()
        worker.wait(function.key, lambda seen: seen.instances[0].restarts == 1 and seen.is_running, seconds=20)
        took = time.monotonic() - since

        (instance,) = worker.status(function.key).instances
        assert HUNG in instance.reason
        assert not is_alive(pid)
        assert took < REPLACED_SECONDS
        assert any("goroutine" in line for line in instance.last_lines), instance.last_lines
        assert channel.ask("after") == "after!"


def test_without_a_real_pulsar_a_go_function_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    document = {"name": "go", "go": str(program), "inputs": ["in"], "output": "out"}
    function = parse_function_config(parse_document(json.dumps(document)))
    worker = Worker(
        parse_worker_config(parse_document('{"functionRuntimeFactoryClassName": "process"}'), {}), state_dir=tmp_path
    )
    complaint = r"public/default/go: the broker 'pulsar-lite' cannot serve GO functions; set pulsarServiceUrl to a real"
    with pytest.raises(AdmissionError, match=complaint):
        worker.submit(function)


class TestBuildOfTheProgram:
    def test_no_go_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(UnavailableError, match="no go on the PATH"):
            build_go_function({"PFRUN_CACHE": str(tmp_path), "PATH": str(tmp_path)})

    @pytest.mark.skipif(shutil.which("go") is None, reason="no go on the PATH")
    def test_modules_out_of_reach_are_said_with_the_words_of_go(self, tmp_path: Path) -> None:
        unreachable = {"GOPROXY": "off", "GOMODCACHE": str(tmp_path / "modules"), "GOFLAGS": "-modcacherw"}
        with pytest.raises(UnavailableError, match=r"cannot be had:\n(.*\n)*.*module lookup disabled by GOPROXY=off"):
            build_go_function(os.environ | unreachable | {"PFRUN_CACHE": str(tmp_path)})
        assert not list(tmp_path.glob("go-function-*"))
