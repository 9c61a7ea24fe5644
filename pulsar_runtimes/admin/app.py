"""The admin API as one ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount

from pulsar_runtimes.service.backlog import Backlogs
from pulsar_runtimes.service.component import SINKS, SOURCES
from pulsar_runtimes.service.metrics import MetricsPage
from pulsar_runtimes.service.neighbours import Neighbours

from .access import AccessControl
from .answers import answering, error_answer
from .authentication import AuthenticationGate
from .connectors import ConnectorRoutes
from .functions import FunctionRoutes, Leader
from .functions_v2 import FunctionRoutesV2
from .instances import Instances
from .openapi import openapi_routes
from .operations import Operation
from .overview import OverviewRoutes
from .packages import PackageRoutes
from .routes import GuardedRoute, all_routes, open_paths
from .status_page import page_routes
from .worker import WorkerRoutes, Workers


def build_app(
    instances: Instances,
    workers: Workers,
    leader: Leader,
    metrics: MetricsPage,
    access: AccessControl | None = None,
    *,
    neighbours: Neighbours | None = None,
    backlogs: Backlogs | None = None,
) -> Starlette:
    """The application over the functions and ``instances`` of one worker, and the ``workers`` of its cluster.

    ``neighbours`` and ``backlogs`` are for the status page, which can do without them. Without ``access`` everybody
    may do everything. ``TypeError`` when a route does not say what it does.
    """
    functions = FunctionRoutes(instances, leader)
    older = FunctionRoutesV2(instances, leader)
    sinks, sources = ConnectorRoutes(instances, SINKS), ConnectorRoutes(instances, SOURCES)
    packages = PackageRoutes(instances.service.inventory)
    worker = WorkerRoutes(instances.service, workers)
    app = Starlette(
        routes=[
            Mount("/admin/v3/functions", routes=[*packages.routes(), *functions.routes()]),
            *(Mount(f"/admin/v3/{name}", routes=sinks.routes()) for name in ("sinks", "sink")),
            *(Mount(f"/admin/v3/{name}", routes=sources.routes()) for name in ("sources", "source")),
            *(Mount(f"/admin/{form}functions", routes=older.routes()) for form in ("v2/", "")),
            Mount("/admin/v2/worker", routes=worker.routes()),
            Mount("/admin/v2/worker-stats", routes=worker.stats_routes()),
            GuardedRoute(
                "/metrics", answering(lambda request: PlainTextResponse(metrics.text())), "GET", Operation.METRICS
            ),
            *worker.probe_routes(),
            *OverviewRoutes(instances.service, metrics, workers, neighbours, backlogs).routes(),
            *openapi_routes(),
            *page_routes(),
        ],
        exception_handlers={404: _no_such_path, 405: _no_such_method},
    )
    guard(app, access or AccessControl())
    return app


def guard(app: Starlette, access: AccessControl) -> None:
    """Let ``access`` decide on each request. ``TypeError`` when a route does not say what it does."""
    app.state.access = access
    list(all_routes(app.routes))
    if access.authenticator is not None:
        paths = open_paths(app.routes, open_metrics=access.open_metrics)
        app.add_middleware(AuthenticationGate, authenticator=access.authenticator, open_paths=paths)


async def _no_such_path(request: Request, error: Exception) -> Response:
    return error_answer(404, f"there is no {request.url.path} here")


async def _no_such_method(request: Request, error: Exception) -> Response:
    answer = error_answer(405, f"{request.url.path} cannot be asked with {request.method}")
    if isinstance(error, HTTPException):
        answer.headers.update(error.headers or {})  # which methods it can be asked with
    return answer
