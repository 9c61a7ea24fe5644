"""Apache Pulsar's own function worker, as a process beside the broker, with the process runtime."""

from __future__ import annotations

import http.client
import json
import socket
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.standalone.standalone import Standalone

from .child import Child
from .sides import Side, SideError, describe

READY_SECONDS = 120.0
LIVENESS_MILLIS = 5000
"""How often it looks whether its instances live. The file that comes with Pulsar has 30000."""

_LOOPBACK = "127.0.0.1"
_REQUEST_SECONDS = 60.0
_POLL_SECONDS = 0.05
_FUNCTIONS = "/admin/v3/functions/public/default"
_LEADER_READY = "/admin/v2/worker/cluster/leader/ready"

# As distributed it asks for 2 GiB of heap and touches all of it at once, which would say nothing.
_JVM = {
    "PULSAR_MEM": "-Xms64m -Xmx512m -XX:MaxDirectMemorySize=512m",
    "PULSAR_GC": "-XX:+UseSerialGC",
}


class ReferenceSide(Side):
    """Talked to over REST: ``pulsar-admin`` would start a JVM for each request."""

    name = "reference"

    def __init__(self, broker: Standalone, directory: Path, environment: Mapping[str, str]) -> None:
        directory.mkdir()
        self._broker = broker
        self._directory = directory
        self._port = _free_port()
        self._conf = directory / "functions_worker.yml"
        self._conf.write_text(yaml.safe_dump(self._settings()))
        self._environment = {
            **environment,
            **_JVM,
            "PULSAR_WORKER_CONF": str(self._conf),
            "PULSAR_LOG_DIR": str(directory / "logs"),
        }
        self._child: Child | None = None

    def _settings(self) -> dict[str, Any]:
        # The script that starts it goes to its own directory first: no path may be relative.
        return {
            "workerId": "bench",
            "workerHostname": "localhost",
            "workerPort": self._port,
            "configurationMetadataStoreUrl": self._broker.metadata_url,
            "pulsarServiceUrl": self._broker.service_url,
            "pulsarWebServiceUrl": self._broker.admin_url,
            "pulsarFunctionsNamespace": "public/functions",
            "pulsarFunctionsCluster": "standalone",
            "functionMetadataTopicName": "metadata",
            "clusterCoordinationTopicName": "coordinate",
            "functionAssignmentTopicName": "assignments",
            "schedulerClassName": "org.apache.pulsar.functions.worker.scheduler.RoundRobinScheduler",
            "numFunctionPackageReplicas": 1,
            "downloadDirectory": f"{self._directory}/download",
            "functionRuntimeFactoryClassName": "org.apache.pulsar.functions.runtime.process.ProcessRuntimeFactory",
            "functionRuntimeFactoryConfigs": {"logDirectory": f"{self._directory}/logs"},
            "failureCheckFreqMs": 5000,
            "rescheduleTimeoutMs": 60000,
            "initialBrokerReconnectMaxRetries": 60,
            "assignmentWriteMaxRetries": 60,
            "instanceLivenessCheckFreqMs": LIVENESS_MILLIS,
            "topicCompactionFrequencySec": 1800,
            "rebalanceCheckFreqSec": -1,
            "additionalEnabledFunctionsUrlPatterns": ["file:///.*"],
        }

    def start(self) -> None:
        script = self._broker.home / "bin" / "pulsar"
        self._child = child = Child([str(script), "functions-worker"], self._environment, self._directory)
        deadline = time.monotonic() + READY_SECONDS
        # Before its leader is ready it refuses functions.
        while (seen := self._try_ready()) != "true":
            if not child.is_alive() or time.monotonic() >= deadline:
                raise SideError(f"the reference's worker did not come up (last: {seen})\n{child.last_lines()}")
            time.sleep(_POLL_SECONDS)

    def _try_ready(self) -> str:
        try:
            return self._request("GET", _LEADER_READY)[1].strip()
        except OSError as error:
            return str(error)

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def worker_pids(self) -> list[int]:
        return [self._running().pid]

    def create(self, function: Mapping[str, Any]) -> None:
        package = next(function[key] for key in ("jar", "py", "go") if key in function)
        parts = {
            "functionConfig": ("application/json", json.dumps(function)),
            "url": ("text/plain", f"file://{package}"),
        }
        boundary = uuid.uuid4().hex
        body = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {kind}\r\n\r\n{text}\r\n'
            for name, (kind, text) in parts.items()
        )
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        self._require("POST", f"{_FUNCTIONS}/{function['name']}", f"{body}--{boundary}--\r\n", headers)

    def delete(self, name: str) -> None:
        self._require("DELETE", f"{_FUNCTIONS}/{name}")

    def pid(self, name: str) -> int | None:
        for child in psutil.Process(self._running().pid).children():
            try:
                if name in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                    return child.pid
            except psutil.Error:  # it ended while we looked
                continue
        return None

    def status(self, name: str) -> str:
        (instance,) = json.loads(self._require("GET", f"{_FUNCTIONS}/{name}/status"))["instances"]
        seen = instance["status"]
        running = "running" if seen["running"] else "not running"
        errors = [seen["error"], *(each["exceptionString"] for each in seen["latestUserExceptions"])]
        return describe(running, seen["numRestarts"], errors)

    def _require(self, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None) -> str:
        status, answer = self._request(method, path, body, headers)
        if status not in (200, 204):
            raise SideError(f"{method} {path}: the reference's worker answers {status}: {answer}")
        return answer

    def _request(
        self, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection(_LOOPBACK, self._port, timeout=_REQUEST_SECONDS)
        try:
            connection.request(method, path, body.encode(), dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()

    def _running(self) -> Child:
        if self._child is None:
            raise SideError("the reference's worker is not started")
        return self._child


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((_LOOPBACK, 0))
        number: int = one.getsockname()[1]
        return number
