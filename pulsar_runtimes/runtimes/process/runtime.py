"""One instance in a process of its own."""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import InstanceStats, Observation, Phase
from pulsar_runtimes.runtimes.base import Runtime
from pulsar_runtimes.runtimes.loopback_port import LoopbackPort
from pulsar_runtimes.runtimes.process.health import HealthProbe, Patient
from pulsar_runtimes.runtimes.process.launch import Launch
from pulsar_runtimes.runtimes.process.launcher_client import Launched, LauncherClient, exit_reason
from pulsar_runtimes.runtimes.process.log_file import read_last_lines

_KILL_SECONDS = 10.0
_STACKS_SECONDS = 0.5
"""What a hung instance has to write the stacks of its threads, before it is killed."""


class ProcessRuntime(Runtime):
    """Asks the launcher for a child, and reads what the launcher reports of it."""

    def __init__(
        self,
        spec: InstanceSpec,
        launcher: LauncherClient,
        probe: HealthProbe,
        plan: Callable[[InstanceSpec], Launch],
        *,
        python_path: str = "",
    ) -> None:
        super().__init__(spec)
        self._launcher = launcher
        self._probe = probe
        self._plan = plan
        self._python_path = python_path
        self._log_file = plan(spec).log_file
        self._id = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._launched: Launched | None = None
        self._ports: list[LoopbackPort] = []
        self._stopped_before_start = False
        self._stop_asked = False

    def start(self) -> None:
        with self._lock:
            if self._launched is not None or self._stopped_before_start:
                raise LaunchError(f"{self.spec.key}: this runtime was used already")
            launch = self._plan(self.spec)
            if not launch.tells:
                launch = self._plan(self._with_ports())
            name = f"pf:{self.spec.function.name}-{self.spec.instance_id}"
            try:
                launched = self._launcher.launch(
                    self._id, launch.request(name, self._python_path), on_ready=self._watch, on_end=self._release
                )
            except LaunchError:
                self._release()
                raise
            self._launched = launched
        if not launch.tells:
            launched.port, launched.metrics_port = (port.number for port in self._ports)
            self._watch(launched)

    def _with_ports(self) -> InstanceSpec:
        """The instance cannot tell which ports it took, so it is given some. They are held until it ends."""
        try:
            self._ports = [LoopbackPort(), LoopbackPort()]
        except OSError as error:
            raise LaunchError(f"{self.spec.key}: there is no free port: {error}") from error
        port, metrics_port = (held.number for held in self._ports)
        return replace(self.spec, port=port, metrics_port=metrics_port)

    def _release(self) -> None:
        for port in self._ports:
            port.release()

    def _watch(self, launched: Launched) -> None:
        self._probe.watch(
            Patient(
                port=launched.port,
                ended=launched.ended.is_set,
                on_ready=lambda: self._launcher.is_ready(launched),
                on_hung=lambda seconds: self._end_hung(launched, seconds),
            )
        )

    def _end_hung(self, launched: Launched, seconds: float) -> None:
        """It is alive and does not answer: have it write its stacks, then end it."""
        if self._stop_asked or launched.ended.is_set():
            return
        launched.failure = f"it hung: alive, but without an answer for {seconds:.1f} s; its log has the stacks"
        for number in (signal.SIGQUIT, signal.SIGCONT):  # all three languages write their stacks on SIGQUIT
            self._launcher.signal(self._id, number)

        def kill() -> None:
            if not launched.ended.wait(_STACKS_SECONDS):
                self._launcher.kill(self._id)

        threading.Thread(target=kill, name="hung", daemon=True).start()

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
        return read_last_lines(self._log_file, last)

    @property
    def pid(self) -> int | None:
        """The process, once there is one."""
        return self._launched.pid if self._launched is not None else None
