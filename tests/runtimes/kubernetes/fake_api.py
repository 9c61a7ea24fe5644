"""An API server in memory, for what a real one cannot be made to do: to fail at a chosen request, or to lose one.

It keeps objects and tells watches of them; a StatefulSet gets its pods, ready, at once.
"""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from pulsar_runtimes.runtimes.kubernetes.api import ApiError, KubernetesApi

Manifest = dict[str, Any]


class FakeApi(KubernetesApi):
    """``calls`` has each request as ``POST statefulsets``; ``failures`` what the next ones of a kind end with.

    A failure with ``lost`` comes after the request was carried out.
    """

    def __init__(self) -> None:
        super().__init__(None)
        self.objects: dict[tuple[str, str], Manifest] = {}
        self.calls: list[str] = []
        self.failures: dict[str, list[ApiError]] = {}
        self.lost = False
        self.denied: set[str] = set()
        self._lock = threading.RLock()
        self._version = 0
        self._watches: list[tuple[str, queue.Queue[Manifest | ApiError | None]]] = []

    def fail(self, call: str, *errors: ApiError) -> None:
        self.failures.setdefault(call, []).extend(errors)

    def writes(self) -> list[str]:
        return [call for call in self.calls if call.split()[0] not in ("GET", "WATCH") and "accessreviews" not in call]

    def request(
        self, method: str, path: str, body: Manifest | None = None, query: Mapping[str, str] | None = None
    ) -> Manifest:
        resource, name = _place(path)
        call = f"{method} {resource}"
        with self._lock:
            self.calls.append(call)
            failures = self.failures.get(call, [])
            if failures and not self.lost:
                raise failures.pop(0)
            answer = copy.deepcopy(self._carry_out(method, resource, name, body))
            if failures:
                raise failures.pop(0)
            return answer

    def _carry_out(self, method: str, resource: str, name: str, body: Manifest | None) -> Manifest:
        if resource == "selfsubjectaccessreviews":
            assert body is not None
            asked = body["spec"]["resourceAttributes"]
            return {"status": {"allowed": f"{asked['verb']} {asked['resource']}" not in self.denied}}
        known = self.objects.get((resource, name))
        if method == "GET" and not name:
            items = [item for (kind, _), item in self.objects.items() if kind == resource]
            return {"items": items, "metadata": {"resourceVersion": str(self._version)}}
        if method != "POST" and known is None:
            raise ApiError(f"{method} {name}: 404 not found", 404, "NotFound")
        match method:
            case "POST":
                assert body is not None
                name = body["metadata"]["name"]
                if (resource, name) in self.objects:
                    raise ApiError(f"POST {name}: 409 already exists", 409, "AlreadyExists")
                uid = f"uid-{self._version}"
                self._keep(resource, {**body, "metadata": {**body["metadata"], "uid": uid, "generation": 1}}, "ADDED")
            case "PUT":
                assert body is not None and known is not None
                version = body["metadata"].get("resourceVersion")
                if version not in (None, known["metadata"]["resourceVersion"]):
                    raise ApiError(f"PUT {name}: 409 has been modified", 409, "Conflict")
                uid = known["metadata"]["uid"]
                self._keep(resource, {**body, "metadata": {**body["metadata"], "uid": uid}}, "MODIFIED")
            case "DELETE":
                self._delete(resource, name)
                return {}
        return self.objects[(resource, name)]

    def _keep(self, resource: str, item: Manifest, event: str) -> None:
        self._version += 1
        item = copy.deepcopy(item)
        item["metadata"]["resourceVersion"] = str(self._version)
        if resource == "statefulsets":
            replicas = item["spec"]["replicas"]
            names = ("replicas", "readyReplicas", "updatedReplicas")
            item["status"] = {**dict.fromkeys(names, replicas), "observedGeneration": 1}
        self.objects[(resource, item["metadata"]["name"])] = item
        self._tell(resource, event, item)

    def _delete(self, resource: str, name: str) -> None:
        item = self.objects.pop((resource, name))
        self._version += 1
        self._tell(
            resource, "DELETED", {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._version)}}
        )

    def _tell(self, resource: str, event: str, item: Manifest) -> None:
        for kind, told in self._watches:
            if kind == resource:
                told.put({"type": event, "object": copy.deepcopy(item)})

    def break_watches(self, error: ApiError) -> None:
        """End every watch with ``error``."""
        with self._lock:
            for _, told in self._watches:
                told.put(error)

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        raise ApiError(f"{path}: 404 no node keeps a log", 404)

    def watch(self, path: str, query: Mapping[str, str], opened: list[Any]) -> Iterator[Manifest]:
        resource, _ = _place(path)
        told: queue.Queue[Manifest | ApiError | None] = queue.Queue()
        with self._lock:
            self.calls.append(f"WATCH {resource}")
            since = int(query["resourceVersion"])
            for (kind, _), item in self.objects.items():
                if kind == resource and int(item["metadata"]["resourceVersion"]) > since:
                    told.put({"type": "MODIFIED", "object": copy.deepcopy(item)})
            self._watches.append((resource, told))
        opened[:] = [told]
        try:
            while (event := told.get()) is not None:
                if isinstance(event, ApiError):
                    raise event
                yield event
        finally:
            self._watches.remove((resource, told))

    def break_off(self, opened: list[Any]) -> None:
        for told in opened[:]:
            told.put(None)

    def close(self) -> None:
        pass


def _place(path: str) -> tuple[str, str]:
    """Resource and name of ``path``."""
    parts = path.strip("/").split("/")
    parts = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[-1:]
    return parts[0], parts[1] if len(parts) > 1 else ""
