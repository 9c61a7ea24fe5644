"""The help of each command, and what it costs."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pulsar_runtimes._version import __version__
from pulsar_runtimes.cli.group import COMMANDS
from pulsar_runtimes.cli.main import HELP_FILE
from pulsar_runtimes.testing.golden import Golden
from tests.cli.daemon import PFRUN, Ran, run_on_terminal, run_process

Pfrun = Callable[..., Ran]

_PAIRS = 7
_ROUNDS = 4
_AT_MOST = 3.0


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_is_as_reviewed(command: str, pfrun: Pfrun, golden: Golden) -> None:
    ran = pfrun(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    golden(f"help-{command}.txt", ran.out)


def test_the_stored_help_is_what_click_renders(pfrun: Pfrun) -> None:
    assert Path(HELP_FILE).read_text("utf-8") == pfrun("--help").out


def test_each_command_has_a_module_and_a_line_of_the_help(pfrun: Pfrun) -> None:
    shown = pfrun("--help").out
    for command, text in COMMANDS.items():
        assert f"  {command}".ljust(14) + text in shown


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_needs_no_click(arguments: list[str]) -> None:
    ran = run_process(*arguments, environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert ran.code == 0
    assert ran.out == Path(HELP_FILE).read_text("utf-8")
    assert "pulsar_runtimes.cli.main" in ran.err
    assert "click" not in ran.err


def test_help_on_a_terminal_is_the_same_as_in_a_pipe() -> None:
    assert run_on_terminal("--help") == Path(HELP_FILE).read_text("utf-8")


def test_the_version_is_that_of_the_package(pfrun: Pfrun) -> None:
    assert run_process("--version") == Ran(0, f"pfrun {__version__}\n", "")
    assert pfrun("--version").out == f"pfrun {__version__}\n"


def test_help_costs_at_most_three_times_an_interpreter_that_does_nothing() -> None:
    """A busy machine slows both down, and rather the one that happens to run then: hence pairs, and more than a try."""
    nothing, help_ = [sys.executable, "-c", "pass"], [sys.executable, PFRUN, "--help"]
    medians = []
    for _ in range(_ROUNDS):
        pairs = [(cpu_seconds(nothing), cpu_seconds(help_)) for _ in range(_PAIRS)]
        medians.append(statistics.median(more / less for less, more in pairs))
        if medians[-1] <= _AT_MOST:
            return
    raise AssertionError(f"pfrun --help costs {medians} times as much CPU as python -c pass")


def cpu_seconds(command: list[str]) -> float:
    """The CPU time of a child process, its own and the kernel's for it."""
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=silent)
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return usage.ru_utime + usage.ru_stime


# What is no command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekc"], "there is no command 'chekc'; did you mean 'check'?"),
        (["--nope"], "No such option '--nope'"),
        (["check", "--cnf", "x"], "Did you mean '--conf'?"),
        (["check", "extra"], "unexpected extra argument (extra)"),
        (["check", "--conf", ""], "'-c' / '--conf': must not be empty"),
        (["check", "--output", "xml"], "'xml' is not one of 'text', 'json'"),
        (["start", "--grace", "nan"], "must be a number of seconds, from 0 to 86400 (got 'nan')"),
        (["start", "--grace", "inf"], "must be a number of seconds, from 0 to 86400 (got 'inf')"),
        (["start", "--grace", "-1"], "must be a number of seconds, from 0 to 86400 (got '-1')"),
        (["start", "--grace", "soon"], "must be a number of seconds, from 0 to 86400 (got 'soon')"),
        (["render"], "there is nothing to render; give --function-config"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_a_mistake_in_the_command_line_is_told_with_the_way_to_the_help(
    arguments: list[str], message: str, pfrun: Pfrun
) -> None:
    ran = pfrun(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.startswith("Usage: pfrun")
    assert "--help' for help." in ran.err
