"""What a pod has with ``instanceLauncher: pfrun`` beside that of the reference. Pure.

It fits the level ``restricted`` of Kubernetes' Pod Security Standards: no root, no privileges, and a file system that
nobody can write to but for ``/tmp``.
"""

from __future__ import annotations

from typing import Any

from pulsar_runtimes.pod.details import DIRECTORY

from .config import KubernetesConfig

_DETAILS_VOLUME = "function-details"
_TEMPORARY_VOLUME = "tmp"
_TEMPORARY_DIRECTORY = "/tmp"
_READY = {"tcpSocket": {"port": "grpc"}, "periodSeconds": 3, "timeoutSeconds": 5, "failureThreshold": 3}
"""A Python instance listens there from the moment when it consumes."""


def restrict(pod: dict[str, Any], details: str, config: KubernetesConfig) -> dict[str, Any]:
    """The pod spec ``pod`` with what an instance needs that nobody trusts. ``details`` is the name of its ConfigMap.

    Other than in the reference it has a grace in which it can end what it has begun, and it counts as ready when its
    control port is open, so that an update goes on to the next pod only then.
    """
    mounts: list[dict[str, Any]] = [
        {"name": _DETAILS_VOLUME, "mountPath": DIRECTORY, "readOnly": True},
        {"name": _TEMPORARY_VOLUME, "mountPath": _TEMPORARY_DIRECTORY},
    ]
    volumes = [
        {"name": _DETAILS_VOLUME, "configMap": {"name": details}},
        {"name": _TEMPORARY_VOLUME, "emptyDir": {}},
    ]
    return {
        **pod,
        "containers": [_restricted(container, mounts) for container in pod["containers"]],
        "volumes": [*(pod.get("volumes") or ()), *volumes],
        "terminationGracePeriodSeconds": config.grace_period_seconds,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }


def _restricted(container: dict[str, Any], mounts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **container,
        # There is no home of a user without a name, and no other place that can be written.
        "env": [*container["env"], {"name": "HOME", "value": _TEMPORARY_DIRECTORY}],
        "workingDir": _TEMPORARY_DIRECTORY,
        "volumeMounts": [*(container.get("volumeMounts") or ()), *mounts],
        "readinessProbe": _READY,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
