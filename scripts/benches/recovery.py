"""How long after SIGKILL of a loaded instance the one that replaces it has its first output."""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import threading
import time
from pathlib import Path

import pulsar

from pulsar_runtimes import RestartPolicy

from .workers import client_of, function_of, pid_of, running


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
