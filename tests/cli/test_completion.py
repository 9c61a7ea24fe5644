"""``pfrun completion``, and what the scripts ask ``pfrun`` for."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from pulsar_runtimes.cli.group import COMMANDS
from tests.cli.daemon import Ran, run_process

Pfrun = Callable[..., Ran]

SIGNS = {
    "bash": "complete -o nosort -F _pfrun_completion pfrun",
    "zsh": "#compdef pfrun",
    "fish": "complete --no-files --command pfrun",
}


@pytest.mark.parametrize("shell", SIGNS)
def test_each_shell_has_a_script(shell: str, pfrun: Pfrun) -> None:
    ran = pfrun("completion", shell)
    assert ran.code == 0
    assert SIGNS[shell] in ran.out
    assert f"_PFRUN_COMPLETE={shell}_complete" in ran.out


@pytest.mark.parametrize("shell", SIGNS)
def test_the_shell_takes_its_script(shell: str, pfrun: Pfrun) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([found, "-n"], input=pfrun("completion", shell).out, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def complete(*words: str) -> list[str]:
    """What bash would be offered for the last of ``words``."""
    ran = run_process(
        environment={
            "_PFRUN_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["pfrun", *words]),
            "COMP_CWORD": str(len(words)),
        }
    )
    assert ran.err == ""
    return [line.partition(",")[2] for line in ran.out.splitlines()]


def test_commands_are_completed() -> None:
    assert complete("") == list(COMMANDS)
    assert complete("ch") == ["check"]


def test_options_are_completed() -> None:
    assert complete("start", "--gr") == ["--grace"]
    assert complete("localrun", "--subs-n") == ["--subs-name"]


def test_names_of_what_is_installed_are_completed() -> None:
    assert complete("localrun", "--runtime", "s") == ["subprocess"]
    assert complete("start", "--broker", "") == ["pulsar-lite"]
