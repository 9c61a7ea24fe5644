"""The file that a broker writes to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

LIMIT_BYTES = 8 * 1024 * 1024
_TAIL_BYTES = 64 * 1024


class BrokerLog:
    """A log file of bounded size with one older generation beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin = 0
        self._told = 0

    def open(self) -> IO[bytes]:
        """The file, to be appended to. What is written from now on is what :meth:`lines` answers.

        A file above ``LIMIT_BYTES`` is put aside first: the writer keeps its descriptor, so only the start of a
        broker is a time to do so.
        """
        if self.path.exists() and self.path.stat().st_size > LIMIT_BYTES:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        self._begin = self._told = file.tell()
        return file

    def news(self) -> str:
        """What was written since the last call, or since :meth:`open`; no more than the last 64 KiB of it."""
        try:
            if self.path.stat().st_size <= self._told:
                return ""
            with open(self.path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._told, size - _TAIL_BYTES))
                self._told = size
                return file.read(_TAIL_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def lines(self, last: int) -> list[str]:
        """The last lines since :meth:`open`, oldest first; empty when there are none."""
        try:
            with open(self.path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._begin, size - _TAIL_BYTES))
                text = file.read(_TAIL_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return []
        return text.splitlines()[-last:] if last > 0 else []
