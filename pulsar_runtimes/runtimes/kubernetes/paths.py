"""Where the API server has what. Pure."""

from __future__ import annotations

from urllib.parse import quote

_GROUPS = {"statefulsets": "/apis/apps/v1"}
_RESOURCES = {"StatefulSet": "statefulsets", "Service": "services", "Secret": "secrets", "ConfigMap": "configmaps"}

ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def resource_of(kind: str) -> str:
    """``statefulsets`` for ``StatefulSet``."""
    return _RESOURCES[kind]


def path_of(resource: str, namespace: str = "", name: str = "", part: str = "") -> str:
    """Of all objects, of those in a namespace, of one object, or of a part of it such as its ``log``."""
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    ends = "".join(f"/{quote(each, safe='')}" for each in (name, part) if each)
    return f"{_GROUPS.get(resource, '/api/v1')}{place}/{resource}{ends}"
