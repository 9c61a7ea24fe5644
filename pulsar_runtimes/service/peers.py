"""The other workers of a cluster, reached over their admin API."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from pulsar_runtimes.metadata.admin_client import AdminClient, AdminError
from pulsar_runtimes.metadata.election import Member
from pulsar_runtimes.metadata.messages import encode_registration
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import ClientAuth
from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.model.registration import Registration

from .component import Component
from .errors import NotFoundError, NotReadyError, RefusedError

_API = "/admin/v3"
_SECONDS = 5.0
_UNAVAILABLE = 503


class HttpPeers:
    """Speaks to workers with the credentials in ``auth``; ``scheme`` is that of their API. Any thread may use it."""

    def __init__(self, auth: ClientAuth, *, scheme: str = "http") -> None:
        self._auth = auth
        self._scheme = scheme
        self._lock = threading.Lock()
        self._clients: dict[Member, AdminClient] = {}

    def send_change(self, leader: Member, registration: Registration, *, delete: bool) -> None:
        """Have the leader write a change. ``RefusedError`` or ``NotReadyError`` as it answers."""
        files = {
            "functionMetaData": ("functionMetaData", encode_registration(registration)),
            "delete": (None, "true" if delete else "false"),
        }
        with _telling(leader):
            self._client(leader).put_form(f"{_API}/functions/leader/{registration.key}", files)

    def instance(self, owner: Member, component: Component, key: InstanceKey, what: str) -> dict[str, Any]:
        """The ``status`` or ``stats`` of an instance, as its worker tells them."""
        with _telling(owner):
            found: dict[str, Any] = self._client(owner).get(f"{_path(component, key)}/{what}")
        return found

    def restart(self, owner: Member, component: Component, key: InstanceKey) -> None:
        """Have an instance restarted by its worker."""
        with _telling(owner):
            self._client(owner).post(f"{_path(component, key)}/restart")

    def overview(self, member: Member) -> dict[str, Any]:
        """What a worker itself runs, as ``/admin/v3/overview`` has it."""
        with _telling(member):
            found = self._client(member).get(f"{_API}/overview?here=true")
        if not isinstance(found, dict):
            raise NotReadyError(f"worker {member.worker_id} has no overview")
        return found

    def files_in_use(self, worker: Member) -> list[str]:
        """The files that a worker's instances were made from; those of Apache Pulsar's worker are its own."""
        try:
            with _telling(worker):
                found = self._client(worker).get(f"{_API}/functions/packages/in-use")
        except NotFoundError:
            return []
        return [str(each) for each in found] if isinstance(found, list) else []

    def _client(self, member: Member) -> AdminClient:
        with self._lock:
            if member not in self._clients:
                host = f"[{member.host}]" if ":" in member.host else member.host
                url = f"{self._scheme}://{host}:{member.port}"
                self._clients[member] = AdminClient(url, self._auth, seconds=_SECONDS)
            return self._clients[member]

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def _path(component: Component, key: InstanceKey) -> str:
    return f"{_API}/{component.path}/{key.function}/{key.instance_id}"


@contextlib.contextmanager
def _telling(member: Member) -> Iterator[None]:
    """What another worker says is said by this one, too."""
    try:
        yield
    except AdminError as error:
        if error.status == _UNAVAILABLE:
            raise NotReadyError(error.reason) from None
        kind = NotFoundError if error.status == 404 else RefusedError
        raise kind(error.reason or str(error)) from None
    except MetadataError as error:
        raise NotReadyError(f"worker {member.worker_id} does not answer: {error}") from None
