"""The end of a worker that runs as a process of its own, asked for and not."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pulsar
import pytest

from pulsar_runtimes import LaunchError
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.runtimes.process.runtime import ProcessRuntime
from tests.channel import Channel
from tests.waiting import is_alive, until
from tests.workers import SAMPLES, Build, Run

pytestmark = pytest.mark.broker

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """``start("process", documents)`` is ``pfrun start`` with these function configs, up and running."""
    started: list[subprocess.Popen[str]] = []

    def launch(factory: str, functions: list[dict[str, Any]], **keys: Any) -> subprocess.Popen[str]:
        section = {"logDirectory": str(tmp_path / "logs")} if factory == "process" else {}
        worker = {"functionRuntimeFactoryClassName": factory, "functionRuntimeFactoryConfigs": section}
        conf = tmp_path / "functions_worker.yml"
        conf.write_text(json.dumps(worker | keys))
        command = [sys.executable, "-m", "pulsar_runtimes", "start", "--conf", str(conf)]
        for number, function in enumerate(functions):
            file = tmp_path / f"function-{number}.json"
            file.write_text(json.dumps(function))
            command += ["--function-config", str(file)]
        command += ["--state-dir", str(tmp_path / "state")]
        with (tmp_path / "worker.log").open("w") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        started.append(process)
        assert process.stdout is not None
        assert "is up" in process.stdout.readline(), (tmp_path / "worker.log").read_text()
        return process

    yield launch
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.communicate()


def _document(spec: FunctionSpec, **keys: Any) -> dict[str, Any]:
    document = {
        "name": spec.name,
        "className": spec.class_name,
        "py": str(SAMPLES),
        "inputs": list(spec.source.input_specs),
        "output": spec.sink.topic,
        "subscriptionPosition": "Earliest",
    }
    return document | keys


def _instances(worker: int) -> list[int]:
    return [child.pid for child in psutil.Process(worker).children(recursive=True) if child.name().startswith("pf:")]


@pytest.mark.slow
def test_no_instance_outlives_a_killed_worker(start: Start, build: Build, tmp_path: Path) -> None:
    worker = start("process", [_document(build("Exclaim"), parallelism=50)])
    until(lambda: len(_instances(worker.pid)), lambda count: count == 50)
    log = tmp_path / "logs"
    until(lambda: sum(file.stat().st_size > 0 for file in log.rglob("*.log")), lambda count: count == 50)
    everything = [child.pid for child in psutil.Process(worker.pid).children(recursive=True)]
    assert len(everything) >= 52  # the launcher, and the broker with its guard

    worker.send_signal(signal.SIGKILL)
    killed = time.monotonic()

    until(lambda: [pid for pid in everything if is_alive(pid)], lambda alive: not alive, seconds=5)
    assert time.monotonic() - killed < 5


@pytest.mark.parametrize("factory", ["thread", "process"])
def test_after_sigterm_every_acknowledged_input_has_its_output(
    factory: str,
    start: Start,
    build: Build,
    broker_url: str,
    channel: Callable[[FunctionSpec], Channel],
    pulsar_client: pulsar.Client,
) -> None:
    function = build("Slow")
    worker = start(factory, [_document(function, parallelism=2)], pulsarServiceUrl=broker_url)
    talk = channel(function)
    words = {f"word {number}" for number in range(2000)}
    talk.send(words)
    talk.take(50)  # it is in the middle of its work

    worker.send_signal(signal.SIGTERM)
    asked = time.monotonic()

    assert worker.wait(timeout=15) == 0
    assert time.monotonic() - asked < 10
    left = _backlog(pulsar_client, function)
    assert left  # otherwise the end came too late to show anything
    assert words - left <= set(talk.poll())


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_a_worker_that_comes_again_adopts_its_instances(
    ending: signal.Signals,
    start: Start,
    build: Build,
    broker_url: str,
    run: Run,
    channel: Callable[[FunctionSpec], Channel],
    tmp_path: Path,
) -> None:
    kept, changed, unwanted = (build("Exclaim", name=name) for name in ("kept", "changed", "unwanted"))
    keys = {"pulsarServiceUrl": broker_url, "functionRuntimeFactoryConfigs": _keeping(tmp_path)}
    first = start("process", [_document(function) for function in (kept, changed, unwanted)], **keys)
    until(lambda: len(_instances(first.pid)), lambda count: count == 3)
    talk = channel(kept)
    assert talk.ask("before") == "before!"
    before = {psutil.Process(pid).name(): psutil.Process(pid) for pid in _instances(first.pid)}
    first.send_signal(ending)
    first.wait(timeout=15)
    assert talk.ask("between") == "between!"  # nobody looks after it, and it works

    second = run("process", **keys)
    again = build("Exclaim", name="changed", userConfig={"new": "setting"})
    for function in (kept, again):
        second.submit(function)
        second.wait_running(function.key)

    def pid_of(function: FunctionSpec) -> int:
        (instance,) = second.status(function.key).instances
        runtime = second.replica(instance.key)
        assert isinstance(runtime, ProcessRuntime) and runtime.pid is not None
        return runtime.pid

    assert pid_of(kept) == before["pf:kept-0"].pid
    assert before["pf:kept-0"].is_running()  # this very process, by its start time
    assert pid_of(again) != before["pf:changed-0"].pid
    until(
        lambda: [name for name, process in before.items() if process.is_running()], lambda left: left == ["pf:kept-0"]
    )
    assert talk.ask("after") == "after!"
    (seen,) = second.status(kept.key, stats=True).instances
    assert seen.stats is not None and seen.stats.processed >= 2
    for function in (kept, again):
        second.remove(function.key)
    until(second.statuses, lambda left: not left)
    assert not before["pf:kept-0"].is_running()


@pytest.mark.slow
def test_two_workers_never_look_after_the_same_instances(
    start: Start, build: Build, broker_url: str, run: Run, tmp_path: Path
) -> None:
    keys = {"pulsarServiceUrl": broker_url, "functionRuntimeFactoryConfigs": _keeping(tmp_path)}
    start("process", [_document(build("Exclaim"))], **keys)
    until(lambda: (tmp_path / "state" / "process" / "launcher.sock").exists())
    with pytest.raises(LaunchError, match="another worker that uses this state directory is still there"):
        run("process", **keys)


def _keeping(tmp_path: Path) -> dict[str, Any]:
    return {"logDirectory": str(tmp_path / "logs"), "keepInstancesOnExit": True}


def _backlog(client: pulsar.Client, function: FunctionSpec) -> set[str]:
    """What nobody acknowledged on the subscription of ``function``."""
    (topic,) = function.source.input_specs
    consumer = client.subscribe(
        topic,
        "public/default/f",
        consumer_type=pulsar.ConsumerType.Shared,
        initial_position=pulsar.InitialPosition.Latest,
    )
    found: set[str] = set()
    try:
        while True:
            found.add(consumer.receive(500).data().decode())
    except pulsar.Timeout:
        return found
    finally:
        consumer.close()
