"""Runs one command that must not outlive the process which started this one.

A program of its own: ``python -I -S guard.py COMMAND ARGUMENT...``; standard library only, nothing of
``pulsar_runtimes``, because it runs without ``site-packages``.

stdin     the owner keeps the other end open; a line ``<seconds>`` ends the command with that grace, end of file
          (the owner is gone, however it died) ends it with :data:`DEFAULT_GRACE_SECONDS`
stdout    the command's pid, one line, as soon as there is one
stderr    the log, which the command has as its stdout and stderr
SIGTERM   as end of file; SIGINT and SIGHUP too
exit      the command's exit code, or 128 + N when signal N ended it

Why a process: PR_SET_PDEATHSIG, which takes the command down even when this guard is killed -9, is tied to the
*thread* that forked. In a worker with its pools of threads that would be an accident waiting to happen, and
``preexec_fn`` is unsafe there; here there is only one thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence

DEFAULT_GRACE_SECONDS = 2.0
OWNER_CHECK_SECONDS = 1.0

EXIT_CANNOT_EXECUTE = 127
SIGNALS_THAT_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_PR_SET_PDEATHSIG = 1
_STDIN, _STDOUT, _STDERR = 0, 1, 2


def main(command: Sequence[str]) -> int:
    """Run ``command`` until it ends or has to; the exit code of this process."""
    owner = os.getppid()
    wakes = _wake_on_signals()
    child = _spawn(command)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # The owner may be gone already; then stdin says so below.
    with contextlib.suppress(BrokenPipeError):
        os.write(_STDOUT, f"{child}\n".encode())
    os.close(_STDOUT)
    return _watch(child, owner, wakes)


def _wake_on_signals() -> int:
    """Catch what must be noticed, and return the descriptor from which the signals' numbers can be read.

    Signals stay blocked until the caller unblocks them: a SIGTERM that came between fork and exec would be
    swallowed by the handler that the child has inherited.
    """
    caught = (*SIGNALS_THAT_END, signal.SIGCHLD)
    signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    wakes, written = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    for number in caught:
        signal.signal(number, lambda _number, _frame: None)
    return wakes


def _spawn(command: Sequence[str]) -> int:
    """Fork and execute ``command``, tied to this process; its pid."""
    prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    guard = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        # getppid() afterwards: a guard that died before the call will not be noticed by the kernel any more.
        if prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)) != 0:
            raise OSError(ctypes.get_errno(), "PR_SET_PDEATHSIG was refused")
        if os.getppid() != guard:
            os._exit(EXIT_CANNOT_EXECUTE)
        for number in (*SIGNALS_THAT_END, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), _STDIN)
        os.dup2(_STDERR, _STDOUT)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execv(command[0], [*command])
    except OSError as error:
        os.write(_STDERR, f"{command[0]}: cannot be executed ({error.strerror})\n".encode())
    finally:
        os._exit(EXIT_CANNOT_EXECUTE)


def _watch(child: int, owner: int, wakes: int) -> int:
    """Wait for the child, and end it when that is asked for or nobody is left to ask; its exit code."""
    kill_at = math.inf
    ending = False
    watched = [_STDIN, wakes]
    while True:
        wait = max(0.0, min(OWNER_CHECK_SECONDS, kill_at - time.monotonic()))
        readable, _, _ = select.select(watched, [], [], wait)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code

        # A child that the owner forked may hold the pipe open after the owner's death; getppid() knows better.
        grace = DEFAULT_GRACE_SECONDS if os.getppid() != owner and not ending else None
        if wakes in readable and set(os.read(wakes, 512)).intersection(SIGNALS_THAT_END):
            grace = DEFAULT_GRACE_SECONDS
        if _STDIN in readable:
            line = os.read(_STDIN, 64)
            if not line:
                watched.remove(_STDIN)
            grace = float(line) if line else DEFAULT_GRACE_SECONDS

        # Not reaped yet, so the pid is still the child's.
        if grace is not None:
            ending = True
            os.kill(child, signal.SIGTERM)
            kill_at = min(kill_at, time.monotonic() + grace)
        if time.monotonic() >= kill_at:
            os.kill(child, signal.SIGKILL)
            kill_at = math.inf


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
