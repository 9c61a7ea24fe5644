"""The node of the tests runs pods, and leaves nothing on the machine however it ends."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.runtimes.kubernetes.paths import path_of
from tests.kubernetes import node_keeper
from tests.kubernetes.cluster import Cluster, read
from tests.waiting import is_alive, until

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SECONDS = 120
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def run(cluster: Cluster, namespace: str, image: str, program: str, **more: Any) -> Mapping[str, Any]:
    """What becomes of a pod that runs ``program`` with Python."""
    container = {"name": "c", "image": image, "command": ["python3", "-c", program], "securityContext": RESTRICTED}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [{**container, **more}]}
    cluster.request("POST", path_of("pods", namespace), {"metadata": {"name": "p"}, "spec": pod})
    path = path_of("pods", namespace, "p")

    def status() -> Any:
        return cluster.request("GET", path)["status"]

    return dict(until(status, lambda seen: seen["phase"] in ("Succeeded", "Failed"), seconds=SECONDS))


def log(cluster: Cluster, namespace: str) -> str:
    return str(cluster.request("GET", path_of("pods", namespace, "p", "log")))


def test_a_pod_runs_and_its_log_can_be_read(kubernetes_node: Cluster, node_namespace: str, python_image: str) -> None:
    program = "import os, pulsar, pulsar_runtimes; print('user', os.getuid(), os.listdir('/tmp'))"
    seen = run(kubernetes_node, node_namespace, python_image, program)
    assert seen["phase"] == "Succeeded", log(kubernetes_node, node_namespace)
    assert log(kubernetes_node, node_namespace) == "user 10001 []\n"


def test_a_pod_reaches_the_host(kubernetes_node: Cluster, node_namespace: str, python_image: str) -> None:
    server = http.server.ThreadingHTTPServer((kubernetes_node.host, 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = (kubernetes_node.host, server.server_port)
    program = f"import socket; print(socket.create_connection({address}, 30).getpeername()[0])"
    try:
        seen = run(kubernetes_node, node_namespace, python_image, program)
    finally:
        server.shutdown()
        server.server_close()
    assert seen["phase"] == "Succeeded", log(kubernetes_node, node_namespace)
    assert log(kubernetes_node, node_namespace) == f"{kubernetes_node.host}\n"


def test_a_container_beyond_its_memory_is_killed(
    kubernetes_node: Cluster, node_namespace: str, python_image: str
) -> None:
    resources = {"limits": {"memory": "48Mi"}}
    seen = run(kubernetes_node, node_namespace, python_image, "x = bytearray(200 << 20)", resources=resources)
    assert seen["phase"] == "Failed"
    assert seen["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 128 + signal.SIGKILL


def traces(number: int, directory: Path) -> list[str]:
    """What the machine has of the node of that number, whose files are below ``directory``."""
    name = f"{node_keeper.PREFIX}{number}"
    found = [place for place in (Path("/sys/class/net", name), Path("/sys/fs/cgroup", name)) if place.exists()]
    found += Path("/sys/fs/cgroup").glob(f"*/{name}")
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(directory) in line]
    return [*map(str, found), *mounts]


def test_a_run_that_is_killed_leaves_nothing(kubernetes_node: Cluster, tmp_path: Path) -> None:
    """``kubernetes_node`` is asked for so that the programs are there; two nodes do not know of each other."""
    program = """
import os, signal, sys
from pathlib import Path
from tests.kubernetes import cluster, programs
running = cluster.start(
    Path(sys.argv[1]), programs.build(os.environ), node_programs=programs.build_node(os.environ), dies_with_caller=True
)
node = running.node
print(node.number, node.process, *(each.pid for each in running.identities.values()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-P", "-c", program, str(tmp_path / "cluster")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    number, *processes = [int(word) for word in done.stdout.split()]
    assert kubernetes_node.node is not None
    assert number != kubernetes_node.node.number
    assert len(processes) == 8
    until(lambda: [each for each in processes if is_alive(each)], lambda left: not left, seconds=60)
    until(lambda: traces(number, tmp_path), lambda left: not left, seconds=60)


def test_a_keeper_that_is_killed_is_tidied_up_after(kubernetes_node: Cluster, tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    ran = _script("start", str(directory), "--real-node")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["host"] != kubernetes_node.host
    running = read(directory, kubernetes_node.programs)
    assert running is not None
    assert running.node is not None
    assert traces(running.node.number, tmp_path)
    running.kill("keeper")
    assert _script("stop", str(directory)).returncode == 0
    assert not traces(running.node.number, tmp_path)
    assert {path.suffix for path in directory.iterdir()} == {".log"}


def _script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "tests.kubernetes", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
