"""One instance: a child process in a process group of its own, with a pipe on which it says when it is ready."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.runtimes.base import Runtime


@dataclass(frozen=True)
class Launch:
    """What to run. ``secrets`` are options that go into ``secrets_file``, where a process listing shows them not."""

    command: tuple[str, ...]
    secrets: Mapping[str, str] = field(repr=False)
    secrets_file: Path
    log_file: Path
    environment: Mapping[str, str] = field(repr=False)

    @property
    def argv(self) -> list[str]:
        return [*self.command, "--config_file", str(self.secrets_file)]


class SubprocessRuntime(Runtime):
    """Made by :class:`SubprocessRuntimeFactory`."""

    def __init__(self, spec: InstanceSpec, launch: Launch) -> None:
        super().__init__(spec)
        self._launch = launch
        # Guards all below, and is never held while anybody waits for the instance.
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._events = -1
        self._unread = b""
        self._ready = False
        self._stopping = False
        self._failure = ""
        self._end: Observation | None = None

    def start(self) -> None:
        with self._lock:
            if self._process is not None or self._end is not None:
                raise LaunchError(f"{self.spec.key}: a runtime starts only once; create another one")
            try:
                self._process = self._spawn()
            except (OSError, ValueError) as error:
                self._end = Observation(Phase.EXITED, reason=f"cannot be launched: {error}")
                raise LaunchError(f"{self.spec.key}: {self._end.reason}") from error

    def _spawn(self) -> subprocess.Popen[bytes]:
        launch = self._launch
        launch.log_file.parent.mkdir(parents=True, exist_ok=True)
        _write_private(launch.secrets_file, launch.secrets)
        self._events, told = os.pipe()
        os.set_blocking(self._events, False)
        try:
            with launch.log_file.open("ab") as log:
                return subprocess.Popen(
                    launch.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**launch.environment, "PFRUN_NOTIFY_FD": str(told)},
                    pass_fds=[told],
                    start_new_session=True,  # so that stop() reaches what the function itself has started
                )
        except BaseException:
            self._clean_up()
            raise
        finally:
            os.close(told)

    def observe(self) -> Observation:
        with self._lock:
            return self._look()

    def _look(self) -> Observation:
        if self._end is not None:
            return self._end
        if self._process is None:
            return Observation(Phase.CREATED)
        exit_code = self._process.poll()
        self._read_events()
        if exit_code is None:
            return Observation(Phase.RUNNING if self._ready else Phase.STARTING)
        # At once, while no new process can have its number: what it started must not outlive it.
        self._signal(signal.SIGKILL)
        self._clean_up()
        self._end = Observation(Phase.EXITED, exit_code, self._reason(exit_code))
        return self._end

    def _read_events(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._events, 65536):
                self._unread += chunk
        *lines, self._unread = self._unread.split(b"\n")
        for event in map(json.loads, lines):
            self._ready = self._ready or event["event"] == "ready"
            self._failure = event.get("reason", self._failure)

    def _reason(self, exit_code: int) -> str:
        if self._stopping:
            return "stopped"
        how = f"killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with exit code {exit_code}"
        return self._failure or f"{how}; its log is {self._launch.log_file}"

    def stop(self, *, grace_seconds: float) -> None:
        with self._lock:
            process = self._process
            if process is None:
                self._end = self._end or Observation(Phase.EXITED, reason="stopped before it started")
            if process is None or self._look().phase is Phase.EXITED:
                return
            self._stopping = True
            self._signal(signal.SIGTERM)
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            with self._lock:
                if self._look().phase is not Phase.EXITED:
                    self._signal(signal.SIGKILL)
            process.wait()
        self.observe()

    def log_lines(self, last: int) -> list[str]:
        try:
            with self._launch.log_file.open(encoding="utf-8", errors="replace") as log:
                return [line.rstrip("\n") for line in deque(log, maxlen=last)]
        except FileNotFoundError:
            return []

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _clean_up(self) -> None:
        os.close(self._events)
        self._launch.secrets_file.unlink(missing_ok=True)


def _write_private(path: Path, options: Mapping[str, str]) -> None:
    """The options as the instance's ``--config_file``, for its owner's eyes only."""
    parser = configparser.RawConfigParser(defaults=options)
    path.unlink(missing_ok=True)  # one that is there already may have other permissions
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        parser.write(file)
