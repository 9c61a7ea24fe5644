"""Several workers whose functions run on one Kubernetes: whoever looks after a function, its pods go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY
from tests.cluster.conftest import FUNCTIONS, Node
from tests.kubernetes.cluster import Cluster as Kubernetes
from tests.kubernetes.workload import names, pod_uids
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.standalone, pytest.mark.kubernetes]

Cluster = Callable[..., list[Node]]
CONFIG = {"className": "samples.Exclaim", "inputs": ["in"], "output": "out", "runtime": "PYTHON"}


@pytest.fixture
def nodes(
    cluster: Cluster, kubernetes: Kubernetes, job_namespace: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Node, Node]:
    """Two workers."""
    monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig))
    one, other = cluster(
        2,
        functionRuntimeFactoryClassName=KUBERNETES_FACTORY,
        functionRuntimeFactoryConfigs={"jobNamespace": job_namespace},
    )
    return one, other


def instances(node: Node) -> list[dict[str, Any]]:
    """What a worker tells of each instance of ``f``."""
    return [each["status"] for each in node.get(f"{FUNCTIONS}/f/status")["instances"]]


def owner(node: Node) -> str:
    return node.assignments().get("public/default/f:-1", "")


def update(node: Node, config: str) -> None:
    assert node.http.put(f"{FUNCTIONS}/f", files={"functionConfig": (None, config)}).status_code == 204


def await_running(node: Node, count: int) -> None:
    until(lambda: node.running("f"), lambda running: running == count, seconds=60)


def restart(node: Node, kubernetes: Kubernetes, namespace: str) -> None:
    """Until none of the pods of before is left."""
    before = set(pod_uids(kubernetes, namespace).values())
    assert node.http.post(f"{FUNCTIONS}/f/restart").status_code == 204
    until(lambda: set(pod_uids(kubernetes, namespace).values()), lambda seen: not seen & before, seconds=60)


def test_pods_go_on_whichever_worker_looks_after_them(
    nodes: tuple[Node, Node], kubernetes: Kubernetes, job_namespace: str
) -> None:
    nodes[0].register("f", **CONFIG, parallelism=3)
    for node in nodes:
        await_running(node, 3)
    pods = pod_uids(kubernetes, job_namespace)
    assert len(pods) == 3
    assert set(nodes[0].assignments()) == {"public/default/f:-1"}

    first = next(node for node in nodes if node.name == owner(nodes[0]))
    second = next(node for node in nodes if node is not first)
    assert first.http.put("/admin/v2/worker/drain").status_code == 204
    until(lambda: owner(second), lambda seen: seen == second.name)
    told = until(lambda: instances(first), lambda seen: {each["workerId"] for each in seen} == {second.name})
    await_running(second, 3)
    assert len(told) == 3
    assert pod_uids(kubernetes, job_namespace) == pods

    update(first, '{"parallelism": 5}')
    await_running(second, 5)
    assert pods.items() <= pod_uids(kubernetes, job_namespace).items()
    pods = pod_uids(kubernetes, job_namespace)

    second.kill()
    first.kill()
    assert pod_uids(kubernetes, job_namespace) == pods
    first.start()
    first.await_up()
    until(lambda: owner(first), lambda seen: seen == first.name, seconds=60)
    await_running(first, 5)
    assert pod_uids(kubernetes, job_namespace) == pods

    assert first.http.delete(f"{FUNCTIONS}/f").status_code == 204
    resources = ("statefulsets", "services", "pods", "secrets")
    until(
        lambda: [name for resource in resources for name in names(kubernetes, resource, job_namespace)],
        lambda left: not left,
        seconds=60,
    )


def test_one_replica_is_not_stopped_alone(nodes: tuple[Node, Node], kubernetes: Kubernetes, job_namespace: str) -> None:
    nodes[0].register("f", **CONFIG, parallelism=2)
    await_running(nodes[0], 2)
    answer = nodes[0].http.post(f"{FUNCTIONS}/f/1/stop")
    assert answer.status_code == 400
    assert "the kubernetes runtime has all instances stopped or started together only" in answer.text
    for node in nodes:  # the one that does not run it sends the caller to the other
        restart(node, kubernetes, job_namespace)
        await_running(nodes[0], 2)
    assert nodes[1].http.post(f"{FUNCTIONS}/f/stop").status_code == 204
    until(lambda: pod_uids(kubernetes, job_namespace), lambda pods: not pods, seconds=60)
    assert [each["running"] for each in instances(nodes[0])] == [False, False]
    assert nodes[1].http.post(f"{FUNCTIONS}/f/start").status_code == 204
    await_running(nodes[0], 2)
