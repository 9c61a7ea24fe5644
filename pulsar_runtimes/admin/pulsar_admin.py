"""Pulsar's own admin REST, asked for who administers a tenant and who may do what on a namespace.

The one door to the HTTP client library.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pulsar_runtimes.model.function import ClientAuth

from .client_credentials import ClientCredentials
from .errors import PolicyLookupError

CACHE_SECONDS = 3.0
_MOST_KEPT = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    answer: Any
    until: float


class PulsarAdmin:
    """Asks with the worker's own credentials, and keeps an answer for a few seconds.

    To be used from one event loop. ``PolicyLookupError`` when no answer comes within the deadline, or none that says
    yes or no; a failure is never kept. The text of it is for callers: it names no address.
    """

    def __init__(
        self,
        url: str,
        auth: ClientAuth,
        *,
        deadline_seconds: float,
        cache_seconds: float = CACHE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``url`` as ``pulsarWebServiceUrl`` has it. ``ConfigError`` for credentials that cannot be used."""
        scheme, _, hosts = url.rstrip("/").rpartition("://")
        self._urls = [f"{scheme or 'http'}://{host.strip()}" for host in hosts.split(",")]
        self._credentials = ClientCredentials(auth, tls=scheme == "https")
        self._deadline_seconds = deadline_seconds
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._asked: dict[str, asyncio.Future[Any]] = {}

    async def tenant_admins(self, tenant: str) -> Collection[str] | None:
        """The roles that administer a tenant; ``None`` when there is no such tenant."""
        info = await self._ask(f"/admin/v2/tenants/{quote(tenant, safe='')}")
        return None if info is None else frozenset(info.get("adminRoles") or ())

    async def permissions(self, tenant: str, namespace: str) -> Mapping[str, Collection[str]] | None:
        """Each role's permissions on a namespace; ``None`` when there is no such namespace."""
        place = f"{quote(tenant, safe='')}/{quote(namespace, safe='')}"
        found: Mapping[str, Collection[str]] | None = await self._ask(f"/admin/v2/namespaces/{place}/permissions")
        return found

    async def _ask(self, path: str) -> Any:
        """The JSON object at ``path``, ``None`` for 404. Many callers at once ask Pulsar once."""
        known = self._known.get(path)
        if known is not None and self._clock() < known.until:
            return known.answer
        asked = self._asked.get(path)
        if asked is None:
            asked = self._asked[path] = asyncio.ensure_future(self._look_up(path))
            asked.add_done_callback(lambda _: self._asked.pop(path, None))
        return await asyncio.shield(asked)

    async def _look_up(self, path: str) -> Any:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                answer = await self._get(path)
        except TimeoutError:
            message = f"Pulsar did not say within {self._deadline_seconds:g} s what the client may do"
            _log.warning("%s: %s", path, message)
            raise PolicyLookupError(message) from None
        except PolicyLookupError as error:
            _log.warning("%s: %s", path, error)
            raise
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[path] = _Known(answer, self._clock() + self._cache_seconds)
        return answer

    async def _get(self, path: str) -> Any:
        import httpx

        failure = ""
        verify, headers = self._credentials.tls_context(), self._credentials.headers()
        # Nothing of the environment: a proxy or a .netrc there is not meant for the broker.
        async with httpx.AsyncClient(verify=verify, headers=headers, trust_env=False, timeout=None) as client:
            for url in self._urls:
                try:
                    return _read(await client.get(url + path))
                except httpx.HTTPError as error:
                    failure = type(error).__name__
        raise PolicyLookupError(f"Pulsar cannot be asked what the client may do ({failure})")


def _read(response: Any) -> Any:
    status = response.status_code
    if status == 404:
        return None
    if status in (401, 403):
        raise PolicyLookupError(f"Pulsar does not tell this worker what the client may do ({status})")
    try:
        answer = response.json() if status == 200 else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise PolicyLookupError(f"Pulsar did not say what the client may do ({status})")
    return answer
