"""What is told of a function on Kubernetes, from the words of its StatefulSet and its pods."""

from __future__ import annotations

from typing import Any

import pytest

from pulsar_runtimes.model.observation import Phase
from pulsar_runtimes.runtimes.kubernetes.pod_reason import observe_job, observe_pod

KILLED = {"reason": "Error", "exitCode": 137, "message": "one\nthe last words\n"}
OUT_OF_MEMORY = {"reason": "OOMKilled", "exitCode": 137}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}


def stateful_set(ready: int = 0, replicas: int = 3, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "pf", "generation": 2},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 2, "replicas": replicas, "readyReplicas": ready, **status},
    }


def pod(number: int, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": f"pf-{number}"}, "status": status}


def container(**members: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "pulsarfunction", "ready": False, **members}]}


def test_it_runs_when_all_pods_are_ready() -> None:
    seen = observe_job(stateful_set(ready=3), [], 3)
    assert (seen.phase, seen.reason) == (Phase.RUNNING, "")


@pytest.mark.parametrize(
    "job",
    [
        stateful_set(ready=2),
        stateful_set(ready=0, replicas=0),
        stateful_set(ready=3, observedGeneration=1),
        stateful_set(ready=3, currentRevision="a", updateRevision="b", updatedReplicas=2),
        {"metadata": {"name": "pf", "generation": 1}, "spec": {"replicas": 3}},
    ],
)
def test_it_starts_while_any_is_missing_or_old(job: dict[str, Any]) -> None:
    assert observe_job(job, [], 3).phase is Phase.STARTING


@pytest.mark.parametrize(
    ("status", "told", "exit_code"),
    [
        (
            {"conditions": [UNSCHEDULABLE]},
            "Unschedulable: 0/2 nodes",
            0,
        ),
        (
            container(state={"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image x"}}),
            "ImagePullBackOff: Back-off pulling image x",
            0,
        ),
        (
            container(
                state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
                lastState={"terminated": KILLED},
                restartCount=4,
            ),
            "CrashLoopBackOff (exit code 137, signal 9, 4 restarts): the last words",
            137,
        ),
        (
            container(
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": OUT_OF_MEMORY},
            ),
            "CrashLoopBackOff, OOMKilled (exit code 137, signal 9)",
            137,
        ),
        (container(state={"terminated": OUT_OF_MEMORY}), "OOMKilled (exit code 137, signal 9)", 137),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "Evicted: low on memory", 0),
    ],
)  # fmt: skip
def test_a_pod_in_trouble_says_why(status: dict[str, Any], told: str, exit_code: int) -> None:
    seen = observe_job(stateful_set(ready=1), [pod(0), pod(2, **status), pod(1, **status)], 3)
    assert seen.phase is Phase.STARTING
    assert seen.reason == f"1 of 3 pods are ready; pod 1 (and 1 more): {told}"
    assert seen.exit_code == (exit_code or None)


def test_a_pod_that_only_starts_is_no_trouble() -> None:
    pods = [pod(0, **container(state={"waiting": {"reason": "ContainerCreating"}}))]
    assert observe_job(stateful_set(ready=2), pods, 3).reason == "2 of 3 pods are ready"


READY: dict[str, Any] = {
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [{"restartCount": 2}],
}
NEWEST: dict[str, Any] = {"updateRevision": "new"}


def revised(revision: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "pf-0", "labels": {"controller-revision-hash": revision}}, "status": status}


def test_a_replica_runs_when_its_pod_is_ready() -> None:
    seen = observe_pod(stateful_set(**NEWEST), revised("new", **READY))
    assert (seen.phase, seen.restarts, seen.outdated, seen.reason) == (Phase.RUNNING, 2, False, "")
    assert observe_pod(stateful_set(**NEWEST), None).phase is Phase.STARTING
    assert observe_pod(stateful_set(**NEWEST), revised("new")).phase is Phase.STARTING


@pytest.mark.parametrize(
    ("job", "found"),
    [
        (stateful_set(**NEWEST), revised("old", **READY)),
        (stateful_set(observedGeneration=1, **NEWEST), revised("new", **READY)),
    ],
)
def test_a_replica_of_the_version_before_is_outdated(job: dict[str, Any], found: dict[str, Any]) -> None:
    seen = observe_pod(job, found)
    assert (seen.phase, seen.outdated) == (Phase.RUNNING, True)


def test_a_replica_that_is_deleted_does_not_run() -> None:
    going = revised("new", **READY)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert observe_pod(stateful_set(**NEWEST), going).phase is Phase.STARTING


def test_a_replica_that_crashes_waits_for_its_next_start() -> None:
    crashed = container(
        state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": KILLED}, restartCount=4
    )
    seen = observe_pod(stateful_set(), pod(0, **crashed))
    assert (seen.phase, seen.exit_code, seen.restarts) == (Phase.EXITED, 137, 4)
    assert seen.reason.endswith("the last words")
