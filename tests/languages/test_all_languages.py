"""Java, Go and Python functions side by side under one worker on a real Apache Pulsar, and each of them killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pulsar_runtimes import FunctionSpec, Worker, parse_function_config
from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.runtimes.process.runtime import ProcessRuntime
from tests.standalone.standalone import Standalone
from tests.waiting import is_alive, until
from tests.workers import SAMPLES

from .conftest import Run, Talk

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

INSTANCES = 4
SMALL = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
STARTS_WITHIN = 120.0


def _pid(worker: Worker, function: FunctionSpec, number: int) -> int:
    runtime = worker.replica(worker.status(function.key).instances[number].key)
    assert isinstance(runtime, ProcessRuntime) and runtime.pid is not None
    return runtime.pid


def test_nothing_is_lost_when_every_instance_of_every_language_is_killed_under_load(
    run: Run, talk: Talk, topic: Callable[[str], str], go_function: Path, pulsar_standalone: Standalone
) -> None:
    home = pulsar_standalone.home
    worker = run(runtime={"javaInstanceJarLocation": str(home / "instances" / "java-instance.jar")})
    exclaiming = "org.apache.pulsar.functions.api.examples.ExclamationFunction"
    code: dict[str, dict[str, Any]] = {
        "java": {"jar": str(home / "examples/api-examples.jar"), "className": exclaiming, "runtimeFlags": SMALL},
        "go": {"go": str(go_function)},
        "python": {"py": str(SAMPLES), "className": "samples.Exclaim"},
    }
    functions = []
    for name, keys in code.items():
        document = {
            "name": name,
            "inputs": [topic(f"{name}-in")],
            "output": topic(f"{name}-out"),
            "parallelism": INSTANCES,
            "subscriptionPosition": "Earliest",
            "resources": {"cpu": 1.0, "ram": 128 << 20, "disk": 1 << 30},
        }
        functions.append(parse_function_config(parse_document(json.dumps(document | keys))))
        worker.submit(functions[-1])
    for function in functions:
        worker.wait_running(function.key, seconds=STARTS_WITHIN)
    launcher = psutil.Process(_pid(worker, functions[0], 0)).parent()
    assert launcher is not None

    channels = [talk(function) for function in functions]
    for turn in range(INSTANCES):
        for channel in channels:
            channel.send(f"{turn}-{number}" for number in range(300))
        for function in functions:
            os.kill(_pid(worker, function, turn), signal.SIGKILL)

    for channel in channels:
        channel.await_all((f"{turn}-{number}!" for turn in range(INSTANCES) for number in range(300)), seconds=120)
    for function in functions:
        status = worker.wait_running(function.key, seconds=STARTS_WITHIN)
        assert [instance.restarts for instance in status.instances] == [1] * INSTANCES
        assert {end.exit_code for instance in status.instances for end in instance.ends} == {-signal.SIGKILL}
    everything = [child.pid for child in launcher.children()]
    assert len(everything) == 3 * INSTANCES
    worker.stop()
    assert not until(lambda: [pid for pid in everything if is_alive(pid)], lambda alive: not alive)
