"""Publishing while somebody waits for the answers."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: a client that stands still does so with the interpreter's lock held, and nothing inside
# the process would notice.
SCRIPT = """
import sys, threading, time
import pulsar, _pulsar
from pulsar_runtimes.instance.output import flush_all

client = pulsar.Client(sys.argv[1], logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
producer = client.create_producer(
    sys.argv[2], batching_enabled=True, batching_max_publish_delay_ms=1, block_if_queue_full=True
)._producer
ended = threading.Event()
answers = []

def send():
    while not ended.is_set():
        message = _pulsar.MessageBuilder().content(b"x" * 100).build()
        producer.send_async(message, lambda result, message_id: answers.append(result))
        if not len(answers) % 50:
            time.sleep(0.001)

thread = threading.Thread(target=send)
thread.start()
for _ in range(100):
    flush_all([producer], 5.0)
ended.set()
thread.join()
flush_all([producer], 5.0)
print({str(answer) for answer in answers})
client.close()
"""


@pytest.mark.broker
def test_waiting_for_answers_never_stops_those_who_publish(broker_url: str) -> None:
    command = [sys.executable, "-c", SCRIPT, broker_url, "persistent://public/default/flushed"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ran.stdout == "{'Result.Ok'}\n", ran.stderr
