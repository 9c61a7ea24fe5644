"""Workers with functions on a real control plane: many at once, through restarts, kills, and with too few rights."""

from __future__ import annotations

import base64
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import Resources
from pulsar_runtimes.model.status import State
from pulsar_runtimes.runtimes.kubernetes.config import InstanceLauncher, KubernetesConfig
from pulsar_runtimes.runtimes.kubernetes.paths import ACCESS_REVIEWS, path_of
from pulsar_runtimes.runtimes.kubernetes.rights import build_roles, needed_rights, rights_of
from pulsar_runtimes.runtimes.kubernetes.settings import KubernetesSettings
from pulsar_runtimes.worker.worker import Worker
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.workload import OWN_LAUNCHER, Begin, named, names, pod_uids, states, until_running
from tests.waiting import until

pytestmark = pytest.mark.kubernetes

MANY = 100


@pytest.mark.slow
def test_many_are_created_and_deleted_while_others_are_created(
    kubernetes: Cluster, job_namespace: str, begin: Begin, calls: list[str]
) -> None:
    worker = begin()
    for number in range(MANY):
        worker.submit(named(f"old{number}"))
    taken = until_running(worker)
    assert len(names(kubernetes, "statefulsets", job_namespace)) == MANY
    time.sleep(1.0)  # what the watches tell of after that is of no function
    calls.clear()
    time.sleep(3.0)
    assert not calls, "a look at functions that have not changed must cost nothing"
    began = time.monotonic()
    for number in range(MANY):
        worker.remove(f"public/default/old{number}")
    for number in range(10):
        worker.submit(named(f"new{number}"))
    created = until(
        lambda: {
            status.key.name for status in worker.statuses() if all(i.state is State.RUNNING for i in status.instances)
        },
        lambda seen: seen >= {f"new{number}" for number in range(10)},
        seconds=60,
    )
    created_within = time.monotonic() - began
    until(lambda: names(kubernetes, "statefulsets", job_namespace), lambda left: len(left) == 10, seconds=60)
    deleted_within = time.monotonic() - began
    until(lambda: len(worker.statuses()), lambda left: left == 10, seconds=30)
    assert len(pod_uids(kubernetes, job_namespace)) == 10
    assert len(names(kubernetes, "services", job_namespace)) == 10
    print(
        f"{MANY} ready in {taken:.1f} s, deleted in {deleted_within:.1f} s, 10 created beside in {created_within:.1f} s"
    )
    assert created
    assert deleted_within <= 10.0


@pytest.mark.parametrize("runtime", [{}, OWN_LAUNCHER], ids=["pulsar", "pfrun"])
def test_scaling_leaves_pods_alone_and_another_version_replaces_them(
    kubernetes: Cluster, job_namespace: str, begin: Begin, runtime: dict[str, str]
) -> None:
    worker = begin(**runtime)
    worker.submit(named("f", 3))
    until_running(worker)
    before = pod_uids(kubernetes, job_namespace)
    worker.submit(named("f", 5))
    until(lambda: pod_uids(kubernetes, job_namespace), lambda pods: len(pods) == 5, seconds=30)
    until_running(worker)
    after = pod_uids(kubernetes, job_namespace)
    assert len(before) == 3
    assert before.items() <= after.items()
    if runtime:
        path = path_of("configmaps", job_namespace, "pf-public-default-f-details")
        assert r"\"parallelism\":5" in kubernetes.request("GET", path)["data"]["details.json"]
    (stateful_set,) = kubernetes.request("GET", path_of("statefulsets", job_namespace))["items"]
    worker.submit(named("f", 5, user_config={"a": 1}))
    until(
        lambda: set(pod_uids(kubernetes, job_namespace).values()) & set(after.values()),
        lambda left: not left,
        seconds=60,
    )
    until_running(worker)
    (changed,) = kubernetes.request("GET", path_of("statefulsets", job_namespace))["items"]
    assert changed["metadata"]["uid"] == stateful_set["metadata"]["uid"]
    worker.submit(named("f", 2, user_config={"a": 1}))
    until(lambda: pod_uids(kubernetes, job_namespace), lambda pods: len(pods) == 2, seconds=30)


