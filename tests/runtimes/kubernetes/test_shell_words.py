"""Text for a shell: what must stay as it is stays, and nothing that a user writes runs."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
from pathlib import Path

import pytest

from pulsar_runtimes.runtimes.kubernetes.shell_words import MARK, join, safe_words

NASTY = "a $(touch pwned) `touch pwned`; touch pwned\n& | > pwned ' \" \\ * ~ # ${X:-$(touch pwned)} é函"


def _argv(command: str, place: Path, **environment: str) -> list[str]:
    """What a program gets that a real shell runs with ``command`` as its arguments."""
    script = f"printf '%s\\0' x {command}"
    ran = subprocess.run(
        ["sh", "-c", script], cwd=place, env={**os.environ, **environment}, capture_output=True, timeout=10, check=True
    )
    return ran.stdout.decode().split("\0")[1:-1]


def test_a_shell_reads_back_what_was_quoted(tmp_path: Path) -> None:
    draw = random.Random(7)
    arguments = [NASTY, "", "-", *("".join(draw.choices(NASTY, k=12)) for _ in range(50))]
    assert _argv(join(arguments), tmp_path) == arguments
    assert list(tmp_path.iterdir()) == []


def test_the_mark_becomes_the_number_of_the_pod(tmp_path: Path) -> None:
    arguments = [MARK, f"it's-{MARK}", f"{{{MARK},{MARK}}}"]
    assert _argv(join(arguments), tmp_path, SHARD_ID="7") == ["7", "it's-7", "{7,7}"]


@pytest.mark.parametrize(
    "text",
    [
        '-Xms64m -Dgreeting="good day"',
        "-Da='b c' -Dd=e\\ f",
        '-Da="q\\"u\\$x\\\\" ""',
        "-Dhost=$HOST -Dport=${PORT}x $MANY",
        '-Dall="$MANY $HOST"',
        "-Dd=${NONE:-usual} -Dc=${HOST%.example} -De=${HOST##*.}",
        "  -Da=1   -Db=2  ",
        "-Da=x\\\ny",
        "-Da=$ -Db=100% -Dc=a{b}",
        '-Dempty="" $NONE end',
    ],
)
def test_flags_mean_what_they_mean_to_a_shell(text: str, tmp_path: Path) -> None:
    environment = {"HOST": "h.example", "PORT": "80", "MANY": "-Xss1m -Xmn2m"}
    assert _argv(" ".join(safe_words(text)), tmp_path, **environment) == _argv(text, tmp_path, **environment)


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("-Da=$(touch${IFS}pwned)", "-Da=$(touch \t\npwned)"),
        ("-Da=`touch$IFS.pwned`", "-Da=`touch \t\n.pwned`"),
        ("-Da=1;touch>pwned", "-Da=1;touch>pwned"),
        ("-Da=1&&touch|pwned&", "-Da=1&&touch|pwned&"),
        ('"-Da=$(touch pwned)"', "-Da=$(touch pwned)"),
        ("${X:-$(touch)}", "${X:-$(touch)}"),
        ("-Da=*", "-Da=*"),
        ("~", "~"),
        ("#no-comment", "#no-comment"),
        ("((1))", "((1))"),
    ],
)
def test_flags_run_nothing(text: str, argument: str, tmp_path: Path) -> None:
    found = " ".join(_argv(" ".join(safe_words(text)), tmp_path))
    assert found.split() == argument.split()
    assert list(tmp_path.iterdir()) == []


def test_no_flags_whatever_run_anything(tmp_path: Path) -> None:
    draw = random.Random(11)
    for _ in range(150):
        text = "".join(draw.choices("a \t\n$(){}`;&|<>'\"\\*?~#=X%:-", k=draw.randint(1, 16)))
        try:
            words = list(safe_words(text))
        except ValueError:
            continue
        _argv(" ".join(words), tmp_path)  # a syntax error would be an error here
        for word in words:
            assert shlex.split(word) != [] or word == "''"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "kind"), [("-Da='b", "single"), ('-Da="b', "double"), ("O'Neil", "single")])
def test_a_quote_that_is_not_closed_is_told(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=f"a {kind} quote is not closed"):
        list(safe_words(text))
