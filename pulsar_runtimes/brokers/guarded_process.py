"""A child process that cannot outlive this one: the owner's side of :mod:`pulsar_runtimes.brokers.guard`."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from pulsar_runtimes.brokers import guard
from pulsar_runtimes.brokers.process_identity import ProcessIdentity
from pulsar_runtimes.model.errors import BrokerError

GUARD_START_SECONDS = 10.0
GUARD_SLACK_SECONDS = 3.0
"""How much longer than the grace a guard may take before it is killed itself."""


class GuardedProcess:
    """A running command, its guard, and the pipe between the guard and this process.

    The command ends when this process does, however that ends, and when the guard is killed. ``stop`` must be
    called once the object is no longer wanted, also after the command ended by itself.
    """

    def __init__(
        self, command: Sequence[str], *, directory: Path, environment: Mapping[str, str], log: IO[bytes]
    ) -> None:
        """Start ``command`` in ``directory`` and in a session of its own, writing to ``log``.

        ``BrokerError`` when the guard does not come up; nothing runs then. Whether the command can be executed
        shows in :meth:`exit_code`.
        """
        # -I -S: neither the environment nor site-packages nor the directory can change what the guard is.
        arguments = [sys.executable, "-I", "-S", guard.__file__, *command]
        try:
            self._guard = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=directory,
                env=dict(environment),
                start_new_session=True,
                umask=0o077,
            )
        except OSError as error:
            raise BrokerError(
                f"{sys.executable or 'sys.executable'}: cannot be executed ({error.strerror}); the Python that runs "
                "the worker must be a program, because it also runs the guard of the broker"
            ) from error
        try:
            self.identity = self._read_identity()
        except BaseException:
            self._kill_guard()
            raise

    def exit_code(self) -> int | None:
        """``None`` while the command runs, negative for a signal. Never waits."""
        code = self._guard.poll()
        if code is None or code <= 128:
            return code
        return 128 - code

    def stop(self, *, grace_seconds: float) -> None:
        """End the command; when this returns it is gone. Idempotent."""
        # A guard that is gone, or going, needs no word.
        with contextlib.suppress(OSError, ValueError):
            self._stdin.write(f"{max(0.0, grace_seconds)}\n".encode())
        try:
            self._guard.wait(max(0.0, grace_seconds) + GUARD_SLACK_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._kill_guard()
        # A guard that was killed leaves its child to the kernel, which ends it without waiting for it.
        self.identity.stop(grace_seconds=0)

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._guard.stdin is not None
        return self._guard.stdin

    def _read_identity(self) -> ProcessIdentity:
        """The command's identity, from the first line that the guard writes."""
        assert self._guard.stdout is not None
        deadline = time.monotonic() + GUARD_START_SECONDS
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self._guard.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise BrokerError(f"the guard of the broker said nothing for {GUARD_START_SECONDS:g} s; try again")
            more = self._guard.stdout.read(64)
            if not more:
                raise BrokerError(
                    f"the guard of the broker ended before it started anything ({describe_exit(self._guard.wait())})"
                )
            line += more
        return ProcessIdentity.of(int(line))

    def _kill_guard(self) -> None:
        """End the guard, if it is still there, and let go of everything that belongs to it."""
        self._guard.kill()
        self._guard.wait()
        assert self._guard.stdout is not None
        self._stdin.close()
        self._guard.stdout.close()


def describe_exit(code: int) -> str:
    """``exit code 3``, or ``killed by SIGKILL`` for -9."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
