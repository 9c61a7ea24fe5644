"""``pfrun`` as a process of its own, watched from outside."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIG_DFL, SIG_IGN, SIGHUP, SIGINT, SIGTERM, Signals

import psutil

from tests.waiting import is_alive, until

PFRUN = str(Path(sys.executable).parent / "pfrun")


@dataclass(frozen=True)
class Ran:
    """What became of a command line."""

    code: int
    out: str
    err: str


def run_process(*arguments: str, environment: Mapping[str, str] | None = None) -> Ran:
    """``pfrun`` with ``arguments`` as a process that ends by itself, its output piped."""
    done = subprocess.run(
        [PFRUN, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def run_on_terminal(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Everything that ``pfrun`` shows on a terminal, standard error among it."""
    ours, its = pty.openpty()
    try:
        process = subprocess.Popen(
            [PFRUN, *arguments], stdin=its, stdout=its, stderr=its, env={**os.environ, **(environment or {})}
        )
    finally:
        os.close(its)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other end was closed
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    process.wait(60)
    return shown.decode().replace("\r\n", "\n")


class Daemon:
    """A command that runs until it is told to stop. Its output goes to files, so that it never waits for a reader.

    It leads a process group of its own, as what a shell starts in the foreground does, and like that ignores no signal,
    whatever nohup or a shell's ``&`` has had the tests ignore; but for ``ignoring``.
    """

    def __init__(self, arguments: Sequence[str], directory: Path, *, ignoring: Signals | None = None) -> None:
        def set_signals() -> None:
            for number in (SIGHUP, SIGINT):
                signal.signal(number, SIG_IGN if number is ignoring else SIG_DFL)

        directory.mkdir()
        self._out, self._err = directory / "out", directory / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [PFRUN, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=set_signals,
            )
        self._started: list[int] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def out(self) -> str:
        return self._out.read_text("utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text("utf-8")

    @property
    def broker_url(self) -> str:
        """Where its broker is; waits until it says so."""
        found = re.search(r"broker (pulsar://\S+),", self.await_out(" is up: "))
        assert found
        return found[1]

    def await_out(self, text: str, *, seconds: float = 20.0) -> str:
        """Standard output, once ``text`` is in it."""
        return self._await(self._out, text, seconds)

    def await_err(self, text: str, *, seconds: float = 20.0) -> str:
        """Standard error, once ``text`` is in it."""
        return self._await(self._err, text, seconds)

    def _await(self, file: Path, text: str, seconds: float) -> str:
        def look() -> str:
            ended = self._process.poll() is not None
            shown = file.read_text("utf-8")
            assert text in shown or not ended, f"ended with {self._process.returncode}: {self.out}{self.err}"
            return shown

        return until(look, lambda shown: text in shown, seconds=seconds)

    def descendants(self) -> list[int]:
        """The process ids of everything it has started, and that was started by that."""
        self._started = [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
        return self._started

    def signal(self, number: Signals) -> None:
        self._process.send_signal(number)

    def interrupt(self) -> None:
        """What Ctrl-C does: the whole process group gets the signal."""
        os.killpg(self.pid, SIGINT)

    def stop(self, number: Signals = SIGTERM) -> int:
        """Send a signal, and the exit code."""
        self.descendants()
        self.signal(number)
        return self.wait()

    def wait(self, seconds: float = 30.0) -> int:
        """The exit code, once it has ended; ``AssertionError`` with its output when it does not."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"runs on after {seconds:g} s: {self.out}{self.err}") from None

    def assert_nothing_left(self) -> None:
        """Nothing of what it had started when it was last looked at is there any more."""
        until(lambda: [pid for pid in self._started if is_alive(pid)], lambda alive: not alive, seconds=5)

    def kill(self) -> None:
        if self._process.poll() is None:
            self.descendants()
            self._process.kill()
            self._process.wait()
            deadline = time.monotonic() + 10
            while any(map(is_alive, self._started)) and time.monotonic() < deadline:
                time.sleep(0.02)
