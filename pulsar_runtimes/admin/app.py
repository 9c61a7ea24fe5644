"""The admin API as one ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from pulsar_runtimes.service.metrics import MetricsPage

from .answers import answering, error_answer
from .functions import FunctionRoutes, Leader
from .instances import Instances
from .worker import WorkerRoutes, Workers


def build_app(instances: Instances, workers: Workers, leader: Leader, metrics: MetricsPage) -> Starlette:
    """The application over the functions and ``instances`` of one worker, and the ``workers`` of its cluster."""
    functions = FunctionRoutes(instances, leader)
    worker = WorkerRoutes(instances.service, workers)
    return Starlette(
        routes=[
            Mount("/admin/v3/functions", routes=functions.routes()),
            Mount("/admin/v2/worker", routes=worker.routes()),
            Mount("/admin/v2/worker-stats", routes=worker.stats_routes()),
            Route("/metrics", answering(lambda request: PlainTextResponse(metrics.text())), methods=["GET"]),
            *worker.probe_routes(),
        ],
        exception_handlers={404: _no_such_path, 405: _no_such_method},
    )


async def _no_such_path(request: Request, error: Exception) -> Response:
    return error_answer(404, f"there is no {request.url.path} here")


async def _no_such_method(request: Request, error: Exception) -> Response:
    return error_answer(405, f"{request.url.path} cannot be asked with {request.method}")
