"""The help of each command below ``pfrun functions``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pulsar_runtimes.cli.functions import COMMANDS
from pulsar_runtimes.testing.golden import Golden
from tests.cli.daemon import Ran, run_process

Pfrun = Callable[..., Ran]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_is_as_reviewed(command: str, pfrun: Pfrun, golden: Golden) -> None:
    ran = pfrun("functions", command, "--help")
    assert (ran.code, ran.err) == (0, "")
    golden(f"help-{command}.txt", ran.out)


def test_each_command_has_a_line_of_the_help(pfrun: Pfrun) -> None:
    shown = pfrun("functions", "--help").out
    width = max(map(len, COMMANDS))
    for command, text in COMMANDS.items():
        assert f"  {command.ljust(width)}  {text}\n" in shown


def test_a_command_that_is_not_there_is_told(pfrun: Pfrun) -> None:
    ran = pfrun("functions", "crate")
    assert ran.code == 2
    assert "there is no command 'crate'; did you mean 'create'?" in ran.err


def test_help_imports_no_http_client() -> None:
    ran = run_process("functions", "create", "--help", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert ran.code == 0
    assert "click" in ran.err
    assert "httpx" not in ran.err
