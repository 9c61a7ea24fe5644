"""What becomes of instances that die, hang, cannot start or take too much memory, beside the reference."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from .arena import Arena, in_turn, open_arena
from .functions import document_of, exclamation, python_function
from .patient import running_patient
from .probe import Probe
from .process_memory import family, memory_mib
from .sides import Side
from .table import print_table, ratio, spread
from .workers import IDENTITY

KILLED_LIMIT_SECONDS = 60.0
HUNG_LIMIT_SECONDS = 30.0
CRASH_LOOP_SECONDS = 60.0
HOG_SECONDS = 30.0
HOG_RESOURCES = {"ram": 128 << 20}
_LOOK_SECONDS = 0.02

_RAISES = """\
import os
with open({starts!r}, "a") as starts:
    starts.write(f"{{os.getpid()}}\\n")
raise RuntimeError("this function cannot be imported")
"""

_HOG = """\
import time
taken = []
def process(input):
    for _ in range(256):
        taken.append(b"x" * (4 << 20))
        time.sleep(0.005)
    return "took 1 GiB"
"""

Row = tuple[str, str, str, str]


def restarts(options: argparse.Namespace) -> None:
    """Both workers run all the time, on one broker; blows fall in turn."""
    python = python_function(IDENTITY, "identity.Identity")
    rows: list[Row] = []
    with open_arena() as arena:
        for side in arena.sides:
            side.start()
        killed, hung = (signal.SIGKILL, KILLED_LIMIT_SECONDS), (signal.SIGSTOP, HUNG_LIMIT_SECONDS)
        java = exclamation(arena.home)
        rows += [
            struck(arena, options.rounds, "Python, killed: next output after", python, *killed),
            struck(arena, options.rounds, "Java, killed: next output after", java, *killed),
            struck(arena, options.rounds, "Python, hung: next output after", python, *hung),
            *on_each_side(arena, ("raises at import: starts in 60 s", "its status then"), crash_loop),
            *on_each_side(arena, ("128 MiB, takes 1 GiB: most memory", "its status then"), memory_hog),
        ]
    print()
    print_table(("", "reference", "pfrun", "pfrun / reference"), rows)


def struck(
    arena: Arena,
    rounds: int,
    title: str,
    function: Mapping[str, Any],
    number: signal.Signals,
    limit_seconds: float,
) -> Row:
    """The row of one kind of blow."""
    taken: dict[str, list[float | None]] = {side.name: [] for side in arena.sides}
    with ExitStack() as stack:
        patients = [stack.enter_context(running_patient(arena.client, side, function)) for side in arena.sides]
        for turn in range(rounds):
            for patient in in_turn(patients, turn):
                seconds = patient.strike(number, limit_seconds)
                taken[patient.side.name].append(seconds)
                say(title, patient.side, within([seconds], limit_seconds))
    theirs, ours = taken["reference"], taken["pfrun"]
    both = [(mine, other) for mine, other in zip(ours, theirs, strict=True) if mine is not None and other is not None]
    quotient = ratio([mine for mine, _ in both], [other for _, other in both]) if both else ""
    return title, within(theirs, limit_seconds), within(ours, limit_seconds), quotient


def within(taken: Sequence[float | None], limit_seconds: float) -> str:
    """The times as text, those that were not waited for included."""
    came = [seconds for seconds in taken if seconds is not None]
    texts = [f"{spread(came, '.2f')} s"] if came else []
    if missing := len(taken) - len(came):
        count = f"{missing} of {len(taken)} " if came else ""
        texts.append(f"{count}not within {limit_seconds:g} s")
    return ", ".join(texts)


def on_each_side(arena: Arena, titles: tuple[str, str], measure: Callable[[Arena, Side], tuple[str, str]]) -> list[Row]:
    """The rows of a measurement that has a figure and a status, made once on each side."""
    answers = {}
    for side in arena.sides:
        answers[side.name] = measure(arena, side)
        say(titles[0], side, ", ".join(answers[side.name]))
    theirs, ours = answers["reference"], answers["pfrun"]
    return [(title, their, our, "") for title, their, our in zip(titles, theirs, ours, strict=True)]


def crash_loop(arena: Arena, side: Side) -> tuple[str, str]:
    """A function that raises at import: how often it was started, and what its status is."""
    starts = arena.directory / f"{side.name}-starts"
    code = write(arena, side, "raises", _RAISES.format(starts=str(starts)))
    document = document_of(python_function(code, code.stem))
    side.create(document)
    time.sleep(CRASH_LOOP_SECONDS)
    processes = set(starts.read_text().split())  # the reference's instance tries to import it twice
    status = side.status(document["name"])
    side.delete(document["name"])
    return str(len(processes)), status


def memory_hog(arena: Arena, side: Side) -> tuple[str, str]:
    """A function that takes more than it may: the most that its instance was seen to have, and its status.

    It ends with its output, or when that has not come for a while.
    """
    code = write(arena, side, "hog", _HOG)
    document = document_of(python_function(code, code.stem) | {"resources": HOG_RESOURCES})
    name = document["name"]
    most, output = 0.0, None
    with closing(Probe(arena.client, name)) as probe:
        side.create(document)
        probe.send("hello")
        deadline = time.monotonic() + HOG_SECONDS
        while output is None and time.monotonic() < deadline:
            pid = side.pid(name)
            most = max(most, memory_mib(family(pid)) if pid else 0.0)
            output = probe.receive(_LOOK_SECONDS)
        status = side.status(name)
        side.delete(name)
    came = "it got all" if output else f"no output within {HOG_SECONDS:g} s"
    return f"{most:.0f} MiB, {came}", status


def write(arena: Arena, side: Side, name: str, text: str) -> Path:
    """The code of a function, for one side."""
    code = arena.directory / f"{side.name}-functions" / f"{name}.py"
    code.parent.mkdir(exist_ok=True)
    code.write_text(text)
    return code


def say(title: str, side: Side, text: str) -> None:
    print(f"  {title}, {side.name}: {text}", flush=True)
