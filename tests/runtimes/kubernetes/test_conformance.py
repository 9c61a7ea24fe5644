"""The Kubernetes runtime keeps the contract, on a real control plane."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY
from pulsar_runtimes.model.function import InstanceSpec, Resources
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.testing import RuntimeFactoryConformance, function_spec, instance_spec
from tests.kubernetes.cluster import Cluster

pytestmark = pytest.mark.kubernetes

WORKER = {
    "functionRuntimeFactoryClassName": KUBERNETES_FACTORY,
    "pulsarServiceUrl": "pulsar://broker:6650",
    "pulsarWebServiceUrl": "http://broker:8080",
}


class TestKubernetesConformance(RuntimeFactoryConformance):
    @pytest.fixture
    def config(self, job_namespace: str) -> Mapping[str, Any]:
        return {"jobNamespace": job_namespace}

    @pytest.fixture
    def context(self, tmp_path: Path, kubernetes: Cluster, config: Mapping[str, Any]) -> FactoryContext:
        worker = parse_worker_config(Section({**WORKER, "functionRuntimeFactoryConfigs": dict(config)}), {})
        environment = {**os.environ, "KUBECONFIG": str(kubernetes.kubeconfig)}
        return FactoryContext(tmp_path / "state", 8 << 30, environment, worker=worker)

    @pytest.fixture
    def factory(self, context: FactoryContext, config: Mapping[str, Any]) -> Iterator[KubernetesRuntimeFactory]:
        factory = KubernetesRuntimeFactory.from_config(Section(config), context)
        factory.open()
        yield factory
        factory.close()

    @pytest.fixture
    def spec(self) -> InstanceSpec:
        function = function_spec(parallelism=2, secrets_map={"PASSWORD": "s3cret"})
        return instance_spec(instance_id=-1, function=function)

    @pytest.fixture
    def crashing_spec(self, spec: InstanceSpec) -> InstanceSpec:
        """What no node has room for is the failure that played nodes can have."""
        return replace(spec, function=replace(spec.function, resources=Resources(cpu=100_000, ram=1 << 30)))

    @pytest.fixture
    def refused_spec(self, spec: InstanceSpec) -> InstanceSpec:
        return replace(spec, function=replace(spec.function, name="f" * 60))
