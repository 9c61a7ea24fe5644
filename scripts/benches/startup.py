"""Start times and memory beside the reference's, for functions in three languages and for the workers themselves."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from pulsar_runtimes.brokers.process_identity import ProcessIdentity

from .arena import Arena, in_turn, open_arena
from .functions import document_of, exclamation, python_function
from .probe import Probe
from .process_memory import family, memory_mib
from .sides import Side, SideError
from .table import print_table, ratio, spread
from .workers import IDENTITY, wait_until

OUTPUT_SECONDS = 120.0
SETTLE_SECONDS = 2.0
"""Between two measurements, for what the last one has left to do."""

FIRST = "Python, the first of a worker"
WORKER = "the worker itself"


@dataclass
class Results:
    """Of one subject: by the name of the side, a value for each round."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    mib: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, subject: str, side: Side, seconds: float, mib: float) -> None:
        self.seconds[side.name].append(seconds)
        self.mib[side.name].append(mib)
        print(f"    {subject}, {side.name}: {seconds:.2f} s, {mib:.1f} MiB", flush=True)


def startup(options: argparse.Namespace) -> None:
    """Workers are started anew in each round. The first output needs everything that an instance needs."""
    results: dict[str, Results] = defaultdict(Results)
    with open_arena() as arena:
        functions = functions_of(arena)
        for number in range(options.rounds):
            print(f"  round {number}", flush=True)
            started = {side.name: seconds_to_start(side) for side in in_turn(arena.sides, number)}
            # What a worker does once only is in a row of its own.
            first, *others = functions
            for subject in [first, *in_turn(others, number)]:
                for side in in_turn(arena.sides, number):
                    results[subject].add(subject, side, *first_output(arena, side, functions[subject]))
            for side in arena.sides:
                results[WORKER].add(WORKER, side, started[side.name], memory_mib(side.worker_pids()))
                side.stop()
    print_results({subject: results[subject] for subject in [*functions, WORKER]})


def functions_of(arena: Arena) -> dict[str, dict[str, Any]]:
    """What the functions have of their own, by what they are called in the table. Without resources, each worker
    assumes 1 CPU and 1 GiB; pfrun holds the instance to them.
    """
    java = exclamation(arena.home)
    python = python_function(IDENTITY, "identity.Identity")
    return {
        FIRST: python,
        "Python": python,
        "Go": {"go": str(arena.go_function)},
        "Java": java,
        "Java, `cpu: 2`": {**java, "resources": {"cpu": 2.0}},
    }


def seconds_to_start(side: Side) -> float:
    """Until the worker takes functions."""
    time.sleep(SETTLE_SECONDS)
    before = time.perf_counter()
    side.start()
    return time.perf_counter() - before


def first_output(arena: Arena, side: Side, function: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds from asking for the function to its first output, for an input that waits; MiB of its instance then."""
    document = document_of(function)
    name = document["name"]
    with closing(Probe(arena.client, name)) as probe:
        probe.send("hello")
        time.sleep(SETTLE_SECONDS)
        before = time.perf_counter()
        side.create(document)
        output = probe.receive(OUTPUT_SECONDS)
        seconds = time.perf_counter() - before
    pid = side.pid(name)
    if output is None or pid is None:
        raise SideError(f"{side.name}: no output of {name} within {OUTPUT_SECONDS:g} s; {side.status(name)}")
    mib = memory_mib(family(pid))
    instance = ProcessIdentity.of(pid)
    side.delete(name)
    wait_until(lambda: not instance.is_alive())
    return seconds, mib


def print_results(results: Mapping[str, Results]) -> None:
    print()
    headings = ["reference, s", "pfrun, s", "pfrun / reference", "reference, MiB", "pfrun, MiB", "pfrun / reference"]
    rows = []
    for subject, result in results.items():
        row = [subject]
        for values, form in ((result.seconds, ".2f"), (result.mib, ".1f")):
            theirs, ours = values["reference"], values["pfrun"]
            row += [spread(theirs, form), spread(ours, form), f"**{ratio(ours, theirs)}**"]
        rows.append(row)
    print_table(["", *headings], rows)