def test_the_next_worker_only_lists(kubernetes: Cluster, job_namespace: str, begin: Begin, calls: list[str]) -> None:
    first = begin()
    functions = [named(f"f{number}", 2) for number in range(20)]
    for function in functions:
        first.submit(function)
    until_running(first)
    pods = pod_uids(kubernetes, job_namespace)
    first.stop()
    assert pod_uids(kubernetes, job_namespace) == pods
    calls.clear()
    second = begin()
    for function in functions:
        second.submit(function)
    until_running(second)
    asked = [call for call in calls if not call.endswith(ACCESS_REVIEWS)]
    assert {call.partition(" ")[0] for call in asked} == {"GET"}
    assert len(asked) == 4, asked  # a list and a watch for StatefulSets, and for pods
    assert pod_uids(kubernetes, job_namespace) == pods


@pytest.mark.slow
def test_an_api_server_that_is_killed_amid_creations_loses_none_and_doubles_none(
    kubernetes: Cluster, job_namespace: str, begin: Begin
) -> None:
    worker = begin()
    for number in range(MANY):
        worker.submit(named(f"f{number}"))
    until(lambda: len(names(kubernetes, "statefulsets", job_namespace)), lambda made: made >= 10, seconds=60)
    kubernetes.kill("apiserver")
    time.sleep(3.0)
    assert not states(worker) & {State.FAILED, State.BACKOFF}
    kubernetes.launch("apiserver", dies_with_caller=True)
    kubernetes.wait_until_ready()
    taken = until_running(worker, seconds=180)
    print(f"{MANY} ready {taken:.1f} s after the API server came back")
    made = names(kubernetes, "statefulsets", job_namespace)
    assert made == sorted(f"pf-public-default-f{number}" for number in range(MANY))
    assert len(pod_uids(kubernetes, job_namespace)) == MANY
    restarts = {instance.restarts for status in worker.statuses() for instance in status.instances}
    assert restarts == {0}


def test_a_function_of_which_some_instances_are_wanted_here_runs_as_a_whole(
    kubernetes: Cluster, job_namespace: str, begin: Begin
) -> None:
    worker = begin()
    worker.submit(named("f", 2), only=[0, 1])
    until_running(worker)
    assert len(pod_uids(kubernetes, job_namespace)) == 2
    worker.submit(named("f", 2), only=[])
    until(lambda: pod_uids(kubernetes, job_namespace), lambda pods: not pods, seconds=30)


def test_what_keeps_a_pod_from_running_is_in_the_status(begin: Begin) -> None:
    worker = begin()
    worker.submit(named("huge", resources=Resources(cpu=100_000, ram=1 << 30)))
    reason = until(
        lambda: worker.status("public/default/huge").instances[0].reason, lambda said: "Insufficient cpu" in said
    )
    assert reason.startswith("Unschedulable: 0/2 nodes are available: 2 Insufficient cpu")
    assert worker.status("public/default/huge").instances[0].state is State.STARTING


def test_a_config_map_changes_what_is_started_next(kubernetes: Cluster, job_namespace: str, begin: Begin) -> None:
    overrides = {"metadata": {"name": "overrides"}, "data": {"pulsarDockerImageName": "pulsar:2"}}
    kubernetes.request("POST", path_of("configmaps", job_namespace), overrides)
    names_it = {"changeConfigMap": "overrides", "changeConfigMapNamespace": job_namespace}
    worker = begin(**names_it)
    worker.submit(named("f"))
    until_running(worker)
    (pod,) = kubernetes.request("GET", path_of("pods", job_namespace))["items"]
    assert pod["spec"]["containers"][0]["image"] == "pulsar:2"


# Tokens


def test_the_token_of_a_user_is_mounted_replaced_and_deleted(
    kubernetes: Cluster, job_namespace: str, begin: Begin
) -> None:
    worker = begin(authenticated=True)
    function = worker.admit(named("f"))
    (spec,) = worker.plan(function)

    def secrets() -> dict[str, str]:
        items = kubernetes.request("GET", path_of("secrets", job_namespace))["items"]
        return {item["metadata"]["name"]: base64.b64decode(item["data"]["token"]).decode() for item in items}

    kept = worker.factory.keep_token(spec, "t0ken")
    assert secrets() == {f"pf-secret-{kept}": "t0ken"}
    worker.submit(function, auth_data=kept)
    until_running(worker)
    pods = pod_uids(kubernetes, job_namespace)
    (pod,) = kubernetes.request("GET", path_of("pods", job_namespace))["items"]
    assert {"name": "function-auth", "mountPath": "/etc/auth", "readOnly": True} in pod["spec"]["containers"][0][
        "volumeMounts"
    ]

    (spec,) = worker.plan(function, kept)
    assert worker.factory.keep_token(spec, "another") == kept
    assert secrets() == {f"pf-secret-{kept}": "another"}
    worker.submit(function, auth_data=kept)
    until_running(worker)
    assert pod_uids(kubernetes, job_namespace) == pods, "pods read the new token where they had the old one"

    worker.factory.forget_token(spec)
    worker.factory.forget_token(spec)
    assert secrets() == {}


