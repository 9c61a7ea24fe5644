"""The Kubernetes of the tests is one, and takes what pfrun renders for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulsar_runtimes.brokers.process_identity import ProcessIdentity
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import (
    KUBERNETES_SECRETS_CONFIGURATOR,
    SERVICE_ACCOUNT_AUTH_PROVIDER,
    load_worker_config,
    parse_worker_config,
)
from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY
from pulsar_runtimes.model.function import ClientAuth, Language
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.runtimes.kubernetes.paths import path_of, resource_of
from pulsar_runtimes.testing import function_spec, instance_spec
from tests.kubernetes.cluster import Cluster, ClusterError, read
from tests.kubernetes.programs import VERSION
from tests.waiting import until

pytestmark = pytest.mark.kubernetes

ROOT = Path(__file__).parents[2]
BASIC = "org.apache.pulsar.functions.runtime.kubernetes.BasicKubernetesManifestCustomizer"
WORKER = {
    "functionRuntimeFactoryClassName": KUBERNETES_FACTORY,
    "pulsarServiceUrl": "pulsar://broker:6650",
    "pulsarWebServiceUrl": "http://broker:8080",
}
CUSTOMIZED = {
    "runtimeCustomizerClassName": BASIC,
    "runtimeCustomizerConfig": {
        "extraLabels": {"tier": "gold"},
        "extraAnnotations": {"example.com/owner": "me"},
        "nodeSelectorLabels": {"disk": "ssd"},
        "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 60, "effect": "NoExecute"}],
        "resourceRequirements": {"requests": {"cpu": "100m"}, "limits": {"memory": "2Gi"}},
    },
}
OWN_LAUNCHER = {
    "instanceLauncher": "pfrun",
    "functionDockerImages": {language.name: "pfrun:1" for language in Language},
}
STRICT = {"dryRun": "All", "fieldValidation": "Strict"}


def factory_of(keys: Mapping[str, Any], tmp_path: Path) -> KubernetesRuntimeFactory:
    config = parse_worker_config(Section(dict(keys)), {})
    context = FactoryContext(tmp_path, 1 << 30, {}, worker=config)
    return KubernetesRuntimeFactory.from_config(config.runtime_section, context)


def accepts(kubernetes: Cluster, manifest: dict[str, Any]) -> None:
    path = path_of(resource_of(manifest["kind"]), manifest["metadata"]["namespace"])
    kubernetes.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", manifest)


def test_it_says_its_version(kubernetes: Cluster) -> None:
    assert kubernetes.request("GET", "/version")["gitVersion"] == f"v{VERSION}"


def test_a_misspelled_field_is_refused(kubernetes: Cluster) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"}}
    with pytest.raises(ClusterError, match=r'unknown field \\"spec.clusterIp\\"'):
        accepts(kubernetes, {**service, "spec": {"clusterIp": "None"}})


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({}, id="plain"),
        pytest.param({"secretsProviderConfiguratorClassName": KUBERNETES_SECRETS_CONFIGURATOR}, id="secrets"),
        pytest.param({"authenticationEnabled": True}, id="token"),
        pytest.param(
            {
                "authenticationEnabled": True,
                "functionAuthProviderClassName": SERVICE_ACCOUNT_AUTH_PROVIDER,
                "functionRuntimeFactoryConfigs": {
                    "kubernetesFunctionAuthProviderConfig": {
                        "serviceAccountTokenExpirationSeconds": "600",
                        "serviceAccountTokenAudience": "pulsar",
                        "brokerClientTrustCertsSecretName": "certs",
                    }
                },
            },
            id="service-account",
        ),
        pytest.param(CUSTOMIZED, id="customizer"),
        pytest.param({"functionRuntimeFactoryConfigs": OWN_LAUNCHER}, id="own-launcher"),
    ],
)
@pytest.mark.parametrize("language", list(Language))
def test_what_is_rendered_is_accepted(
    kubernetes: Cluster, tmp_path: Path, keys: dict[str, Any], language: Language
) -> None:
    factory = factory_of({**WORKER, **keys}, tmp_path)
    references = factory.settings.secret_references
    function = function_spec(
        language=language,
        parallelism=3,
        secrets_map={"PASSWORD": {"path": "database", "key": "password"} if references else "s3cret"},
    )
    credentials = ClientAuth("P", "token:x") if keys.get("authenticationEnabled") else None
    spec = instance_spec(instance_id=-1, function=function, auth=credentials)
    kept = factory.plan_token(spec, "t0ken", "x7k2q")
    manifests = [each for each in yaml.safe_load_all(factory.render(spec)) if each]
    assert {each["kind"] for each in manifests} >= {"Service", "StatefulSet"}
    for manifest in [*manifests, *([kept.secret] if kept.secret else [])]:
        accepts(kubernetes, manifest)


@pytest.mark.parametrize("name", ["kubernetes", "kubernetes-pfrun"])
def test_the_example_configuration_makes_what_is_accepted(kubernetes: Cluster, tmp_path: Path, name: str) -> None:
    config = load_worker_config(str(ROOT / f"conf/functions_worker.{name}.yml"))
    context = FactoryContext(tmp_path, 1 << 30, {}, worker=config)
    factory = KubernetesRuntimeFactory.from_config(config.runtime_section, context)
    for manifest in factory.manifests(instance_spec(instance_id=-1)).documents:
        accepts(kubernetes, manifest)


def test_pods_of_a_stateful_set_become_ready(kubernetes: Cluster, job_namespace: str) -> None:
    labels = {"app": "a"}
    container = {"name": "c", "image": "nothing/runs:1", "resources": {"requests": {"cpu": "1"}}}
    manifest = {
        "metadata": {"name": "s"},
        "spec": {
            "serviceName": "s",
            "replicas": 2,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    path = path_of("statefulsets", job_namespace)
    kubernetes.request("POST", path, manifest)
    until(
        lambda: kubernetes.request("GET", f"{path}/s")["status"].get("readyReplicas"),
        lambda ready: ready == 2,
        seconds=60,
    )


@pytest.mark.slow
def test_the_api_server_may_be_killed_and_started_again(kubernetes: Cluster, job_namespace: str) -> None:
    path = path_of("secrets", job_namespace)
    kubernetes.request("POST", path, {"metadata": {"name": "kept"}})
    kubernetes.kill("apiserver")
    with pytest.raises(ClusterError):
        kubernetes.request("GET", "/readyz")
    kubernetes.launch("apiserver", dies_with_caller=True)
    kubernetes.wait_until_ready()
    assert kubernetes.request("GET", f"{path}/kept")["metadata"]["name"] == "kept"


@pytest.mark.slow
def test_the_script_leaves_nothing(kubernetes: Cluster, tmp_path: Path) -> None:
    """``kubernetes`` is asked for so that the programs are there."""
    directory = tmp_path / "cluster"
    began = time.monotonic()
    ran = _script("start", str(directory), "--nodes", "1")
    assert ran.returncode == 0, ran.stderr
    print(f"started in {time.monotonic() - began:.1f} s")
    running = read(directory, kubernetes.programs)
    assert running is not None
    identities = list(running.identities.values())
    assert all(isinstance(each, ProcessIdentity) and each.is_alive() for each in identities)
    assert len(identities) == 5
    again = _script("start", str(directory))
    assert again.returncode == 1
    assert "there is a cluster already" in again.stderr
    assert _script("stop", str(directory)).returncode == 0
    assert not any(each.is_alive() for each in identities)
    assert {path.suffix for path in directory.iterdir()} == {".log"}
    assert _script("stop", str(directory)).returncode == 0


def _script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "tests.kubernetes", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
