"""Several workers as processes on one real Apache Pulsar."""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import pytest

from tests.cli.daemon import Daemon
from tests.standalone.standalone import Standalone
from tests.waiting import until
from tests.workers import SAMPLES

FUNCTIONS = "/admin/v3/functions/public/default"


class Node:
    """One worker. It may be started and killed again and again; it keeps its name, port and state directory."""

    def __init__(self, name: str, directory: Path, config: dict[str, Any]) -> None:
        self.name = name
        self._directory = directory / name
        self._directory.mkdir()
        self._lives = 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        own = {
            "workerId": name,
            "workerHostname": "127.0.0.1",
            "workerPort": self.port,
        }
        usual = {"functionRuntimeFactoryConfigs": {"logDirectory": str(self._directory / "logs")}}
        (self._directory / "worker.yml").write_text(json.dumps(usual | config | own))
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, follow_redirects=True)
        self.daemon: Daemon | None = None

    def start(self) -> None:
        self._lives += 1
        place = self._directory
        arguments = ("start", "--conf", str(place / "worker.yml"), "--state-dir", str(place / "state"))
        self.daemon = Daemon(arguments, place / f"life-{self._lives}")

    def await_up(self) -> None:
        assert self.daemon is not None
        found = re.search(r"admin API at (\S+)", self.daemon.await_out("is up", seconds=60))
        assert found

    def kill(self) -> None:
        """As the kernel does when it runs out of memory: nothing is left of it, and nobody was told."""
        assert self.daemon is not None
        self.daemon.signal(SIGKILL)
        self.daemon.wait()

    def close(self) -> None:
        self.http.close()
        if self.daemon is not None:
            self.daemon.kill()

    def register(self, name: str, **config: Any) -> None:
        files: dict[str, Any] = {
            "functionConfig": (None, json.dumps(config), "application/json"),
            "data": (SAMPLES.name, SAMPLES.read_bytes()),
        }
        answer = self.http.post(f"{FUNCTIONS}/{name}", files=files)
        assert answer.status_code == 204, answer.text

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def running(self, name: str) -> int:
        """How many instances of a function run, on all workers, as this one tells it."""
        count: int = self.get(f"{FUNCTIONS}/{name}/status")["numRunning"]
        return count

    def functions(self) -> list[str]:
        """The names that it lists."""
        names: list[str] = self.get(FUNCTIONS)
        return names

    def leader(self) -> str:
        answer = self.http.get("/admin/v2/worker/cluster/leader")
        return answer.json()["workerId"] if answer.status_code == 200 else ""

    def members(self) -> set[str]:
        """The workers that it knows to be there; it looks once a second."""
        return {member["workerId"] for member in self.get("/admin/v2/worker/cluster")}

    def assignments(self) -> dict[str, str]:
        """The worker of each instance."""
        found = self.get("/admin/v2/worker/assignments")
        return {key: worker for worker, keys in found.items() for key in keys}


@pytest.fixture
def cluster(pulsar_standalone: Standalone, tmp_path: Path) -> Iterator[Callable[..., list[Node]]]:
    """``cluster(3)`` are workers that share topics of their own, all up, and know of each other."""
    nodes: list[Node] = []

    def build(count: int, **more: Any) -> list[Node]:
        config = {
            "pulsarServiceUrl": pulsar_standalone.service_url,
            "pulsarWebServiceUrl": pulsar_standalone.admin_url,
            "pulsarFunctionsNamespace": f"public/functions-{uuid.uuid4().hex[:8]}",
            "functionRuntimeFactoryClassName": "process",
            "failureCheckFreqMs": 500,
            "rescheduleTimeoutMs": 2000,
            **more,
        }
        nodes.extend(Node(f"worker-{number}", tmp_path, config) for number in range(count))
        for node in nodes:
            node.start()
        for node in nodes:
            node.await_up()
        for node in nodes:
            until(node.members, {each.name for each in nodes}.__eq__)
        return nodes

    yield build
    for node in nodes:
        node.close()


def await_spread(node: Node, functions: dict[str, int], alive: set[str], *, seconds: float = 60.0) -> dict[str, str]:
    """Wait until every instance of ``functions`` (name: parallelism) has one of the workers ``alive``, and runs."""

    def look() -> tuple[dict[str, str], list[int]]:
        return node.assignments(), [node.running(name) for name in functions]

    def settled(seen: tuple[dict[str, str], list[int]]) -> bool:
        assignments, running = seen
        total = sum(functions.values())
        return len(assignments) == total and set(assignments.values()) <= alive and running == list(functions.values())

    assignments, _ = until(look, settled, seconds=seconds)
    return assignments
