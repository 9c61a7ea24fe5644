"""Workers that share no file system: the brokers keep the packages."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from pulsar_runtimes.dropin import SCRIPT
from pulsar_runtimes.metadata.admin_client import AdminClient
from pulsar_runtimes.service.broker_packages import BrokerPackages
from tests.cluster.conftest import FUNCTIONS, Node, await_spread
from tests.cluster.test_workers import config
from tests.standalone import standalone
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone
from tests.waiting import until
from tests.workers import SAMPLES

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

Cluster = Callable[..., list[Node]]
PACKAGES = "/admin/v3/functions/packages"


def packages(node: Node, place: str) -> list[dict[str, Any]]:
    return [each for each in node.get(PACKAGES) if each["place"] == place]


def paths(node: Node) -> set[str]:
    return {each["name"] for each in packages(node, "directory")}


def collect(node: Node) -> list[dict[str, Any]]:
    answer = node.http.post(f"{PACKAGES}/gc?olderThanSeconds=0")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["problems"] == []
    removed: list[dict[str, Any]] = told["removed"]
    return removed


def test_each_worker_fetches_what_another_was_given(
    cluster: Cluster, topic: Callable[[str], str], pulsar_standalone: Standalone
) -> None:
    nodes = cluster(2, functionsWorkerEnablePackageManagement=True)
    names = {node.name for node in nodes}
    nodes[0].register("f", **config(topic, "f", 2))
    assert set(await_spread(nodes[1], {"f": 2}, names).values()) == names
    directories = [paths(node) for node in nodes]
    assert [len(each) for each in directories] == [1, 1]
    assert directories[0].isdisjoint(directories[1])
    (own,) = packages(nodes[0], "brokers")
    assert own["sha256"] == hashlib.sha256(SAMPLES.read_bytes()).hexdigest()
    assert own["functions"] == ["public/default/f"]
    assert packages(nodes[1], "brokers") == [own]
    for node in nodes:
        assert node.http.get(f"{FUNCTIONS}/f/download").content == SAMPLES.read_bytes()

    # A worker that was away, and whose copy is lost, comes back to it.
    nodes[1].kill()
    (copy,) = directories[1]
    Path(copy).unlink()
    nodes[1].start()
    nodes[1].await_up()
    await_spread(nodes[1], {"f": 2}, names)
    assert nodes[0].http.post(f"{FUNCTIONS}/f/trigger", files={"data": (None, "hi")}).text == "hi!"

    with closing(AdminClient(pulsar_standalone.admin_url)) as client:
        users = f"{own['name'].rpartition('@')[0]}@1"
        BrokerPackages(client).upload(users, io.BytesIO(b"user's"), "p.py")
        update: dict[str, Any] = {
            "functionConfig": (None, "{}"),
            "data": ("samples.py", SAMPLES.read_bytes() + b"\n# two\n"),
        }
        assert nodes[1].http.put(f"{FUNCTIONS}/f", files=update).status_code == 204
        await_spread(nodes[0], {"f": 2}, names)
        after = packages(nodes[0], "brokers")
        assert own["name"] in [each["name"] for each in after]
        assert len(after) == 2
        until(
            lambda: [each["name"] for each in packages(nodes[0], "brokers") if each["functions"]], lambda n: len(n) == 1
        )
        until(lambda: collect(nodes[0]), lambda removed: own["name"] in [each["name"] for each in removed])
        assert nodes[0].running("f") == 2

        assert nodes[0].http.delete(f"{FUNCTIONS}/f").status_code == 204
        assert packages(nodes[1], "brokers") == []
        for node in nodes:
            until(lambda: collect(node) or paths(node), lambda left: left == set())  # noqa: B023 - called at once
        assert BrokerPackages(client).note(users).created_ms


def test_a_package_whose_broker_is_away_is_a_problem_until_it_is_back(
    cluster: Cluster, topic: Callable[[str], str], pulsar_standalone: Standalone
) -> None:
    """What is kept is taken away and given back: the worker cannot tell that from a store that is down."""
    nodes = cluster(1, functionsWorkerEnablePackageManagement=True)
    nodes[0].register("f", **config(topic, "f", 1))
    await_spread(nodes[0], {"f": 1}, {nodes[0].name})
    (own,) = packages(nodes[0], "brokers")
    (copy,) = paths(nodes[0])
    nodes[0].kill()
    Path(copy).unlink()
    with closing(AdminClient(pulsar_standalone.admin_url)) as client:
        brokers = BrokerPackages(client)
        brokers.delete(own["name"])
        nodes[0].start()
        nodes[0].await_up()

        def problem() -> str:
            (instance,) = nodes[0].get(f"{FUNCTIONS}/f/status")["instances"]
            return str(instance["status"].get("error"))

        until(problem, lambda told: told == f"{own['name']}: there is no such package", seconds=60)
        brokers.upload(own["name"], io.BytesIO(SAMPLES.read_bytes()), "samples.py")
    await_spread(nodes[0], {"f": 1}, {nodes[0].name})


def test_a_worker_of_apache_pulsar_runs_what_pfrun_was_given(pulsar_home: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PULSAR_HOME": str(pulsar_home),
    }
    settings: dict[str, Any] = {"functionsWorkerEnablePackageManagement": True}
    more = {"functionRuntimeFactoryConfigs": {"pythonInstanceLocation": str(SCRIPT)}}
    with ExitStack() as running:
        java = or_skip(
            lambda: standalone.start(
                tmp_path / "pulsar",
                pulsar_home,
                environment,
                functions_worker="process",
                worker_settings=settings | more,
                dies_with_caller=True,
            )
        )
        running.callback(java.stop)
        ours = {
            "pulsarServiceUrl": java.service_url,
            "pulsarWebServiceUrl": java.admin_url,
            "functionRuntimeFactoryClassName": "process",
        }
        node = Node("pfrun-1", tmp_path, ours | settings)
        running.callback(node.close)
        node.start()
        node.await_up()
        node.register("f", **config(lambda name: f"persistent://public/default/{name}", "f", 2))
        owners = until(node.assignments, lambda found: len(found) == 2, seconds=60)
        assert len(set(owners.values())) == 2
        until(lambda: node.running("f"), lambda count: count == 2, seconds=120)
        (own,) = packages(node, "brokers")
        (copy,) = (tmp_path / "pulsar" / "download").rglob("samples.py")
        assert copy.read_bytes() == SAMPLES.read_bytes()
        assert own["functions"] == ["public/default/f"]
        assert collect(node) == []
        httpx.delete(f"{java.admin_url}{FUNCTIONS}/f", timeout=60).raise_for_status()
        until(node.functions, lambda found: found == [])
        print(f"deleted by the worker of Apache Pulsar while {node.leader()} leads")
