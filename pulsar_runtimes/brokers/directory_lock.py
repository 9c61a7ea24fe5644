"""The lock that says which worker a directory belongs to."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pulsar_runtimes.model.errors import BrokerError


class DirectoryLock:
    """One holder at a time, between processes and within one; ends with the process that holds it.

    ``directory`` is what the errors name; the lock itself is the file ``path``, which holds the holder's pid.
    """

    def __init__(self, path: Path, directory: Path) -> None:
        self._path = path
        self._directory = directory
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or keep it. ``BrokerError`` with the holder's pid when another has it. Never waits."""
        if self._descriptor is not None:
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise BrokerError(
                f"{self._directory}: in use by the worker with pid {holder or 'unknown'}; "
                "stop that one, or give this worker a state directory of its own"
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back. Idempotent.

        The file stays: were it removed, a worker that has just opened it would lock a file that nobody sees.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
