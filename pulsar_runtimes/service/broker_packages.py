"""Packages that the brokers keep, by the admin REST API of Apache Pulsar: ``/admin/v3/packages``."""

from __future__ import annotations

import re
from typing import BinaryIO

from pulsar_runtimes.metadata.admin_client import AdminClient, AdminError
from pulsar_runtimes.model.errors import MetadataError, PfrunError
from pulsar_runtimes.model.names import path_problem

from .errors import NotFoundError, RefusedError

_NAME = re.compile(r"(function|sink|source)://([^/@]+)/([^/@]+)/([^/@]+)(?:@([^/@]+))?")


class BrokerPackages:
    """Packages by their names, ``function://tenant/namespace/name@version``; without a version the latest is meant."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    def download(self, name: str, target: BinaryIO, max_bytes: int) -> None:
        """Write the package to ``target``. ``NotFoundError``, or ``RefusedError`` for one that is too large."""
        try:
            self._client.download(package_path(name), target, max_bytes)
        except AdminError as error:
            if error.status == 404:
                raise NotFoundError(f"{name}: there is no such package") from None
            raise RefusedError(f"{name}: {error}") from None
        except MetadataError as error:
            raise PfrunError(f"{name}: {error}") from None

    def upload(self, name: str, content: BinaryIO, file_name: str) -> None:
        """Keep ``content`` under ``name``. ``RefusedError`` when there is one of that name and version."""
        parts = {"metadata": '{"description":"","contact":""}'}
        try:
            self._client.upload(package_path(name), content, file_name, parts)
        except AdminError as error:
            raise RefusedError(f"{name}: {error}") from None
        except MetadataError as error:
            raise PfrunError(f"{name}: {error}") from None


def package_path(name: str) -> str:
    """Where the REST API has a package. ``RefusedError`` when ``name`` is no package's name."""
    found = _NAME.fullmatch(name)
    if found is None or any(path_problem(part) for part in found.groups("latest")[1:]):
        raise RefusedError(f"{name}: must be function://tenant/namespace/name@version, or with sink or source")
    return "/admin/v3/packages/" + "/".join(found.groups("latest"))
