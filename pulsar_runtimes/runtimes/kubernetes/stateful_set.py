"""The StatefulSet of a function: one pod for each of its instances.

Source: ``KubernetesRuntime#createStatefulSet`` of Apache Pulsar 4.0.8. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulsar_runtimes.model.function import InstanceSpec

from .config import MAX_PORT, KubernetesConfig
from .function_secrets import POD_NAME
from .pod_command import OPTIONS_DIRECTORY
from .pod_resources import build_pod_resources

CONTAINER = "pulsarfunction"

_OPTIONS_VOLUME = "function-options"
_NODE_IS_GONE = (
    "node.kubernetes.io/not-ready",
    "node.alpha.kubernetes.io/notReady",
    "node.alpha.kubernetes.io/unreachable",
)
_SECONDS_ON_A_NODE_THAT_IS_GONE = 10


def build_stateful_set(
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    spec: InstanceSpec,
    config: KubernetesConfig,
    *,
    command: list[str],
    variables: list[dict[str, Any]],
    options_secret: str = "",
) -> dict[str, Any]:
    """The manifest, before any customizer. ``variables`` come after the one that ``command`` needs.

    ``options_secret`` is the name of the Secret with the options that ``command`` reads, blank when it reads none.
    """
    container = _container(spec, config, command, variables)
    volumes = {}
    if options_secret:
        volumes["volumes"] = [{"name": _OPTIONS_VOLUME, "secret": {"secretName": options_secret}}]
        container["volumeMounts"] = [{"name": _OPTIONS_VOLUME, "mountPath": OPTIONS_DIRECTORY, "readOnly": True}]
    template: dict[str, Any] = {
        "metadata": {"labels": dict(labels), "annotations": _scraped_at(spec.metrics_port)},
        "spec": {
            "containers": [container],
            "terminationGracePeriodSeconds": 0,
            "tolerations": [_toleration(key) for key in _NODE_IS_GONE],
            **volumes,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "serviceName": name,
            "replicas": spec.function.parallelism,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": dict(labels)},
            "template": template,
        },
    }


def _scraped_at(port: int) -> dict[str, str]:
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)} if 0 < port <= MAX_PORT else {}


def _toleration(key: str) -> dict[str, Any]:
    return {
        "key": key,
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": _SECONDS_ON_A_NODE_THAT_IS_GONE,
    }


def _container(
    spec: InstanceSpec, config: KubernetesConfig, command: list[str], variables: list[dict[str, Any]]
) -> dict[str, Any]:
    images = config.function_docker_images
    image = config.pulsar_docker_image_name if images is None else images.get(spec.function.language)
    metrics_port = {"containerPort": spec.metrics_port} if 0 < spec.metrics_port <= MAX_PORT else {}
    return {
        "name": CONTAINER,
        **({} if image is None else {"image": image}),
        "imagePullPolicy": config.image_pull_policy,
        "command": command,
        "env": [{"name": POD_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, *variables],
        "ports": [{"name": "grpc", "containerPort": spec.port}, {"name": "prometheus", **metrics_port}],
        "resources": build_pod_resources(spec.function.resources, config),
        # The last lines of a container that has failed are in the pod's status then, where no log has to be asked for.
        **({} if config.strict_reference else {"terminationMessagePolicy": "FallbackToLogsOnError"}),
    }
