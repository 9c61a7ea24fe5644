"""Apache Pulsar's own Python instance under pfrun's worker, when ``pythonInstanceLocation`` says so."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pulsar
import pytest

from pulsar_runtimes import FunctionSpec
from pulsar_runtimes.runtimes.process.runtime import ProcessRuntime
from tests.channel import Channel
from tests.standalone.standalone import Standalone
from tests.waiting import is_alive, until
from tests.workers import Build, Run

pytestmark = [pytest.mark.slow, pytest.mark.standalone]


@pytest.fixture
def settings(pulsar_standalone: Standalone, tmp_path: Path) -> dict[str, object]:
    if importlib.util.find_spec("bookkeeper") is None:
        pytest.skip("what the instance imports is not installed: pulsar-client[functions]")
    script = pulsar_standalone.home / "instances" / "python-instance" / "python_instance_main.py"
    section = {"logDirectory": str(tmp_path / "logs"), "pythonInstanceLocation": str(script)}
    return {
        "pulsarServiceUrl": pulsar_standalone.service_url,
        "functionRuntimeFactoryConfigs": section,
        "environment": {
            "PULSAR_HOME": str(pulsar_standalone.home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
    }


def test_it_works_is_counted_and_its_secrets_stay_off_the_command_line(
    run: Run, build: Build, settings: dict[str, object], pulsar_standalone: Standalone, topic: Callable[[str], str]
) -> None:
    worker = run("process", **settings)
    function: FunctionSpec = build("Exclaim", secrets={"PASSWORD": "hunter2"})
    worker.submit(function)
    status = worker.wait_running(function.key, seconds=60)
    client = pulsar.Client(pulsar_standalone.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    assert Channel(client, function).ask("hi") == "hi!"
    client.close()

    runtime = worker.replica(status.instances[0].key)
    assert isinstance(runtime, ProcessRuntime) and runtime.pid is not None
    command = Path(f"/proc/{runtime.pid}/cmdline").read_bytes()
    assert b"python_instance_main.py" in command and b"hunter2" not in command
    (instance,) = worker.status(function.key, stats=True).instances
    assert instance.stats is not None and instance.stats.processed == 1
    worker.remove(function.key)
    until(lambda: is_alive(runtime.pid or 0), lambda alive: not alive)
