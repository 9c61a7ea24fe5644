"""What a worker must be allowed to do on Kubernetes for its configuration, and no more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from .config import InstanceLauncher
from .function_auth import SecretTokens
from .settings import KubernetesSettings

ROLE = "pfrun-worker"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource of an API group, blank for the core group. ``resource`` may be ``pods/log``."""

    group: str
    resource: str
    verb: str
    purpose: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")

    def review(self, namespace: str) -> dict[str, Any]:
        """The question to the API server whether who asks has this right in ``namespace``."""
        resource, _, part = self.resource.partition("/")
        asked = {"namespace": namespace, "group": self.group, "resource": resource, "verb": self.verb}
        if part:
            asked["subresource"] = part
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }


def rights_of(settings: KubernetesSettings) -> tuple[Right, ...]:
    """Every right that functions need with these settings, in each of their namespaces."""
    rights = [
        *_rights("apps", "statefulsets", "to see how functions are", "list", "watch"),
        *_rights("apps", "statefulsets", "to start, change and stop functions", "get", "create", "update", "delete"),
        *_rights("", "services", "to start, change and stop functions", "get", "create", "update", "delete"),
        *_rights("", "services", "for pfrun k8s gc", "list"),
        *_rights("", "pods", "to see how functions are", "list", "watch"),
        *_rights("", "pods/log", "to show what functions log", "get"),
    ]
    if makes_secrets(settings):
        rights += _rights("", "secrets", "for credentials of functions", "get", "create", "update", "delete")
        rights += _rights("", "secrets", "for pfrun k8s gc", "list")
    if settings.config.instance_launcher is InstanceLauncher.PFRUN:
        rights += _rights("", "configmaps", "for details of functions", "get", "create", "update", "delete")
        rights += _rights("", "configmaps", "for pfrun k8s gc", "list")
    return tuple(rights)


def config_map_right(settings: KubernetesSettings) -> tuple[Right, str] | None:
    """The right to read what ``changeConfigMap`` names, and its namespace; ``None`` when it names nothing."""
    config = settings.config
    if not (config.change_config_map and config.change_config_map_namespace):
        return None
    return Right("", "configmaps", "get", "for changeConfigMap"), config.change_config_map_namespace


def needed_rights(settings: KubernetesSettings) -> tuple[Right, ...]:
    """Those of :func:`rights_of` without which no function is started. Logs, and looking for strays, can do without."""
    return tuple(
        right
        for right in rights_of(settings)
        if right.resource != "pods/log" and (right.verb != "list" or right.resource in ("statefulsets", "pods"))
    )


def makes_secrets(settings: KubernetesSettings) -> bool:
    """Whether a function may get a Secret: for a user's token, for secrets in clear text, for a repository's password.

    References to Secrets are none: pods, not the worker, read what they point at.
    """
    if isinstance(settings.auth_provider, SecretTokens):
        return True
    config = settings.config
    repositories = (config.python_dependency_repository, config.python_extra_dependency_repository)
    in_clear_text = not settings.secret_references or any("@" in repository for repository in repositories)
    return in_clear_text and not settings.strict


def _rights(group: str, resource: str, purpose: str, *verbs: str) -> list[Right]:
    return [Right(group, resource, verb, purpose) for verb in verbs]


def build_roles(
    rights: Iterable[Right], namespaces: Sequence[str], subject: str, subject_namespace: str
) -> list[dict[str, Any]]:
    """A Role and its binding in each of ``namespaces``, for a service account; a ClusterRole without any."""
    roles: list[dict[str, Any]] = []
    kind = "Role" if namespaces else "ClusterRole"
    for namespace in namespaces or ("",):
        metadata = {"name": ROLE, "namespace": namespace} if namespace else {"name": ROLE}
        roles.append({**_head(kind), "metadata": metadata, "rules": _rules(rights)})
        roles.append(
            {
                **_head(f"{kind}Binding"),
                "metadata": dict(metadata),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": ROLE},
                "subjects": [{"kind": "ServiceAccount", "name": subject, "namespace": subject_namespace}],
            }
        )
    return roles


def _head(kind: str) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind}


def _rules(rights: Iterable[Right]) -> list[dict[str, Any]]:
    """One rule for each resource, in the order of their names."""
    by_resource = sorted(rights, key=lambda right: (right.group, right.resource))
    return [
        {
            "apiGroups": [group],
            "resources": [resource],
            "verbs": sorted({right.verb for right in members}),
        }
        for (group, resource), members in groupby(by_resource, key=lambda right: (right.group, right.resource))
    ]
