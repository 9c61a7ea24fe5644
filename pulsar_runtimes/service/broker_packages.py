"""Packages that the brokers keep, by the admin REST API of Apache Pulsar: ``/admin/v3/packages``."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

from pulsar_runtimes.metadata.admin_client import AdminClient, AdminError
from pulsar_runtimes.model.errors import ConfigError, MetadataError, PfrunError, Problem
from pulsar_runtimes.model.names import path_problem

from .errors import NotFoundError, RefusedError

_NAME = re.compile(r"(function|sink|source)://([^/@]+)/([^/@]+)/([^/@]+)(?:@([^/@]+))?")
_API = "/admin/v3/packages"

_LOST_RACE = "Failed to create parent dirs"
"""What brokers that keep packages in a file system say when two requests for a new directory meet: even a look makes
one. Nothing was done then."""

_MOST_TRIES = 5

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PackageNote:
    """What the brokers keep beside a package; ``created_ms`` is by their clock."""

    created_ms: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)


class BrokerPackages:
    """Packages by their names, ``function://tenant/namespace/name@version``; without a version the latest is meant.

    ``NotFoundError`` for one that is not there, ``RefusedError`` for what the brokers refuse, ``PfrunError`` when none
    of them answers.
    """

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    def check(self) -> None:
        """``ConfigError`` when the brokers keep no packages. Another refusal is logged, and may pass."""
        try:
            _again(lambda: self._client.get(f"{_API}/function/public/default"))
        except AdminError as error:
            if error.status != 503:
                _log.warning("whether the brokers keep packages cannot be told: %s", error)
                return
            text = f"needs brokers that keep packages, with enablePackagesManagement=true; they say: {error.reason}"
            raise ConfigError(Problem("functionsWorkerEnablePackageManagement", text)) from None

    def download(self, name: str, target: BinaryIO, max_bytes: int) -> None:
        """Write the package to ``target``. ``RefusedError`` as well for one that is too large."""
        with _telling(name):
            _again(lambda: self._client.download(package_path(name), target, max_bytes))

    def upload(self, name: str, content: BinaryIO, file_name: str, properties: Mapping[str, str] | None = None) -> None:
        """Keep ``content`` under ``name``. ``RefusedError`` when there is one of that name and version."""
        note: dict[str, Any] = {"description": "", "contact": ""}
        if properties:
            note["properties"] = dict(properties)
        path, parts = package_path(name), {"metadata": json.dumps(note)}

        def upload() -> None:
            content.seek(0)
            self._client.upload(path, content, file_name, parts)

        with _telling(name):
            _again(upload)

    def note(self, name: str) -> PackageNote:
        """What is kept beside a package."""
        with _telling(name):
            found = _again(lambda: self._client.get(f"{package_path(name)}/metadata"))
        found = found if isinstance(found, dict) else {}
        properties = found.get("properties") or {}
        created = found.get("createTime")
        return PackageNote(
            created if isinstance(created, int) else 0,
            {str(key): str(value) for key, value in properties.items()} if isinstance(properties, dict) else {},
        )

    def delete(self, name: str) -> None:
        """Delete one version of a package."""
        with _telling(name):
            _again(lambda: self._client.delete(package_path(name)))

    def names(self, kind: str, tenant: str, namespace: str) -> list[str]:
        """The names of a namespace's packages; ``kind`` is ``function``, ``sink`` or ``source``."""
        return self._list(kind, tenant, namespace)

    def versions(self, kind: str, tenant: str, namespace: str, name: str) -> list[str]:
        """The versions of one name; some of them may be gone."""
        return self._list(kind, tenant, namespace, name)

    def _list(self, *parts: str) -> list[str]:
        path = "/".join([_API, *(quote(part, safe="") for part in parts)])
        try:
            with _telling("/".join(parts)):
                found = _again(lambda: self._client.get(path))
        except NotFoundError:  # so says one storage, where another gives an empty list
            return []
        return [str(each) for each in found] if isinstance(found, list) else []

    def namespaces(self) -> list[tuple[str, str]]:
        """Tenant and name of every namespace."""
        with _telling("the namespaces"):
            tenants = self._client.get("/admin/v2/tenants") or []
            found = [each for tenant in tenants for each in self._client.get(f"/admin/v2/namespaces/{tenant}") or []]
        pairs = (str(each).split("/") for each in found)
        return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]


def _again(ask: Callable[[], T]) -> T:
    """What ``ask`` gives, asked again when it only met another request."""
    for _ in range(_MOST_TRIES - 1):
        try:
            return ask()
        except AdminError as error:
            if _LOST_RACE not in error.reason:
                raise
    return ask()


@contextlib.contextmanager
def _telling(what: str) -> Iterator[None]:
    try:
        yield
    except AdminError as error:
        if error.status == 404:
            raise NotFoundError(f"{what}: there is no such package") from None
        raise RefusedError(f"{what}: {error}") from None
    except MetadataError as error:
        raise PfrunError(f"{what}: {error}") from None


def package_path(name: str) -> str:
    """Where the REST API has a package. ``RefusedError`` when ``name`` is no package's name."""
    found = _NAME.fullmatch(name)
    if found is None or any(path_problem(part) for part in found.groups("latest")[1:]):
        raise RefusedError(f"{name}: must be function://tenant/namespace/name@version, or with sink or source")
    return "/".join([_API, *(quote(part, safe="") for part in found.groups("latest"))])
