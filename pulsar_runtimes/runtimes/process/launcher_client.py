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
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.observation import Phase
from pulsar_runtimes.runtimes.process.exit_reason import exit_cause, exit_reason
from pulsar_runtimes.runtimes.process.launcher import SOCKET_NAME, short_path

_CLOSE_SECONDS = 5.0
_TAKE_OVER_SECONDS = 5.0
_CLAIM_SECONDS = 5.0
"""How long instances that were left wait to be wanted. A worker wants all it wants within moments of its start."""

_UNWANTED_GRACE_SECONDS = 10.0
_log = logging.getLogger(__name__)


@dataclass
class Launched:
    """What is known of one launched instance. Written by the client's reader thread, read by anybody.

    ``ended`` is set once nothing of the instance runs any more. ``on_ready`` is called when the instance itself
    tells that it is ready, ``on_end`` once it has ended.
    """

    id: str = ""
    phase: Phase = Phase.STARTING
    pid: int | None = None
    port: int = 0
    metrics_port: int = 0
    key: str = ""
    fingerprint: str = ""
    exit_code: int | None = None
    failure: str = ""
    out_of_memory: bool = False
    last_lines: list[str] = field(default_factory=list)
    last_messages: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    on_ready: Callable[[Launched], None] = lambda _: None
    on_end: Callable[[], None] = lambda: None

    def end_reason(self) -> str:
        """Why it ended, in one line."""
        return exit_reason(
            self.exit_code, failure=self.failure, out_of_memory=self.out_of_memory, last_lines=self.last_lines
        )


