"""How much the worker grows when large messages wait for a slow function, with a client memory limit and without."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil

from .workers import MIB, ROOT, function_of, processed, running

GROWTH_SECONDS = 120


def memory(options: argparse.Namespace) -> None:
    for limit in (64 * MIB, None):
        grown, count = growth_of_a_process(limit)
        words = f"limit {limit // MIB} MiB" if limit else "no limit"
        print(f"  thread runtime, {words}: {count} messages of 1 MiB came through, the worker grew by {grown:.0f} MiB")


def growth_of_a_process(limit: int | None, messages: int = 1000) -> tuple[float, int]:
    """What :func:`memory_growth` finds in a process that has done nothing else."""
    command = [sys.executable, "-c", _GROWTH_CHILD, str(limit or 0), str(messages)]
    grown, count = json.loads(subprocess.check_output(command, cwd=ROOT, timeout=GROWTH_SECONDS))
    return grown, count


_GROWTH_CHILD = """
import json, sys
from scripts.benches.memory import memory_growth
print(json.dumps(memory_growth(int(sys.argv[1]) or None, int(sys.argv[2]))))
"""


def memory_growth(limit: int | None, messages: int) -> tuple[float, int]:
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
