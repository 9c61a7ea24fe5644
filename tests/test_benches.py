"""What the benchmarks are made of; what they measure is in docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benches.arena import in_turn
from scripts.benches.child import Child
from scripts.benches.restarts import within
from scripts.benches.sides import describe
from tests.waiting import is_alive, until

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["startup", "--rounds", "0"], "argument --rounds: must be a whole number of at least 1 (got '0')"),
        (["startup", "--rounds", "x"], "argument --rounds: must be a whole number of at least 1 (got 'x')"),
        (["restart"], "argument what: invalid choice: 'restart'"),
    ],
)
def test_a_bad_argument_is_told(arguments: list[str], complaint: str) -> None:
    command = [sys.executable, "-m", "scripts.benches", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert complaint in run.stderr


def test_each_comes_first_in_turn() -> None:
    assert [list(in_turn("abc", number)) for number in range(4)] == [[*"abc"], [*"bca"], [*"cab"], [*"abc"]]


@pytest.mark.parametrize(
    ("taken", "text"),
    [
        ([1.0, 3.0, 2.0], "2.00 (1.00 to 3.00) s"),
        ([1.0, None, 2.0], "1.50 (1.00 to 2.00) s, 1 of 3 not within 30 s"),
        ([None, None], "not within 30 s"),
    ],
)
def test_what_was_not_waited_for_is_told_beside_the_times(taken: list[float | None], text: str) -> None:
    assert within(taken, 30.0) == text


def test_a_status_is_one_line() -> None:
    assert describe("failed", 7, ["", "Traceback:\n  here\nValueError: no\n"]) == "failed; restarts: 7; ValueError: no"
    assert describe("running", 0, [""]) == "running; restarts: 0; no error"


def test_a_child_takes_what_it_has_started_with_it(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "sleep 600 & echo $!; wait"], {"PATH": "/usr/bin:/bin"}, tmp_path)
    pid = int(until(child.last_lines))
    child.stop()
    until(lambda: not is_alive(pid))
    assert not child.is_alive()
    child.stop()