def test_a_secret_of_somebody_else_is_never_replaced(kubernetes: Cluster, job_namespace: str, begin: Begin) -> None:
    worker = begin(authenticated=True)
    (spec,) = worker.plan(worker.admit(named("f")), "mine")
    foreign = {"metadata": {"name": "pf-secret-mine"}, "stringData": {"token": "theirs"}}
    kubernetes.request("POST", path_of("secrets", job_namespace), foreign)
    with pytest.raises(LaunchError, match="was not made by pfrun"):
        worker.factory.keep_token(spec, "t0ken")
    worker.factory.forget_token(spec)
    assert names(kubernetes, "secrets", job_namespace) == ["pf-secret-mine"]


# Rights


def settings_of(namespace: str, launcher: InstanceLauncher = InstanceLauncher.PULSAR) -> KubernetesSettings:
    return KubernetesSettings(config=KubernetesConfig(job_namespace=namespace, instance_launcher=launcher))


RIGHTS = needed_rights(settings_of("any"))


def grant(
    kubernetes: Cluster,
    namespace: str,
    tmp_path: Path,
    without: object = None,
    launcher: InstanceLauncher = InstanceLauncher.PULSAR,
) -> Path:
    """A kubeconfig for a service account with the rights of the role, but for one."""
    rights = [right for right in rights_of(settings_of(namespace, launcher)) if right != without]
    kubernetes.request("POST", path_of("serviceaccounts", namespace), {"metadata": {"name": "worker"}})
    for role in build_roles(rights, [namespace], "worker", namespace):
        resource = f"{role['kind'].lower()}s"
        kubernetes.request("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{resource}", role)
    answer = kubernetes.request(
        "POST", path_of("serviceaccounts", namespace, "worker", "token"), {"apiVersion": "authentication.k8s.io/v1",
                                                                          "kind": "TokenRequest", "spec": {}}
    )  # fmt: skip
    return kubernetes.write_kubeconfig(tmp_path / "worker.kubeconfig", answer["status"]["token"])


@pytest.mark.parametrize("launcher", InstanceLauncher)
def test_the_role_is_enough(
    kubernetes: Cluster, job_namespace: str, begin: Begin, tmp_path: Path, launcher: InstanceLauncher
) -> None:
    kubeconfig = grant(kubernetes, job_namespace, tmp_path, launcher=launcher)
    own = OWN_LAUNCHER if launcher is InstanceLauncher.PFRUN else {}
    worker = until_begun(partial(begin, **own), kubeconfig)
    worker.submit(named("f", 1, secrets_map={"K": "s"}))
    until_running(worker)
    worker.submit(named("f", 2, secrets_map={"K": "t"}))
    until(lambda: len(pod_uids(kubernetes, job_namespace)), lambda pods: pods == 2, seconds=60)
    until_running(worker)
    worker.remove("public/default/f")
    until(lambda: worker.statuses(), lambda seen: not seen, seconds=60)
    assert not names(kubernetes, "statefulsets", job_namespace)
    assert not names(kubernetes, "services", job_namespace)
    assert not names(kubernetes, "secrets", job_namespace)
    assert names(kubernetes, "configmaps", job_namespace) == ["kube-root-ca.crt"]


def until_begun(begin: Begin, kubeconfig: Path) -> Worker:
    """The API server learns of new roles a moment later."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return begin(kubeconfig)
        except LaunchError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.mark.parametrize("right", RIGHTS, ids=str)
def test_a_missing_right_is_named_before_anything_is_written(
    kubernetes: Cluster, job_namespace: str, begin: Begin, tmp_path: Path, calls: list[str], right: Any
) -> None:
    kubeconfig = grant(kubernetes, job_namespace, tmp_path, without=right)

    def refusal() -> str:
        with pytest.raises(LaunchError) as refused:
            begin(kubeconfig)
        return str(refused.value)

    told = until(refusal, lambda text: text.count("(") == 1, seconds=10)
    assert f"may not {right} (" in told
    assert all(call.endswith(ACCESS_REVIEWS) for call in calls)
