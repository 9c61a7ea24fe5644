"""The headless Service that gives each pod of a function a name.

Source: ``KubernetesRuntime#createService`` of Apache Pulsar 4.0.8. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def build_service(name: str, namespace: str, labels: Mapping[str, str], grpc_port: int) -> dict[str, Any]:
    """The manifest, before any customizer. Metrics are scraped from the pods, not through it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "clusterIP": "None",
            "ports": [{"name": "grpc", "port": grpc_port, "protocol": "TCP"}],
            "selector": dict(labels),
        },
    }
