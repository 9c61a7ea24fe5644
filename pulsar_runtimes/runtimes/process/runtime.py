"""One instance in a process of its own."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import InstanceStats, Observation, Phase
from pulsar_runtimes.runtimes.base import Runtime
from pulsar_runtimes.runtimes.process.launcher_client import Launched, LauncherClient, exit_reason
from pulsar_runtimes.runtimes.process.log_file import read_last_lines

_KILL_SECONDS = 10.0


class ProcessRuntime(Runtime):
    """Asks the launcher for a child, and reads what the launcher reports of it."""

    def __init__(self, spec: InstanceSpec, launcher: LauncherClient, request: Mapping[str, Any]) -> None:
        super().__init__(spec)
        self._launcher = launcher
        self._request = request
        self._id = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._launched: Launched | None = None
        self._stopped_before_start = False
        self._stop_asked = False

    def start(self) -> None:
        with self._lock:
            if self._launched is not None or self._stopped_before_start:
                raise LaunchError(f"{self.spec.key}: this runtime was used already")
            self._launched = self._launcher.launch(self._id, self._request)

    def observe(self) -> Observation:
        launched = self._launched
        if launched is None:
            if self._stopped_before_start:
                return Observation(Phase.EXITED, reason="stopped before it was started")
            return Observation(Phase.CREATED)
        if launched.phase is Phase.EXITED:
            reason = "stopped" if self._stop_asked else exit_reason(launched)
            return Observation(Phase.EXITED, launched.exit_code, reason)
        return Observation(launched.phase)

    def stop(self, *, grace_seconds: float) -> None:
        with self._lock:
            launched = self._launched
            if launched is None:
                self._stopped_before_start = True
                return
        if launched.ended.is_set():
            return
        self._stop_asked = True
        self._launcher.signal(self._id, signal.SIGTERM)
        if not launched.ended.wait(grace_seconds):
            self._launcher.kill(self._id)
            if not launched.ended.wait(_KILL_SECONDS):
                raise LaunchError(f"{self.spec.key}: process {launched.pid} does not end even when killed")

    def stats(self) -> InstanceStats | None:
        launched = self._launched
        if launched is None or launched.phase is not Phase.RUNNING:
            return None
        from pulsar_runtimes.instance.control import fetch_stats  # brings gRPC, which a worker may never need

        try:
            return fetch_stats(launched.port)
        except (TimeoutError, ConnectionError):
            return None

    def log_lines(self, last: int) -> list[str]:
        return read_last_lines(Path(self._request["log_file"]), last)

    @property
    def pid(self) -> int | None:
        """The process, once there is one."""
        return self._launched.pid if self._launched is not None else None
