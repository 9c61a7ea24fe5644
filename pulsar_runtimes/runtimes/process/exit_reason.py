"""Why an instance ended, in one line. Pure."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

_NAMES_A_FAILURE = re.compile(r"(Caused by: |panic: |fatal error: |([A-Za-z_][\w$]*\.)*[A-Z][\w$]*(Exception|Error)\b)")
"""Begins the line of a log that says what happened: of a Java or Python trace, or of a Go program."""


def exit_reason(code: int | None, *, failure: str, out_of_memory: bool, last_lines: Sequence[str]) -> str:
    """What the instance or its launcher said itself, else its exit code with the line that best explains it."""
    if failure:
        return failure
    if out_of_memory:
        return "out of memory: it used more than its resources allow, and the kernel ended it"
    if code is None:
        return "it ended"
    if code < 0:
        return exit_cause(code)
    cause = _last_failure(last_lines)
    if code == 0:
        ended = "it ended by itself with exit code 0"
        return f"{ended}; the last error of its log: {cause}" if cause else ended
    last = cause or next((line.strip() for line in reversed(last_lines) if line.strip()), "")
    return f"{exit_cause(code)}: {last}" if last else exit_cause(code)


def _last_failure(lines: Sequence[str]) -> str:
    named = (line for line in reversed(lines) if _NAMES_A_FAILURE.match(line))
    return next(named, "").removeprefix("Caused by: ").strip()


def exit_cause(code: int) -> str:
    """An exit code as words; a negative one is a signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
