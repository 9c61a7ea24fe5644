"""What the measurements of pfrun alone share: a worker on a broker of its own, functions, and what they count."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pulsar

from pulsar_runtimes import FunctionSpec, RestartPolicy, Worker, parse_function_config, parse_worker_config
from pulsar_runtimes.config.document import parse_document

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = ROOT / "conf" / "identity.py"
MIB = 1 << 20


@contextmanager
def running(
    factory: str, section: dict[str, Any], policy: RestartPolicy | None = None, *, service_url: str = ""
) -> Iterator[Worker]:
    """A worker on an embedded broker of its own, in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pfrun-bench-") as directory:
        logs = {"logDirectory": f"{directory}/logs"} if factory == "process" else {}
        document = {"functionRuntimeFactoryClassName": factory, "functionRuntimeFactoryConfigs": section | logs}
        if service_url:
            document["pulsarServiceUrl"] = service_url
        config = parse_worker_config(parse_document(json.dumps(document)), {})
        with Worker(config, state_dir=directory, restart_policy=policy) as worker:
            yield worker


@contextmanager
def client_of(worker: Worker) -> Iterator[pulsar.Client]:
    client = pulsar.Client(worker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        yield client
    finally:
        client.close()


def function_of(name: str, class_name: str, code: Path, *, parallelism: int = 1, serde: str = "") -> FunctionSpec:
    document: dict[str, Any] = {
        "name": name,
        "className": class_name,
        "py": str(code),
        "inputSpecs": {f"{name}-in": {"serdeClassName": serde} if serde else {}},
        "output": f"{name}-out",
        "parallelism": parallelism,
        "subscriptionPosition": "Earliest",
    }
    return parse_function_config(parse_document(json.dumps(document)))


def fill(client: pulsar.Client, topic: str, messages: int) -> None:
    """Messages of 100 bytes, waiting to be read."""
    producer = client.create_producer(topic, batching_enabled=True, block_if_queue_full=True)
    for _ in range(messages):
        producer.send_async(b"x" * 100, lambda result, message_id: None)
    producer.flush()
    producer.close()


def processed(worker: Worker, function: FunctionSpec) -> int:
    instances = worker.status(function.key, stats=True).instances
    return sum(instance.stats.processed for instance in instances if instance.stats is not None)


def pid_of(worker: Worker, function: FunctionSpec) -> int:
    return pids_of(worker, function)[0]


def pids_of(worker: Worker, function: FunctionSpec) -> list[int]:
    runtimes = [worker.replica(instance.key) for instance in worker.status(function.key).instances]
    return [runtime.pid for runtime in runtimes]  # type: ignore[union-attr]


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the benchmark did not get on")
        time.sleep(0.05)
