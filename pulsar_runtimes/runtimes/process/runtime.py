"""One instance in a process of its own."""

from __future__ import annotations

import http.client
import signal
import threading
from collections.abc import Callable
from dataclasses import replace

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import InstanceStats, Observation, Phase
from pulsar_runtimes.runtimes.base import LogPart, Runtime
from pulsar_runtimes.runtimes.loopback_port import LoopbackPort
from pulsar_runtimes.runtimes.process.health import HealthProbe, Patient
from pulsar_runtimes.runtimes.process.launch import Launch, fingerprint
from pulsar_runtimes.runtimes.process.launcher_client import Launched, LauncherClient
from pulsar_runtimes.runtimes.process.log_file import read_last_lines
from pulsar_runtimes.runtimes.process.log_reader import read_log_after
from pulsar_runtimes.runtimes.process.memory import proportional_memory

_KILL_SECONDS = 10.0
_METRICS_SECONDS = 3.0
_MOST_METRICS_BYTES = 4 << 20
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
        outlives_worker: bool = False,
    ) -> None:
        super().__init__(spec)
        self.outlives_worker = outlives_worker
        self._launcher = launcher
        self._probe = probe
        self._plan = plan
        self._python_path = python_path
        self._log_file = plan(spec).log_file
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
            # Reads all of the code, so only where somebody will ask.
            mark = fingerprint(self.spec, self._plan) if self.outlives_worker else ""
            ports = (0, 0)
            if not launch.tells:
                spec = self._with_ports()
                launch, ports = self._plan(spec), (spec.port, spec.metrics_port)
            request = launch.request(self.spec, self._python_path, mark, ports)
            try:
                launched = self._launcher.launch(request, on_ready=self._watch, on_end=self._release)
            except LaunchError:
                self._release()
                raise
            self._launched = launched
        if not launched.port:
            launched.port, launched.metrics_port = ports
        if launched.port:  # it cannot tell when it is ready, or it did so to an earlier worker
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
            self._launcher.signal(launched.id, number)

        def kill() -> None:
            if not launched.ended.wait(_STACKS_SECONDS):
                self._launcher.kill(launched.id)

        threading.Thread(target=kill, name="hung", daemon=True).start()

    def observe(self) -> Observation:
        launched = self._launched
        if launched is None:
            if self._stopped_before_start:
                return Observation(Phase.EXITED, reason="stopped before it was started")
            return Observation(Phase.CREATED)
        if launched.phase is Phase.EXITED:
            reason = "stopped" if self._stop_asked else launched.end_reason()
            messages = tuple(launched.last_messages)
            return Observation(Phase.EXITED, launched.exit_code, reason, last_messages=messages)
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
        self._launcher.signal(launched.id, signal.SIGTERM)
        if not launched.ended.wait(grace_seconds):
            self._launcher.kill(launched.id)
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

    def metrics_text(self) -> str:
        launched = self._launched
        if launched is None or launched.phase is not Phase.RUNNING or not launched.metrics_port:
            return ""
        connection = http.client.HTTPConnection("127.0.0.1", launched.metrics_port, timeout=_METRICS_SECONDS)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read(_MOST_METRICS_BYTES).decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def memory_bytes(self) -> int | None:
        launched = self._launched
        return proportional_memory(launched.pid) if launched is not None and launched.pid else None

    def log_lines(self, last: int) -> list[str]:
        return read_last_lines(self._log_file, last)

    def log_after(self, mark: str, last: int) -> LogPart:
        return read_log_after(self._log_file, mark, last)

    @property
    def pid(self) -> int | None:
        """The process, once there is one."""
        return self._launched.pid if self._launched is not None else None
