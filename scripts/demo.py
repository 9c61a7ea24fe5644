"""Sends the airports of the ``airportsdata`` package through a Python function, and checks what comes out."""

from __future__ import annotations

import json
import logging
import os
import runpy
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import airportsdata
import pulsar

from pulsar_runtimes import FunctionSpec, Worker, load_function_config, load_worker_config

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".cache" / "demo"
RECEIVE_SECONDS = 30


def main() -> int:
    """Run the job once. 0 when every airport came out, and as computed here, else 1."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    airports = airportsdata.load("IATA")
    environment = os.environ | {"PF_functionRuntimeFactoryConfigs_logDirectory": str(STATE / "logs")}
    config = load_worker_config(ROOT / "conf" / "functions_worker.process.yml", environment)
    function = with_fresh_topics(load_function_config(ROOT / "conf" / "airports.yml"))

    say("starting the embedded broker and the worker ...")
    with Worker(config, state_dir=STATE, environment=environment) as worker:
        worker.submit(function, ROOT)
        worker.wait_running(function.key)
        say(f"{function.key}: {function.parallelism} instances run, on {worker.service_url}")
        started = time.perf_counter()
        described = run(worker.service_url, function, airports.values())
        seconds = time.perf_counter() - started
        counted = [instance.stats for instance in worker.status(function.key, stats=True).instances]
    report(described)
    say(f"\n{len(described)} of {len(airports)} airports in {seconds:.2f} s: {len(described) / seconds:.0f} a second")
    for number, stats in enumerate(counted):
        if stats is not None:
            say(f"instance {number}: {stats.processed} processed, {stats.average_latency_ms * 1000:.0f} us each")
    say(f"logs: {(STATE / 'logs' / 'functions').relative_to(ROOT)}")
    wanted = expected(airports.values())
    if described != wanted:
        say(f"wrong: {len(wanted.items() - described.items())} airports are missing or differ")
        return 1
    return 0


def with_fresh_topics(function: FunctionSpec) -> FunctionSpec:
    """Topics of this run alone: the broker keeps those of earlier runs."""
    run_id = uuid.uuid4().hex[:8]
    inputs = {f"{topic}-{run_id}": spec for topic, spec in function.source.input_specs.items()}
    return replace(
        function,
        source=replace(function.source, input_specs=inputs),
        sink=replace(function.sink, topic=f"{function.sink.topic}-{run_id}"),
    )


def run(url: str, function: FunctionSpec, airports: Iterable[Any]) -> dict[str, str]:
    """Send all airports in, and answer what comes out, by airport code."""
    client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        results = client.subscribe(function.sink.topic, "demo", initial_position=pulsar.InitialPosition.Earliest)
        (topic,) = function.source.input_specs
        producer = client.create_producer(topic, batching_enabled=True, block_if_queue_full=True)
        sent = 0
        for airport in airports:
            producer.send_async(json.dumps(airport).encode(), lambda result, message_id: None)
            sent += 1
        producer.flush()
        return dict(received(results, sent))
    finally:
        client.close()


def received(results: Any, total: int) -> Iterator[tuple[str, str]]:
    """(airport code, result) for each result, with progress for people. Ends early when nothing comes."""
    seen: set[str] = set()
    while len(seen) < total:
        try:
            message = results.receive(RECEIVE_SECONDS * 1000)
        except pulsar.Timeout:
            say(f"nothing came for {RECEIVE_SECONDS} s")
            return
        results.acknowledge(message)
        text = message.data().decode()
        code = json.loads(text)["iata"]
        seen.add(code)
        yield code, text
        progress(len(seen), total)


def progress(done: int, total: int) -> None:
    if sys.stdout.isatty():
        if done % 200 == 0 or done == total:
            bar = "#" * (40 * done // total)
            print(f"\r[{bar:<40}] {done}/{total}", end="\n" if done == total else "", flush=True)
    elif done % 2000 == 0 or done == total:
        say(f"{done}/{total}")


def expected(airports: Iterable[Any]) -> dict[str, str]:
    """The same results, computed here without any of pfrun."""
    describe = runpy.run_path(str(ROOT / "conf" / "airports.py"))["describe"]
    return {airport["iata"]: json.dumps(describe(airport)) for airport in airports}


def report(described: dict[str, str]) -> None:
    results = [json.loads(text) for text in described.values()]
    say("\nairports by zone")
    for zone, count in Counter(result["zone"] for result in results).most_common():
        say(f"  {zone:<10} {count:>5}")
    say("countries with the most airports")
    for country, count in Counter(result["country"] for result in results).most_common(5):
        say(f"  {country:<10} {count:>5}")
    say("the highest")
    for result in sorted(results, key=lambda result: -int(result["metres"]))[:3]:
        say(f"  {result['iata']:<10} {result['metres']:>5} m")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