class LauncherClient:
    """One worker's launcher process. Safe to call from any thread.

    A launcher that died has taken its instances along; they are reported as ended, and the next ``launch``
    starts a new one. With ``keep`` it outlives this worker together with its instances, and waits for another worker
    of the same state directory.
    """

    def __init__(
        self, state_dir: Path, environment: Mapping[str, str], wake: Callable[[], None], *, keep: bool = False
    ) -> None:
        self._state_dir = state_dir
        self._keep = keep
        # Instances that an earlier worker left, until somebody claims them.
        self._left: list[Launched] = []
        self._all_left_told = threading.Event()
        self._environment = dict(environment)
        self._wake = wake
        self._lock = threading.Lock()
        # Those of the launcher that runs now: each launcher's reader knows its own, and ends only these with it.
        self._instances: dict[str, Launched] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._reader: threading.Thread | None = None
        self._closed = threading.Event()

    def open(self) -> None:
        """Take over the launcher that an earlier worker left, if there is one.

        Its instances wait a while for a ``launch`` with their fingerprint; the others are stopped then.
        ``LaunchError`` when that worker still lives.
        """
        with self._lock:
            control = self._reconnect()
            if control is None:
                return
            self._serve(None, control)
        if not self._all_left_told.wait(_TAKE_OVER_SECONDS):
            raise LaunchError(f"{self._state_dir}: another worker that uses this state directory is still there")
        with self._lock:
            self._send({"op": "keep", "directory": str(self._state_dir) if self._keep else None})
        threading.Thread(target=self._stop_unclaimed, name="unclaimed", daemon=True).start()

    def _reconnect(self) -> socket.socket | None:
        if not (self._state_dir / SOCKET_NAME).exists():
            return None
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short_path(str(self._state_dir)) as short:
                control.connect(short)
        except OSError:  # the launcher died, too
            control.close()
            (self._state_dir / SOCKET_NAME).unlink(missing_ok=True)
            return None
        return control

    def _stop_unclaimed(self) -> None:
        if self._closed.wait(_CLAIM_SECONDS):
            return
        with self._lock:
            unwanted, self._left = self._left, []
        self._stop_left(unwanted)

    def _stop_left(self, unwanted: list[Launched]) -> None:
        for instance in unwanted:
            _log.info("%s: process %s, which an earlier worker left, is not wanted", instance.key, instance.pid)
            self.signal(instance.id, signal.SIGTERM)
        deadline = time.monotonic() + _UNWANTED_GRACE_SECONDS
        for instance in unwanted:
            if not instance.ended.wait(max(0.0, deadline - time.monotonic())):
                self.kill(instance.id)

    def launch(
        self,
        request: Mapping[str, Any],
        *,
        on_ready: Callable[[Launched], None],
        on_end: Callable[[], None],
    ) -> Launched:
        """Ask for an instance, or claim one that was left and is the same; the answer fills in as it goes.

        ``LaunchError`` when no launcher can be had.
        """
        claimed = self._claim(request["key"], request["fingerprint"])
        if claimed is not None:
            claimed.on_ready, claimed.on_end = on_ready, on_end
            _log.info("%s: process %s, which an earlier worker left, is taken over", claimed.key, claimed.pid)
            return claimed
        with self._lock:
            self._ensure_launcher()
            instance = Launched(uuid.uuid4().hex, on_ready=on_ready, on_end=on_end)
            self._instances[instance.id] = instance
            try:
                self._send({"op": "launch", "id": instance.id, **request})
            except OSError as error:
                del self._instances[instance.id]
                raise LaunchError(f"the launcher process does not answer: {error}") from error
        return instance

    def _claim(self, key: str, fingerprint: str) -> Launched | None:
        """The instance that was left and is the same; others of that key are stopped first, as both would be one."""
        with self._lock:
            same = [left for left in self._left if left.key == key]
            self._left = [left for left in self._left if left.key != key]
        claimed = next((left for left in same if left.fingerprint == fingerprint), None)
        self._stop_left([left for left in same if left is not claimed])
        return claimed

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
        """End the launcher and with it every instance that is left, unless it is to keep them. Idempotent."""
        with self._lock:
            self._closed.set()
            process, control, reader = self._process, self._control, self._reader
            if control is not None and not self._keep:
                with contextlib.suppress(OSError):  # it died just now
                    self._send({"op": "end"})
            self._process = self._control = self._reader = None
        if control is None:
            return
        with contextlib.suppress(OSError):
            control.shutdown(socket.SHUT_RDWR if self._keep else socket.SHUT_WR)
        if process is not None and not self._keep:
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
        if self._closed.is_set():
            raise LaunchError("the process runtime is closed")
        alive = self._process is None or self._process.poll() is None  # a launcher that was left is nobody's child
        if alive and self._control is not None:
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
        self._serve(self._process, ours)
        if self._keep:
            self._send({"op": "keep", "directory": str(self._state_dir)})

    def _serve(self, process: subprocess.Popen[bytes] | None, control: socket.socket) -> None:
        self._control = control
        self._instances = {}
        self._left = []
        self._reader = threading.Thread(
            target=self._read, args=(process, control, self._instances), name="launcher-events", daemon=True
        )
        self._reader.start()

    def _read(
        self, process: subprocess.Popen[bytes] | None, control: socket.socket, instances: dict[str, Launched]
    ) -> None:
        # A launcher that was killed leaves requests unread, which is an error here, or half an event.
        with control.makefile("rb") as events, contextlib.suppress(OSError):
            for line in events:
                if line.endswith(b"\n"):
                    self._on_event(instances, json.loads(line))
        if self._closed.is_set() and self._keep:
            return
        code = process.wait() if process is not None else None
        cause = "" if code is None else f" ({exit_cause(code)})"
        with self._lock:
            if not self._closed.is_set():
                _log.error("the launcher process ended%s; its instances with it", cause)
            if self._control is control:
                self._control = None
            control.close()
            left = list(instances.values())
            instances.clear()
        for instance in left:
            instance.failure = instance.failure or f"the launcher process ended{cause}"
            self._end(instance)

    def _on_event(self, instances: dict[str, Launched], event: dict[str, Any]) -> None:
        match event["event"]:
            case "limits":
                _log.info("instances are held to their resources by %s", event["how"])
            case "left":
                self._note_left(instances, event)
            case "all":
                self._all_left_told.set()
            case _:
                self._on_instance_event(instances, event)

    def _on_instance_event(self, instances: dict[str, Launched], event: dict[str, Any]) -> None:
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
                instance.last_messages = event["last_messages"]
                instance.out_of_memory = event["oom"]
                self._forget(instances, event["id"])

    def _note_left(self, instances: dict[str, Launched], event: dict[str, Any]) -> None:
        phase = Phase.RUNNING if event["ready"] else Phase.STARTING
        ports = {"port": event["port"], "metrics_port": event["metrics_port"]}
        mark = {"key": event["key"], "fingerprint": event["fingerprint"]}
        instance = Launched(event["id"], phase, event["pid"], **ports, **mark)
        with self._lock:
            instances[instance.id] = instance
            self._left.append(instance)

    def _forget(self, instances: dict[str, Launched], identifier: str) -> None:
        with self._lock:
            instance = instances.pop(identifier)
            self._left = [left for left in self._left if left is not instance]
        self._end(instance)

    def _end(self, instance: Launched) -> None:
        with self._lock:
            instance.phase = Phase.EXITED
        instance.on_end()
        instance.ended.set()
        self._wake()
