"""``/admin/v3/functions/packages``: which packages are kept, and what nothing needs. pfrun's own."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from pulsar_runtimes.service.errors import RefusedError
from pulsar_runtimes.service.package_inventory import KeptPackage, PackageInventory
from pulsar_runtimes.service.packages import YOUNG_SECONDS

from .answers import answering
from .operations import Operation
from .routes import GuardedRoute

_LONGEST_SECONDS = 10 * 366 * 24 * 3600
_FLAGS = {"": False, "true": True, "false": False}


class PackageRoutes:
    """The routes over an ``inventory``."""

    def __init__(self, inventory: PackageInventory) -> None:
        self._inventory = inventory

    def routes(self) -> list[BaseRoute]:
        """Below ``/admin/v3/functions``, before the routes of functions."""
        return [
            GuardedRoute("/packages", answering(self._list), "GET", Operation.LIST_PACKAGES),
            GuardedRoute("/packages/in-use", answering(self._in_use), "GET", Operation.LIST_PACKAGES),
            GuardedRoute("/packages/gc", answering(self._remove), "POST", Operation.REMOVE_PACKAGES),
        ]

    def _list(self, request: Request) -> list[dict[str, Any]]:
        return [_form(package) for package in self._inventory.packages(_seconds(request))]

    def _in_use(self, request: Request) -> list[str]:
        return self._inventory.files_in_use()

    def _remove(self, request: Request) -> dict[str, Any]:
        dry_run = _flag(request, "dryRun")
        removal = self._inventory.remove_unused(older_than_seconds=_seconds(request), dry_run=dry_run)
        removed = [_form(package) for package in removal.packages]
        problems = list(removal.problems)
        return {"dryRun": dry_run, "removed": removed, "tooNew": removal.too_new, "problems": problems}


def _form(package: KeptPackage) -> dict[str, Any]:
    return {
        "place": package.place.value,
        "name": package.name,
        "sha256": package.digest,
        "fileName": package.file_name,
        "sizeBytes": package.size_bytes,
        "keptSinceMs": package.kept_since_ms,
        "functions": [str(key) for key in package.functions],
        "use": package.use.value,
    }


def _seconds(request: Request) -> float:
    text = request.query_params.get("olderThanSeconds", "")
    if not text:
        return YOUNG_SECONDS
    if not (text.isascii() and text.isdecimal()) or len(text) > 12 or int(text) > _LONGEST_SECONDS:
        raise RefusedError(f"olderThanSeconds: must be a number of seconds (got {text[:40]!r})")
    return float(text)


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "")
    if text.lower() not in _FLAGS:
        raise RefusedError(f"{name}: must be true or false (got {text[:40]!r})")
    return _FLAGS[text.lower()]
