"""CPU time of each message: pfrun's instance beside a plain loop, and beside Apache Pulsar's own Python instance."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pulsar

from pulsar_runtimes import Worker

from .workers import (
    IDENTITY,
    ROOT,
    client_of,
    cpu_seconds,
    fill,
    function_of,
    pid_of,
    processed,
    running,
    wait_until,
)


def throughput(options: argparse.Namespace) -> None:
    """Both sides run in a process of their own, whose CPU time counts from the first message to the last."""
    with running("process", {}) as worker:
        ratios = []
        for number in range(options.rounds):
            plain = measure_plain(worker, options.messages)
            ours = measure_pfrun(worker, options.messages)
            ratios.append(ours / plain)
            print(
                f"  round {number}: plain {plain:6.2f} us, pfrun {ours:6.2f} us, ratio {ours / plain:.2f}", flush=True
            )
        print(f"  CPU per message, pfrun / plain: median {statistics.median(ratios):.2f}, ", end="")
        print(f"from {min(ratios):.2f} to {max(ratios):.2f} (at most 1.25 is wanted)")


def reference(options: argparse.Namespace) -> None:
    """Both instances have a process of their own on one broker; the reference's is that of ``scripts/pulsar home``."""
    home = subprocess.check_output([ROOT / "scripts" / "pulsar", "home"], text=True).strip()
    theirs = {"pythonInstanceLocation": f"{home}/instances/python-instance/python_instance_main.py"}
    os.environ["PULSAR_HOME"] = home
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ratios = []
    # The second worker has the broker of the first, by its address.
    with running("process", {}) as ours, running("process", theirs, service_url=ours.service_url) as beside:
        for number in range(options.rounds):
            their_cost = measure_pfrun(beside, options.messages)
            our_cost = measure_pfrun(ours, options.messages)
            ratios.append(our_cost / their_cost)
            words = f"reference {their_cost:6.2f} us, pfrun {our_cost:6.2f} us, ratio {ratios[-1]:.2f}"
            print(f"  round {number}: {words}", flush=True)
    print(f"  CPU per message, pfrun / reference: median {statistics.median(ratios):.2f}, ", end="")
    print(f"from {min(ratios):.2f} to {max(ratios):.2f}")


def measure_plain(worker: Worker, messages: int) -> float:
    """Microseconds of CPU per message of the plain loop."""
    options = ["--plain", worker.service_url, "--messages", str(messages)]
    command = [sys.executable, "-m", "scripts.benches", "throughput", *options]
    return float(json.loads(subprocess.check_output(command, cwd=ROOT))["cpu_us"])


def plain_loop(url: str, messages: int) -> None:
    """The reference: what one writes with the client library alone."""
    client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    topic = f"plain-{uuid.uuid4().hex}"
    fill(client, topic, messages)
    consumer = client.subscribe(
        topic,
        "plain",
        consumer_type=pulsar.ConsumerType.Shared,
        initial_position=pulsar.InitialPosition.Earliest,
    )
    producer = client.create_producer(
        f"{topic}-out",
        batching_enabled=True,
        batching_max_publish_delay_ms=10,
        block_if_queue_full=True,
        send_timeout_millis=0,
        compression_type=pulsar.CompressionType.LZ4,
    )

    def acknowledge(message: Any) -> Callable[[Any, Any], None]:
        return lambda result, message_id: consumer.acknowledge(message)

    before = time.process_time()
    for _ in range(messages):
        message = consumer.receive()
        producer.send_async(message.data(), acknowledge(message))
    producer.flush()
    print(json.dumps({"cpu_us": (time.process_time() - before) / messages * 1e6}))
    client.close()


def measure_pfrun(worker: Worker, messages: int) -> float:
    """Microseconds of CPU per message of a pfrun process instance with the identity function."""
    name = f"identity-{uuid.uuid4().hex[:8]}"
    with client_of(worker) as client:
        fill(client, f"{name}-in", messages)
        function = function_of(name, "identity.Identity", IDENTITY)
        worker.submit(function)
        worker.wait_running(function.key)
        process = psutil.Process(pid_of(worker, function))
        wait_until(lambda: processed(worker, function) >= 1)
        counted, before = processed(worker, function), cpu_seconds(process)
        wait_until(lambda: processed(worker, function) >= messages)
        time.sleep(0.1)  # the last batch is published and acknowledged
        used = cpu_seconds(process) - before
        worker.remove(function.key)
    return used / (messages - counted) * 1e6
