"""The measurements behind ``docs/benchmarks.md``. Figures are ratios or come from one run; the machine is named.

``throughput``: CPU time per message of an identity function at ATLEAST_ONCE, beside a plain loop over the client
library (receive, send_async, acknowledge in the callback), alternating on one broker.
``reference``: the same function in Apache Pulsar's own Python instance and in pfrun's, alternating on one broker.
``instances``: how fast process instances become ready, and their proportional memory.
``memory``: how much the worker grows when large messages wait for a slow function, with a limit and without.
``recovery``: how long after SIGKILL of a loaded instance the one that replaces it has its first output.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pulsar

from pulsar_runtimes import FunctionSpec, RestartPolicy, Worker, parse_function_config, parse_worker_config
from pulsar_runtimes.config.document import parse_document

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--messages", type=int, default=50_000, help="throughput: messages a round")
    parser.add_argument("--rounds", type=int, default=5, help="throughput, recovery: rounds")
    parser.add_argument("--instances", type=int, default=100, help="instances: how many")
    parser.add_argument("--plain", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain_loop(options.plain, options.messages)
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in BENCHMARKS if options.what == "all" else [options.what]:
        print(f"\n{name}")
        BENCHMARKS[name](options)


# Throughput


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
    command = [sys.executable, __file__, "throughput", "--plain", worker.service_url, "--messages", str(messages)]
    return float(json.loads(subprocess.check_output(command))["cpu_us"])


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
        function = function_of(name, "identity.Identity", ROOT / "conf" / "identity.py")
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


# Instances


def instances(options: argparse.Namespace) -> None:
    count = options.instances
    with running("process", {}) as worker, client_of(worker):
        warm = function_of("warm", "identity.Identity", ROOT / "conf" / "identity.py")
        worker.submit(warm)
        worker.wait_running(warm.key)
        function = function_of("many", "identity.Identity", ROOT / "conf" / "identity.py", parallelism=count)
        started = time.perf_counter()
        worker.submit(function)
        worker.wait_running(function.key, seconds=120)
        seconds = time.perf_counter() - started
        print(f"  {count} instances ready in {seconds:.2f} s: {count / seconds:.0f} a second (10 is wanted)")
        time.sleep(1)
        pss = [psutil.Process(pid).memory_full_info().pss / MIB for pid in pids_of(worker, function)]
        print(
            f"  proportional memory each: median {statistics.median(pss):.1f} MiB, most {max(pss):.1f} (12 is wanted)"
        )
        launcher = psutil.Process(pids_of(worker, function)[0]).parent()
        assert launcher is not None
        print(f"  the launcher they are forked from: {launcher.memory_full_info().pss / MIB:.1f} MiB")


# Recovery


def recovery(options: argparse.Namespace) -> None:
    """From SIGKILL of a loaded instance to the first output of the one that replaces it."""
    # Each end counts as the first in a row, as it would in a night.
    calm = RestartPolicy(up_seconds=0.0)
    with running("process", {}, calm) as worker, client_of(worker) as client:
        code = Path(worker.state_dir, "who.py")
        code.write_text("import os\ndef process(input):\n    return str(os.getpid())\n")
        function = function_of("recovery", "who", code)
        worker.submit(function)
        worker.wait_running(function.key)
        ended = threading.Event()
        load = threading.Thread(target=publish_until, args=(client, "recovery-in", ended))
        load.start()
        consumer = client.subscribe("recovery-out", "bench")
        gaps = []
        for _ in range(options.rounds):
            old = pid_of(worker, function)
            while consumer.receive().data() != str(old).encode():
                pass  # it is under load now
            killed = time.perf_counter()
            os.kill(old, signal.SIGKILL)
            while consumer.receive().data() == str(old).encode():
                pass
            gaps.append(time.perf_counter() - killed)
            worker.wait_running(function.key)
        ended.set()
        load.join()
    median, most = statistics.median(gaps), max(gaps)
    print(f"  replaced and producing after: median {median:.2f} s, most {most:.2f} (0.5 is wanted)")


def publish_until(client: pulsar.Client, topic: str, ended: threading.Event) -> None:
    """300 messages a second."""
    producer = client.create_producer(topic, block_if_queue_full=True)
    while not ended.wait(1 / 300):
        producer.send_async(b"x", lambda result, message_id: None)
    producer.close()


# Memory


def memory(options: argparse.Namespace) -> None:
    for limit in (64 * MIB, None):
        command = [sys.executable, "-c", _MEMORY_CHILD, str(ROOT / "scripts"), str(limit or 0)]
        grown, count = json.loads(subprocess.check_output(command))
        words = f"limit {limit // MIB} MiB" if limit else "no limit"
        print(f"  thread runtime, {words}: {count} messages of 1 MiB came through, the worker grew by {grown:.0f} MiB")


_MEMORY_CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
import bench
print(json.dumps(bench.memory_growth(int(sys.argv[2]) or None)))
"""


def memory_growth(limit: int | None, messages: int = 1000) -> tuple[float, int]:
    """How many MiB this process grows while a slow function works through messages of 1 MiB, and how many came."""
    section = {"pulsarClientMemoryLimit": {"absoluteValue": limit}} if limit else {}
    with running("thread", section) as worker:
        topic = f"large-{uuid.uuid4().hex[:8]}"
        filler = subprocess.run(
            [sys.executable, "-c", _FILL_CHILD, worker.service_url, f"{topic}-in", str(messages)], check=True
        )
        assert filler.returncode == 0
        code = Path(worker.state_dir, "slow.py")
        code.write_text("import time\ndef process(input):\n    time.sleep(0.005)\n    return len(input)\n")
        function = function_of(topic, "slow", code, serde="bench_serde.Bytes")
        code.with_name("bench_serde.py").write_text(
            "class Bytes:\n    def serialize(self, v): return str(v).encode()\n    def deserialize(self, d): return d\n"
        )
        process = psutil.Process()
        before = process.memory_info().rss
        worker.submit(function)
        most = 0
        while processed(worker, function) < messages:
            most = max(most, process.memory_info().rss)
            time.sleep(0.01)
        return (most - before) / MIB, processed(worker, function)


_FILL_CHILD = """
import os, sys, pulsar
client = pulsar.Client(sys.argv[1], logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
producer = client.create_producer(sys.argv[2], block_if_queue_full=True, max_pending_messages=16)
for _ in range(int(sys.argv[3])):
    producer.send(os.urandom(1 << 20))
client.close()
"""


# What they share


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
    runtimes = [worker.runtime(instance.key) for instance in worker.status(function.key).instances]
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


BENCHMARKS: dict[str, Callable[[argparse.Namespace], None]] = {
    "throughput": throughput,
    "reference": reference,
    "instances": instances,
    "memory": memory,
    "recovery": recovery,
}

if __name__ == "__main__":
    main()
