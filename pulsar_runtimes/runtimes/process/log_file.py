"""The log file of one instance: what it writes to its standard output and error, rotated by size."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

MAX_BYTES = 10 << 20
BACKUPS = 5
"""Size and number of old files, as the reference's Python logging has them."""


class RotatingLog:
    """Appends bytes to a file, renames it when it is full, and remembers the last lines.

    A disk that is full or gone loses lines and nothing else: no error leaves this class after it was opened.
    """

    def __init__(self, path: Path, *, kept_lines: int = 50) -> None:
        """Open ``path`` for appending, making its directory. ``OSError`` when that cannot be."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = self._open()
        self._size = os.fstat(self._file).st_size
        self._last: deque[bytes] = deque(maxlen=kept_lines)
        self._partial = b""

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def write(self, data: bytes) -> None:
        *lines, rest = (self._partial + data).split(b"\n")
        self._last.extend(lines)
        self._partial = rest[-8192:]
        try:
            if self._size + len(data) > MAX_BYTES:
                self._rotate()
            self._size += os.write(self._file, data)
        except OSError:
            return

    def _rotate(self) -> None:
        for number in range(BACKUPS - 1, 0, -1):
            older = self._backup(number)
            if older.exists():
                older.replace(self._backup(number + 1))
        self._path.replace(self._backup(1))
        # Opened before the old one is closed: a failure must not leave a number that soon means another file.
        full, self._file = self._file, self._open()
        os.close(full)
        self._size = 0

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def last_lines(self) -> list[str]:
        """The last lines written through this object, oldest first."""
        lines = [*self._last, self._partial] if self._partial else list(self._last)
        return [line.decode(errors="replace") for line in lines]

    def close(self) -> None:
        os.close(self._file)


def read_last_lines(path: Path, last: int) -> list[str]:
    """The last lines of a log file, oldest first; empty when there is none. Reads 256 KiB at most."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - (256 << 10)))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return lines[-last:] if last > 0 else []
