"""Reading on in the log of an instance while it is written and rotated (:mod:`.log_file`)."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from pulsar_runtimes.runtimes.base import LogPart

from .log_file import BACKUPS

PART_BYTES = 256 << 10


def read_log_after(path: Path, mark: str, last: int) -> LogPart:
    """What a ``RotatingLog`` at ``path`` got after ``mark``, 256 KiB at most; with ``""`` its ``last`` lines.

    A mark is a file's number, which it keeps when it is renamed, and a place in it. A line that is not complete is
    left for the next time, unless nobody will write on in that file.
    """
    with ExitStack() as opened:
        files = _open(path, opened)
        if not files:
            return LogPart((), mark)
        if not mark:
            return _tail(files[-1], last)
        number, _, place = mark.partition("-")
        known = [str(os.fstat(file.fileno()).st_ino) for file in files]
        index = known.index(number) if number in known else 0
        start = int(place) if number in known and place.isdecimal() else 0
        for file in files[index:-1]:
            part = _part(file, start, is_full=True)
            if part.lines:
                return part
            start = 0
        return _part(files[-1], start)


def _open(path: Path, opened: ExitStack) -> list[BinaryIO]:
    """The log file and those it was renamed to, oldest first.

    They are opened newest first: a file that is renamed meanwhile is met twice, and none is missed.
    """
    found: dict[int, BinaryIO] = {}
    for name in (path, *(path.with_name(f"{path.name}.{number}") for number in range(1, BACKUPS + 1))):
        with suppress(OSError):
            file = opened.enter_context(name.open("rb"))
            found.setdefault(os.fstat(file.fileno()).st_ino, file)
    return list(found.values())[::-1]


def _tail(file: BinaryIO, last: int) -> LogPart:
    start = max(0, file.seek(0, os.SEEK_END) - PART_BYTES)
    part = _part(file, start)
    lines = part.lines[1:] if start else part.lines  # the first one may have begun before
    return LogPart(lines[-last:] if last > 0 else (), part.mark)


def _part(file: BinaryIO, start: int, *, is_full: bool = False) -> LogPart:
    """The lines from ``start`` on. ``is_full``: nobody writes on in the file."""
    file.seek(start)
    content = file.read(PART_BYTES)
    is_rest = len(content) < PART_BYTES
    end = content.rfind(b"\n") + 1
    if (is_full and is_rest) or (not end and not is_rest):  # an end without a newline; a line longer than a part
        end = len(content)
    lines = content[:end].decode(errors="replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    return LogPart(tuple(lines), f"{os.fstat(file.fileno()).st_ino}-{start + end}")
