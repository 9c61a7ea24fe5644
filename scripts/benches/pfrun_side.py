"""pfrun's worker in a process of its own, so that its start and its memory can be told from the measurement's."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.standalone.standalone import Standalone

from .child import Child
from .sides import Side, SideError, describe

_PROCESS = Path(__file__).with_name("pfrun_process.py")
_LAUNCHER = "pulsar_runtimes.runtimes.process.launcher"


class PfrunSide(Side):
    """Asked in JSON lines; ``pfrun_process.py`` answers them."""

    name = "pfrun"

    def __init__(self, broker: Standalone, directory: Path, environment: Mapping[str, str]) -> None:
        directory.mkdir()
        self._directory = directory
        self._environment = {**environment, "PULSAR_HOME": str(broker.home)}  # where it finds java-instance.jar
        self._settings = {
            "functionRuntimeFactoryClassName": "process",
            "functionRuntimeFactoryConfigs": {"logDirectory": f"{directory}/logs"},
            "pulsarServiceUrl": broker.service_url,
            "pulsarWebServiceUrl": broker.admin_url,
        }
        self._child: Child | None = None

    def start(self) -> None:
        command = [sys.executable, "-P", str(_PROCESS), str(self._directory / "state")]
        self._child = Child(command, self._environment, self._directory, answers=True)
        self._ask(self._settings)

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def worker_pids(self) -> list[int]:
        pid = self._running().pid
        launchers = [child.pid for child in psutil.Process(pid).children() if _LAUNCHER in child.cmdline()]
        return [pid, *launchers]

    def create(self, function: Mapping[str, Any]) -> None:
        self._ask({"do": "create", "function": function})

    def delete(self, name: str) -> None:
        self._ask({"do": "delete", "name": name})

    def pid(self, name: str) -> int | None:
        pid: int | None = self._ask({"do": "pid", "name": name})
        return pid

    def status(self, name: str) -> str:
        state, restarts, errors = self._ask({"do": "status", "name": name})
        return describe(state, restarts, errors)

    def _ask(self, request: Mapping[str, Any]) -> Any:
        child = self._running()
        answer = json.loads(child.ask(json.dumps(request)) or '{"error": "it has ended"}')
        if "error" in answer:
            raise SideError(f"pfrun's worker: {answer['error']}\n{child.last_lines()}")
        return answer["result"]

    def _running(self) -> Child:
        if self._child is None:
            raise SideError("pfrun's worker is not started")
        return self._child
