"""The worker's end of the launcher: starts it when first needed, sends requests, keeps what it reports."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.observation import Phase

_CLOSE_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass
class Launched:
    """What is known of one launched instance. Written by the client's reader thread, read by anybody.

    ``ended`` is set once nothing of the instance runs any more. ``on_ready`` is called when the instance itself
    tells that it is ready, ``on_end`` once it has ended.
    """

    phase: Phase = Phase.STARTING
    pid: int | None = None
    port: int = 0
    metrics_port: int = 0
    exit_code: int | None = None
    failure: str = ""
    out_of_memory: bool = False
    last_lines: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    on_ready: Callable[[Launched], None] = lambda _: None
    on_end: Callable[[], None] = lambda: None


class LauncherClient:
    """One worker's launcher process. Safe to call from any thread.

    A launcher that died has taken its instances along; they are reported as ended, and the next ``launch``
    starts a new one.
    """

    def __init__(self, state_dir: Path, environment: Mapping[str, str], wake: Callable[[], None]) -> None:
        self._state_dir = state_dir
        self._environment = dict(environment)
        self._wake = wake
        self._lock = threading.Lock()
        # Those of the launcher that runs now: each launcher's reader knows its own, and ends only these with it.
        self._instances: dict[str, Launched] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._reader: threading.Thread | None = None
        self._closed = False

    def launch(
        self,
        identifier: str,
        request: Mapping[str, Any],
        *,
        on_ready: Callable[[Launched], None],
        on_end: Callable[[], None],
    ) -> Launched:
        """Ask for an instance; the answer fills in as it goes. ``LaunchError`` when no launcher can be had."""
        instance = Launched(on_ready=on_ready, on_end=on_end)
        with self._lock:
            self._ensure_launcher()
            self._instances[identifier] = instance
            try:
                self._send({"op": "launch", "id": identifier, **request})
            except OSError as error:
                del self._instances[identifier]
                raise LaunchError(f"the launcher process does not answer: {error}") from error
        return instance

    def signal(self, identifier: str, number: int) -> None:
        """Send a signal to the instance's process group."""
        self._request({"op": "signal", "id": identifier, "signal": number})

    def is_ready(self, instance: Launched) -> None:
        """Note that the instance works, as far as it has not ended meanwhile."""
        with self._lock:
            if instance.phase is not Phase.STARTING:
                return
            instance.phase = Phase.RUNNING
        self._wake()

    def kill(self, identifier: str) -> None:
        """Kill everything that belongs to the instance."""
        self._request({"op": "kill", "id": identifier})

    def close(self) -> None:
        """End the launcher and with it every instance that is left. Idempotent."""
        with self._lock:
            self._closed = True
            process, control, reader = self._process, self._control, self._reader
            self._process = self._control = self._reader = None
        if process is None or control is None:
            return
        with contextlib.suppress(OSError):  # it died just now
            control.shutdown(socket.SHUT_WR)
        try:
            process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if reader is not None and reader is not threading.current_thread():
            reader.join(_CLOSE_SECONDS)
        control.close()

    def _request(self, request: Mapping[str, Any]) -> None:
        with self._lock:
            if self._control is not None:
                with contextlib.suppress(OSError):  # it died just now, and the instance with it
                    self._send(request)

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._control is not None
        self._control.sendall(json.dumps(request).encode() + b"\n")

    def _ensure_launcher(self) -> None:
        if self._closed:
            raise LaunchError("the process runtime is closed")
        if self._process is not None and self._process.poll() is None and self._control is not None:
            return
        self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "pulsar_runtimes.runtimes.process.launcher"]
        try:
            with open(self._state_dir / "launcher.log", "ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=theirs.fileno(),
                    stdout=log,
                    stderr=log,
                    env=self._environment,
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise LaunchError(f"the launcher process cannot be started: {error}") from error
        finally:
            theirs.close()
        self._control = ours
        self._instances = {}
        self._reader = threading.Thread(
            target=self._read, args=(self._process, ours, self._instances), name="launcher-events", daemon=True
        )
        self._reader.start()

    def _read(self, process: subprocess.Popen[bytes], control: socket.socket, instances: dict[str, Launched]) -> None:
        # A launcher that was killed leaves requests unread, which is an error here, or half an event.
        with control.makefile("rb") as events, contextlib.suppress(OSError):
            for line in events:
                if line.endswith(b"\n"):
                    self._on_event(instances, json.loads(line))
        code = process.wait()
        with self._lock:
            if not self._closed:
                _log.error("the launcher process ended (%s); its instances with it", _cause(code))
            if self._control is control:
                self._control = None
            control.close()
            left = list(instances.values())
            instances.clear()
        for instance in left:
            instance.failure = instance.failure or f"the launcher process ended ({_cause(code)})"
            self._end(instance)

    def _on_event(self, instances: dict[str, Launched], event: dict[str, Any]) -> None:
        if event["event"] == "limits":
            _log.info("instances are held to their resources by %s", event["how"])
            return
        instance = instances.get(event["id"])
        if instance is None:
            return
        match event["event"]:
            case "started":
                instance.pid = event["pid"]
            case "ready":
                instance.port, instance.metrics_port = event["port"], event["metrics_port"]
                self.is_ready(instance)
                instance.on_ready(instance)
            case "failed":
                instance.failure = event["reason"]
            case "refused":
                instance.failure = event["reason"]
                self._forget(instances, event["id"])
            case "exited":
                instance.exit_code = event["code"]
                instance.last_lines = event["last_lines"]
                instance.out_of_memory = event["oom"]
                self._forget(instances, event["id"])

    def _forget(self, instances: dict[str, Launched], identifier: str) -> None:
        with self._lock:
            instance = instances.pop(identifier)
        self._end(instance)

    def _end(self, instance: Launched) -> None:
        with self._lock:
            instance.phase = Phase.EXITED
        instance.on_end()
        instance.ended.set()
        self._wake()


def exit_reason(instance: Launched) -> str:
    """Why an instance ended, in one line: what it said itself, else its last line, else its exit code."""
    code = instance.exit_code
    if instance.failure:
        return instance.failure
    if instance.out_of_memory:
        return "out of memory: it used more than its resources allow, and the kernel ended it"
    if code is None or code == 0:
        return "it ended by itself with exit code 0" if code == 0 else "it ended"
    last = next((line.strip() for line in reversed(instance.last_lines) if line.strip()), "")
    return f"{_cause(code)}{': ' + last if last and code > 0 else ''}"


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
