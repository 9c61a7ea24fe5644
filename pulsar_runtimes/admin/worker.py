"""``/admin/v2/worker``, ``/admin/v2/worker-stats``, and whether the worker is there at all."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.service.errors import RefusedError
from pulsar_runtimes.service.functions import FunctionService

from .answers import answering
from .status_forms import instance_stats_form


class WorkerRoutes:
    """The routes about the worker itself. ``host`` and ``port`` are those by which others reach it."""

    def __init__(self, service: FunctionService, worker_id: str, host: str, port: int) -> None:
        self._service = service
        self._worker_id = worker_id
        self._member = {"workerId": worker_id, "workerHostname": host, "port": port}

    def routes(self) -> list[BaseRoute]:
        """Below ``/admin/v2/worker``."""
        return [
            Route("/cluster", answering(lambda request: [self._member]), methods=["GET"]),
            Route("/cluster/leader", answering(lambda request: self._member), methods=["GET"]),
            Route("/cluster/leader/ready", answering(lambda request: True), methods=["GET"]),
            Route("/assignments", answering(self._assignments), methods=["GET"]),
            Route("/connectors", answering(lambda request: []), methods=["GET"]),
            Route("/rebalance", answering(self._too_few), methods=["PUT"]),
            Route("/drain", answering(self._too_few), methods=["PUT"]),
            Route("/leader/drain", answering(self._too_few), methods=["PUT"]),
        ]

    def stats_routes(self) -> list[BaseRoute]:
        """Below ``/admin/v2/worker-stats``."""
        return [
            Route("/metrics", answering(lambda request: []), methods=["GET"]),
            Route("/functionsmetrics", answering(self._function_metrics), methods=["GET"]),
        ]

    def _assignments(self, request: Request) -> dict[str, list[str]]:
        keys = [
            str(InstanceKey(key, number))
            for key in self._service.functions()
            for number, status, _ in self._service.status(key, stats=False)
            if status is not None
        ]
        return {self._worker_id: keys} if keys else {}

    def _function_metrics(self, request: Request) -> list[dict[str, Any]]:
        return [
            {"name": str(InstanceKey(key, seen[0])), "metrics": instance_stats_form(seen)}
            for key in self._service.functions()
            for seen in self._service.status(key)
            if seen[1] is not None
        ]

    def _too_few(self, request: Request) -> None:
        raise RefusedError("Too few workers (need at least 2)")


def probe_routes() -> list[BaseRoute]:
    """Whether the worker lives, and whether it has read what is registered."""

    async def yes(request: Request) -> Response:
        return PlainTextResponse("true")

    return [Route(path, yes, methods=["GET"]) for path in ("/live", "/ready", "/initialized")]
