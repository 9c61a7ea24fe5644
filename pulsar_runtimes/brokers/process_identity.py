"""Which process it is: a pid alone may have been given to another one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pulsar_runtimes.model.errors import BrokerError

KILL_SECONDS = 5.0
"""How long the kernel may take to end a process after SIGKILL; longer means it hangs in a device or file system."""

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A pid and when that process began, in clock ticks since boot (field 22 of ``/proc/<pid>/stat``)."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has ``pid`` now; one that is never alive when there is none."""
        stat = _read_stat(pid)
        return cls(pid, -1 if stat is None else stat[1])

    def is_alive(self) -> bool:
        """Whether this very process runs. One that waits to be reaped does not."""
        stat = _read_stat(self.pid)
        return stat is not None and stat[1] == self.start_time and stat[0] not in "ZX"

    def stop(self, *, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL when it is still there ``grace_seconds`` later; returns once it is gone. Idempotent.

        ``BrokerError`` when it may not be ended or does not end.
        """
        self._send(signal.SIGTERM)
        if self._gone_within(grace_seconds):
            return
        self._send(signal.SIGKILL)
        if not self._gone_within(KILL_SECONDS):
            raise BrokerError(f"process {self.pid}: still there {KILL_SECONDS:g} s after SIGKILL; see why it hangs")

    def _send(self, number: signal.Signals) -> None:
        if not self.is_alive():
            return
        try:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
        except PermissionError as error:
            raise BrokerError(f"process {self.pid}: this user may not end it; run as the user that owns it") from error

    def _gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def _read_stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time, or ``None`` when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Field 2, the program's name, stands in parentheses and may hold both spaces and parentheses.
    after_name = text.rpartition(")")[2].split()
    return after_name[0], int(after_name[19])
