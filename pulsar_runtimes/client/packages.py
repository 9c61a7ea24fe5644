"""``/admin/v3/functions/packages`` of a worker of pfrun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import MissingError, WorkerError

if TYPE_CHECKING:  # who shows help needs no HTTP client
    from .connection import Connection

_PATH = "/admin/v3/functions/packages"
_NO_SUCH = (404, 405)


class PackagesClient:
    """The packages that a worker keeps. Every method raises ``WorkerError`` when the worker does not do it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def packages(self) -> Any:
        """A list of ``KeptPackage``."""
        return self._ask("GET", _PATH)

    def remove_unused(self, *, older_than_seconds: int, dry_run: bool) -> Any:
        """Have those removed that nothing needs; ``PackageRemoval``."""
        return self._ask("POST", f"{_PATH}/gc", olderThanSeconds=older_than_seconds, dryRun=str(dry_run).lower())

    def _ask(self, method: str, path: str, **query: Any) -> Any:
        try:
            return self._connection.ask_json(path, method=method, query={key: str(query[key]) for key in query})
        except WorkerError as error:
            if error.status not in _NO_SUCH or error.is_reasoned:
                raise
            raise MissingError(f"{error}; only workers of pfrun tell of their packages", error.status) from None
