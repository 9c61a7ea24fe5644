"""Each call of the admin API, as whoever may make it and changes nothing: the functions that it names are not there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

FUNCTION = "/admin/v3/functions/acme/dev/nosuch"
_CONFIG = json.dumps({"inputs": ["acme/dev/in"], "runtime": "PYTHON", "py": "f.py"})
_NO_CLASS = {"functionConfig": (None, _CONFIG, "application/json"), "data": ("f.py", b"def f(x): pass\n")}


@dataclass(frozen=True)
class Call:
    """A request, and the status of its answer to a super user. ``permission`` on the namespace allows it, too."""

    method: str
    path: str
    allowed: int
    files: Mapping[str, Any] | None = None
    permission: str = "functions"

    def make(self, http: httpx.Client, headers: Mapping[str, str]) -> int:
        return http.request(self.method, self.path, files=self.files, headers=headers).status_code

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


_V2 = ("/admin/v2/functions", "/admin/functions")
_CONNECTORS = {"sinks": "sinks", "sink": "sinks", "sources": "sources", "source": "sources"}
"""Where sinks and sources are, and the permission that goes with it."""


def _of_connectors(path: str, permission: str) -> Iterator[Call]:
    one, config = f"/admin/v3/{path}/acme/dev/nosuch", f"{permission.removesuffix('s')}Config"
    body = {config: (None, "{}", "application/json")}
    yield Call("GET", f"/admin/v3/{path}/acme/dev", 200, None, permission)
    yield Call("POST", one, 400, body, permission)
    yield Call("PUT", one, 400, body, permission)
    for rest in ("", "/status", "/0/status", "/0/logs"):
        yield Call("GET", one + rest, 404, None, permission)
    yield Call("DELETE", one, 404, None, permission)
    for action in ("start", "stop", "restart"):
        yield Call("POST", f"{one}/{action}", 404, None, permission)
        yield Call("POST", f"{one}/0/{action}", 404, None, permission)


def _of_v2(base: str) -> Iterator[Call]:
    one, body = f"{base}/acme/dev/nosuch", {"functionDetails": (None, "{}", "application/json")}
    yield Call("GET", f"{base}/acme/dev", 200)
    yield Call("POST", one, 400, body)
    yield Call("PUT", one, 400, body)
    for rest in ("", "/status", "/0/status"):
        yield Call("GET", one + rest, 404)
    yield Call("GET", f"{one}/state/k", 503)
    yield Call("DELETE", one, 404)
    for action in ("stop", "restart"):
        yield Call("POST", f"{one}/{action}", 404)
        yield Call("POST", f"{one}/0/{action}", 404)
    yield Call("POST", f"{one}/trigger", 404, {"data": (None, "x")})


IN_NAMESPACE = [
    Call("GET", "/admin/v3/functions/acme/dev", 200),
    Call("POST", FUNCTION, 400, _NO_CLASS),
    Call("PUT", FUNCTION, 400, _NO_CLASS),
    Call("GET", FUNCTION, 404),
    Call("DELETE", FUNCTION, 404),
    Call("GET", f"{FUNCTION}/status", 404),
    Call("GET", f"{FUNCTION}/stats", 404),
    Call("GET", f"{FUNCTION}/0/status", 404),
    Call("GET", f"{FUNCTION}/0/stats", 404),
    Call("GET", f"{FUNCTION}/0/logs", 404),
    *(Call("POST", f"{FUNCTION}/{action}", 404) for action in ("start", "stop", "restart")),
    *(Call("POST", f"{FUNCTION}/0/{action}", 404) for action in ("start", "stop", "restart")),
    Call("POST", f"{FUNCTION}/trigger", 404, {"data": (None, "x")}),
    Call("GET", f"{FUNCTION}/download", 404),
    Call("GET", f"{FUNCTION}/state/k", 503),
    Call("POST", f"{FUNCTION}/state/k", 503, {"state": (None, '{"key": "k", "stringValue": "v"}', "application/json")}),
    *(call for path, permission in _CONNECTORS.items() for call in _of_connectors(path, permission)),
    *(call for base in _V2 for call in _of_v2(base)),
]
"""What super users may do, and tenant admins, and roles with the permission."""

OF_SUPER_USERS = [
    Call("GET", "/admin/v3/functions/builtins", 200),
    Call("POST", "/admin/v3/functions/builtins/reload", 204),
    Call("GET", "/admin/v3/functions/packages", 200),
    Call("GET", "/admin/v3/functions/packages/in-use", 200),
    Call("POST", "/admin/v3/functions/packages/gc?dryRun=true", 200),
    *(Call("POST", f"/admin/v3/{path}/reloadBuiltInSinks", 204) for path in ("sinks", "sink")),
    *(Call("POST", f"/admin/v3/{path}/reloadBuiltInSources", 204) for path in ("sources", "source")),
    *(Call("POST", f"{base}/upload", 400, {"path": (None, "x")}) for base in ("/admin/v3/functions", *_V2)),
    *(Call("GET", f"{base}/download?path=builtin://nosuch", 404) for base in ("/admin/v3/functions", *_V2)),
    Call("GET", "/admin/v3/overview", 200),
    Call("GET", "/admin/v2/worker/cluster", 200),
    Call("GET", "/admin/v2/worker/cluster/leader", 200),
    Call("GET", "/admin/v2/worker/assignments", 200),
    Call("GET", "/admin/v2/worker/connectors", 200),
    Call("PUT", "/admin/v2/worker/rebalance", 400),
    Call("PUT", "/admin/v2/worker/drain", 400),
    Call("PUT", "/admin/v2/worker/leader/drain?workerId=w", 400),
    Call("GET", "/admin/v2/worker/drain", 200),
    Call("GET", "/admin/v2/worker/leader/drain?workerId=w", 200),
    Call("PUT", "/admin/v3/functions/leader/acme/dev/nosuch", 400, {"delete": (None, "false")}),
    Call("GET", "/admin/v2/worker-stats/metrics", 200),
    Call("GET", "/admin/v2/worker-stats/functionsmetrics", 200),
]

OF_EVERYBODY_KNOWN = [
    Call("GET", "/metrics", 200),
    Call("GET", "/openapi.json", 200),
    *(Call("GET", f"{base}/connectors", 200) for base in ("/admin/v3/functions", *_V2)),
    *(
        Call("GET", f"/admin/v3/{path}/builtin{connectors}{rest}", status)
        for path, connectors in _CONNECTORS.items()
        for rest, status in (("", 200), ("/nosuch/configdefinition", 404))
    ),
    Call("GET", "/admin/v2/worker/cluster/leader/ready", 200),
]

ALL = [*IN_NAMESPACE, *OF_SUPER_USERS, *OF_EVERYBODY_KNOWN]
