"""Many functions on Kubernetes, beside a plain loop over the client library that makes the same objects."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.status import State
from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.runtimes.kubernetes.paths import path_of
from pulsar_runtimes.worker.worker import Worker
from tests.kubernetes import cluster, programs
from tests.kubernetes.workload import counted_calls, named, worker_keys

from .table import print_table, ratio, spread

READY_SECONDS = 900.0
LOOK_SECONDS = 0.5
QUIET_SECONDS = 10.0
DELETED = 100
"""Of how many functions the end is measured."""


def kubernetes(options: argparse.Namespace) -> None:
    """Both sides make a Service and a StatefulSet for each function on one cluster, in turn, each in a namespace of its
    own; what counts is the time until every StatefulSet has its replica ready, which both ask for in the same way.
    """
    functions = [named(f"f{number}") for number in range(options.functions)]
    plain: list[float] = []
    ours: list[float] = []
    deletions: list[float] = []
    with tempfile.TemporaryDirectory(prefix="pfrun-bench-") as directory:
        running = cluster.start(Path(directory), programs.build(os.environ), nodes=10, dies_with_caller=True)
        try:
            for number in range(options.rounds):
                sides = [plain_seconds, pfrun_seconds] if number % 2 else [pfrun_seconds, plain_seconds]
                for side in sides:
                    namespace = f"{side.__name__.partition('_')[0]}-{number}"
                    running.add_namespace(namespace)
                    if side is plain_seconds:
                        plain.append(plain_seconds(running, namespace, functions))
                    else:
                        ours.append(pfrun_seconds(running, namespace, functions, deletions))
                    empty(running, namespace)
                print(f"  round {number}: plain loop {plain[-1]:.1f} s, pfrun {ours[-1]:.1f} s", flush=True)
        finally:
            running.stop()
    rows = [
        [f"{len(functions)} ready, s", spread(plain), spread(ours), ratio(ours, plain)],
        [f"{DELETED} deleted while 10 are created, s", "", spread(deletions), ""],
    ]
    print_table(["", "plain loop", "pfrun", "pfrun / plain"], rows)


def plain_seconds(running: cluster.Cluster, namespace: str, functions: list[FunctionSpec]) -> float:
    """One request after another by the library's own methods, as somebody without pfrun would write it."""
    from kubernetes import client, config

    settings = client.Configuration()
    config.load_kube_config(str(running.kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
    with client.ApiClient(settings) as api, worker_of(running, namespace) as worker:
        core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
        factory = worker.factory
        assert isinstance(factory, KubernetesRuntimeFactory)
        wanted = [factory.manifests(spec) for function in functions for spec in worker.plan(worker.admit(function))]
        services = [client.V1Service.model_validate(each.service) for each in wanted]
        stateful_sets = [client.V1StatefulSet.model_validate(each.stateful_set) for each in wanted]
        began = time.monotonic()
        for service, stateful_set in zip(services, stateful_sets, strict=True):
            core.create_namespaced_service(namespace, service)
            apps.create_namespaced_stateful_set(namespace, stateful_set)
        await_ready(running, namespace, len(functions))
        return time.monotonic() - began


def pfrun_seconds(
    running: cluster.Cluster, namespace: str, functions: list[FunctionSpec], deletions: list[float]
) -> float:
    """The time that counts; afterwards a look at rest, and at the end of some, whose seconds join ``deletions``."""
    with worker_of(running, namespace) as worker:
        worker.start()
        began = time.monotonic()
        for function in functions:
            worker.submit(function)
        await_ready(running, namespace, len(functions))
        seconds = time.monotonic() - began
        wait_for(lambda: all(i.state is State.RUNNING for each in worker.statuses() for i in each.instances))
        with counted_calls() as calls:
            time.sleep(QUIET_SECONDS)
        print(f"    {len(calls)} calls of the API in {QUIET_SECONDS:g} s of rest", flush=True)
        began = time.monotonic()
        for function in functions[:DELETED]:
            worker.remove(function.key)
        for number in range(10):
            worker.submit(named(f"new{number}"))
        left = max(0, len(functions) - DELETED) + 10
        wait_for(lambda: len(objects(running, namespace, "pods")) == left)
        deletions.append(time.monotonic() - began)
    return seconds


@contextmanager
def worker_of(running: cluster.Cluster, namespace: str) -> Iterator[Worker]:
    """A worker that is not started yet."""
    with tempfile.TemporaryDirectory() as directory:
        config = parse_worker_config(Section(worker_keys(namespace)), {})
        worker = Worker(config, state_dir=directory, environment={"KUBECONFIG": str(running.kubeconfig)})
        try:
            yield worker
        finally:
            worker.stop()


def objects(running: cluster.Cluster, namespace: str, resource: str = "statefulsets") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = running.request("GET", path_of(resource, namespace))["items"]
    return items


def await_ready(running: cluster.Cluster, namespace: str, count: int) -> None:
    wait_for(
        lambda: (
            sum((each.get("status") or {}).get("readyReplicas") == 1 for each in objects(running, namespace)) == count
        )
    )


def wait_for(is_so: Callable[[], bool]) -> None:
    """``TimeoutError`` when it does not come."""
    deadline = time.monotonic() + READY_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {READY_SECONDS:g} s")
        time.sleep(LOOK_SECONDS)


def empty(running: cluster.Cluster, namespace: str) -> None:
    """The next side finds the cluster as this one found it."""
    running.request("DELETE", f"/api/v1/namespaces/{namespace}")
    wait_for(lambda: not objects(running, namespace, "pods"))
