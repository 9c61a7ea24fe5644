"""What tests of workers on Kubernetes share: functions, and looks at the cluster that do not go through pfrun."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.status import State
from pulsar_runtimes.runtimes.kubernetes.api import KubernetesApi
from pulsar_runtimes.runtimes.kubernetes.paths import path_of
from pulsar_runtimes.testing import function_spec
from pulsar_runtimes.worker.worker import Worker
from tests.kubernetes.cluster import Cluster
from tests.waiting import until
from tests.workers import SAMPLES

NOWHERE = "127.0.0.1:1"

OWN_LAUNCHER = {"instanceLauncher": "pfrun", "pulsarDockerImageName": "pfrun:1"}

Begin = Callable[..., Worker]


def named(name: str, parallelism: int = 1, **changes: Any) -> FunctionSpec:
    return function_spec(
        name=name, parallelism=parallelism, package=str(SAMPLES), class_name="samples.Exclaim", **changes
    )


def worker_keys(namespace: str, **runtime: Any) -> dict[str, Any]:
    return {
        "functionRuntimeFactoryClassName": KUBERNETES_FACTORY,
        "functionRuntimeFactoryConfigs": {"jobNamespace": namespace, **runtime},
        "pulsarServiceUrl": f"pulsar://{NOWHERE}",
        "pulsarWebServiceUrl": f"http://{NOWHERE}",
    }


@contextmanager
def counted_calls() -> Iterator[list[str]]:
    """Every request of every worker meanwhile, as ``GET /path``."""
    made: list[str] = []
    send = KubernetesApi._send

    def note(self: KubernetesApi, method: str, path: str, *rest: Any) -> Any:
        made.append(f"{method} {path}")
        return send(self, method, path, *rest)

    with mock.patch.object(KubernetesApi, "_send", note):
        yield made


def states(worker: Worker) -> set[State]:
    return {instance.state for status in worker.statuses() for instance in status.instances}


def until_running(worker: Worker, seconds: float = 120) -> float:
    """How long it took."""
    began = time.monotonic()
    until(lambda: worker.statuses() and states(worker), lambda seen: seen == {State.RUNNING}, seconds=seconds)
    return time.monotonic() - began


def names(kubernetes: Cluster, resource: str, namespace: str) -> list[str]:
    items = kubernetes.request("GET", path_of(resource, namespace))["items"]
    return sorted(item["metadata"]["name"] for item in items)


def pod_uids(kubernetes: Cluster, namespace: str) -> dict[str, str]:
    items = kubernetes.request("GET", path_of("pods", namespace))["items"]
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}
