"""Where output goes, and in which form: for a person at a terminal, for a pipe, for nobody."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.daemon import PFRUN, run_on_terminal, run_process

Function = Callable[..., str]

WITH_WARNING = "customRuntimeOptions: '{}'"


def test_a_terminal_has_colours(function: Function) -> None:
    shown = run_on_terminal("check", "--function-config", function(more=WITH_WARNING))
    assert "\x1b[32mok\x1b[0m f.yml" in shown
    assert "\x1b[33mwarning:\x1b[0m f.yml:7" in shown


@pytest.mark.parametrize("command", ["check", "explain"])
def test_no_color_is_respected(command: str, function: Function) -> None:
    file = function(more=WITH_WARNING)
    shown = run_on_terminal(command, "--function-config", file, environment={"NO_COLOR": "1"})
    assert "\x1b" not in shown
    assert "warning: f.yml:7" in shown


@pytest.mark.parametrize("command", ["check", "explain", "factories"])
def test_a_pipe_has_no_colours(command: str, function: Function) -> None:
    files = [] if command == "factories" else ["--function-config", function(more=WITH_WARNING)]
    ran = run_process(command, *files)
    assert (ran.code, "\x1b" in ran.out + ran.err) == (0, False)
    assert "warning" not in ran.out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["explain", "--all"], ["completion", "bash"]])
def test_a_reader_that_has_read_enough_is_no_error_worth_a_word(arguments: list[str]) -> None:
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run([PFRUN, *arguments], stdout=written, stderr=subprocess.PIPE, text=True)
    os.close(written)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["check"], ["factories", "--output", "json"]])
def test_a_full_disk_is_one_line(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([PFRUN, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "pfrun: standard output cannot be written: No space left on device\n"


def test_output_that_is_closed_is_no_traceback() -> None:
    done = subprocess.run(["sh", "-c", f"'{PFRUN}' --help >&-"], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")
