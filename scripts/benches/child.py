"""A process that a measurement starts, with whatever that starts in turn; nothing of it outlives the measurement."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pulsar_runtimes.brokers.process_identity import ProcessIdentity

STOP_SECONDS = 15.0
_TAIL_LINES = 15


class Child:
    """Starts at once, in a session of its own; what it writes goes to ``log``, unless :meth:`ask` is used.

    The kernel ends it when the calling thread ends. :meth:`stop` ends also what it has started.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, *, answers: bool = False
    ) -> None:
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        self.log = directory / "output.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*guard, *command],
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if answers else output,
                stderr=output,
                start_new_session=True,
                text=True,
            )
        self._identity = ProcessIdentity.of(self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._identity.is_alive()

    def ask(self, line: str) -> str:
        """Write ``line`` to it, and the line it answers; empty when it has ended."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
        return process.stdout.readline()

    def last_lines(self) -> str:
        """What it wrote last to its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what is left of its session some seconds later. Idempotent."""
        if self._process.returncode is not None:
            return
        self._identity.stop(grace_seconds=STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.communicate()
