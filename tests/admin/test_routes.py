"""Every route says what it does, and every operation what it needs."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import Mock

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from pulsar_runtimes.admin.access import AccessControl
from pulsar_runtimes.admin.app import build_app, guard
from pulsar_runtimes.admin.operations import NEEDS, Need, Operation, Permission
from pulsar_runtimes.admin.routes import all_routes, open_paths


async def nothing(*_: Any) -> Response:
    return Response()


@pytest.fixture
def app() -> Starlette:
    unused = cast(Any, Mock())
    return build_app(unused, unused, unused, unused)


def test_each_operation_needs_something() -> None:
    assert set(NEEDS) == set(Operation)
    open_to_all = {operation for operation, need in NEEDS.items() if need is Need.NOTHING}
    assert open_to_all == {Operation.PROBE, Operation.PAGE}


def test_each_route_names_its_operation(app: Starlette) -> None:
    told = {f"{min(route.methods or ())} {path}": route.operation for path, route in all_routes(app.routes)}
    function = "/admin/v3/functions/{tenant}/{namespace}/{name}"
    instance = f"{function}/{{instance:int}}"
    wanted = {
        "GET /admin/v3/functions/connectors": Operation.LIST_CONNECTORS,
        "GET /admin/v3/functions/builtins": Operation.LIST_BUILTIN_FUNCTIONS,
        "POST /admin/v3/functions/builtins/reload": Operation.RELOAD_BUILTINS,
        "GET /admin/v3/functions/{tenant}/{namespace}": Operation.LIST,
        f"POST {function}": Operation.REGISTER,
        f"PUT {function}": Operation.UPDATE,
        f"DELETE {function}": Operation.DEREGISTER,
        f"GET {function}": Operation.GET,
        f"GET {function}/status": Operation.STATUS,
        f"GET {function}/stats": Operation.STATS,
        f"GET {instance}/status": Operation.STATUS,
        f"GET {instance}/stats": Operation.STATS,
        f"GET {instance}/logs": Operation.LOGS,
        f"POST {function}/start": Operation.START,
        f"POST {function}/stop": Operation.STOP,
        f"POST {function}/restart": Operation.RESTART,
        f"POST {instance}/start": Operation.START,
        f"POST {instance}/stop": Operation.STOP,
        f"POST {instance}/restart": Operation.RESTART,
        f"POST {function}/trigger": Operation.TRIGGER,
        f"GET {function}/download": Operation.DOWNLOAD,
        f"GET {function}/state/{{state_key:path}}": Operation.GET_STATE,
        f"POST {function}/state/{{state_key:path}}": Operation.PUT_STATE,
        "GET /admin/v2/worker/cluster": Operation.CLUSTER,
        "GET /admin/v2/worker/cluster/leader": Operation.CLUSTER,
        "GET /admin/v2/worker/cluster/leader/ready": Operation.LEADER_READY,
        "GET /admin/v2/worker/assignments": Operation.ASSIGNMENTS,
        "GET /admin/v2/worker/connectors": Operation.WORKER_CONNECTORS,
        "PUT /admin/v2/worker/rebalance": Operation.REBALANCE,
        "PUT /admin/v2/worker/drain": Operation.DRAIN,
        "PUT /admin/v2/worker/leader/drain": Operation.DRAIN,
        "GET /admin/v2/worker-stats/metrics": Operation.WORKER_STATS,
        "GET /admin/v2/worker-stats/functionsmetrics": Operation.WORKER_STATS,
        "GET /live": Operation.PROBE,
        "GET /ready": Operation.PROBE,
        "GET /initialized": Operation.PROBE,
    }
    assert told.items() >= wanted.items()


def test_each_route_needs_the_permission_of_its_kind(app: Starlette) -> None:
    of_kind = {"sink": Permission.SINKS, "source": Permission.SOURCES}
    for path, route in all_routes(app.routes):
        kind = path.split("/")[3].removesuffix("s") if path.startswith("/admin/v3/") else ""
        assert route.permission is of_kind.get(kind, Permission.FUNCTIONS), path


def test_only_probes_and_the_files_of_the_page_are_open(app: Starlette) -> None:
    page = {"/", "/status.html", "/status.css", "/status.js"}
    assert open_paths(app.routes, open_metrics=False) == {"/live", "/ready", "/initialized"} | page


@pytest.mark.parametrize(
    "route",
    [
        Route("/x", nothing),
        WebSocketRoute("/x", nothing),
        Mount("/x", app=StaticFiles(directory=".")),
        Mount("/x", routes=[Route("/y", nothing)]),
    ],
)
def test_a_route_that_says_nothing_is_not_served(route: BaseRoute) -> None:
    with pytest.raises(TypeError, match=r"^/x(/y)?: must be a GuardedRoute, which names its operation$"):
        guard(Starlette(routes=[route]), AccessControl())
