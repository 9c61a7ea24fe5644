"""``/admin/v2/worker``, ``/admin/v2/worker-stats``, and whether the worker is there at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from pulsar_runtimes.metadata.election import Member
from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.service.builtins import Builtins
from pulsar_runtimes.service.component import ANY
from pulsar_runtimes.service.errors import NotReadyError, RefusedError
from pulsar_runtimes.service.functions import FunctionService

from .answers import answering, error_answer
from .instances import ElsewhereError
from .operations import Operation
from .routes import GuardedRoute
from .status_forms import instance_stats_form


class Workers(Protocol):
    """The cluster, as far as requests are about it."""

    me: Member

    @property
    def leads(self) -> bool: ...

    def members(self) -> tuple[Member, ...]: ...

    def leader(self) -> Member | None: ...

    def assigned(self) -> Mapping[InstanceKey, str]:
        """The worker of each instance."""

    def rebalance(self) -> None: ...

    def drain(self, worker_id: str) -> None: ...

    def is_drained(self, worker_id: str) -> bool | None: ...

    def check(self) -> None:
        """``PfrunError`` when this worker cannot go on."""


class WorkerRoutes:
    """The routes about the workers."""

    def __init__(self, service: FunctionService, workers: Workers) -> None:
        self._service = service.for_component(ANY)
        self._builtins = Builtins(service.worker)
        self._workers = workers

    def routes(self) -> list[BaseRoute]:
        """Below ``/admin/v2/worker``."""
        return [
            GuardedRoute("/cluster", answering(self._cluster), "GET", Operation.CLUSTER),
            GuardedRoute("/cluster/leader", answering(self._leader), "GET", Operation.CLUSTER),
            GuardedRoute("/cluster/leader/ready", answering(self._leader_ready), "GET", Operation.LEADER_READY),
            GuardedRoute("/assignments", answering(self._assignments), "GET", Operation.ASSIGNMENTS),
            GuardedRoute("/connectors", answering(self._connectors), "GET", Operation.WORKER_CONNECTORS),
            GuardedRoute("/rebalance", answering(self._rebalance), "PUT", Operation.REBALANCE),
            GuardedRoute("/drain", answering(self._drain_me), "PUT", Operation.DRAIN),
            GuardedRoute("/drain", answering(self._drain_status), "GET", Operation.DRAIN_STATUS),
            GuardedRoute("/leader/drain", answering(self._drain), "PUT", Operation.DRAIN),
            GuardedRoute("/leader/drain", answering(self._drain_status), "GET", Operation.DRAIN_STATUS),
        ]

    def stats_routes(self) -> list[BaseRoute]:
        """Below ``/admin/v2/worker-stats``."""
        return [
            GuardedRoute("/metrics", answering(lambda request: []), "GET", Operation.WORKER_STATS),
            GuardedRoute("/functionsmetrics", answering(self._function_metrics), "GET", Operation.WORKER_STATS),
        ]

    def probe_routes(self) -> list[BaseRoute]:
        """Whether the worker lives, whether it can be asked for changes, and whether it follows what is registered."""
        return [
            GuardedRoute("/live", answering(lambda request: PlainTextResponse("true")), "GET", Operation.PROBE),
            GuardedRoute("/ready", answering(self._ready), "GET", Operation.PROBE),
            GuardedRoute("/initialized", answering(self._initialized), "GET", Operation.PROBE),
        ]

    def _ready(self, request: Request) -> Response:
        if self._workers.leader() is None:
            return error_answer(503, "this worker is not ready: it awaits a worker that leads")
        return self._initialized(request)

    def _initialized(self, request: Request) -> Response:
        try:
            self._workers.check()
        except PfrunError as error:
            return error_answer(503, str(error))
        return PlainTextResponse("true")

    def _cluster(self, request: Request) -> list[dict[str, Any]]:
        return [_form(member) for member in self._workers.members()]

    def _leader(self, request: Request) -> dict[str, Any]:
        leader = self._workers.leader()
        if leader is None:
            raise PfrunError("no worker leads at the moment")
        return _form(leader)

    def _leader_ready(self, request: Request) -> bool:
        if not self._workers.leads:
            raise NotReadyError("this worker does not lead")
        return True

    def _assignments(self, request: Request) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, worker in sorted(self._workers.assigned().items()):
            found.setdefault(worker, []).append(str(key))
        return found

    def _connectors(self, request: Request) -> list[dict[str, str]]:
        return self._builtins.connectors()

    def _function_metrics(self, request: Request) -> list[dict[str, Any]]:
        return [
            {"name": str(InstanceKey(key, number)), "metrics": instance_stats_form(status.stats)}
            for key, instances in self._service.statuses(stats=True).items()
            for number, status, _ in instances
            if status is not None
        ]

    def _rebalance(self, request: Request) -> None:
        self._as_leader(self._workers.rebalance)

    def _drain_me(self, request: Request) -> None:
        self._as_leader(lambda: self._workers.drain(self._workers.me.worker_id), "leader/drain")

    def _drain(self, request: Request) -> None:
        worker_id = request.query_params.get("workerId", "")
        if not worker_id:
            raise RefusedError("workerId is not provided")
        self._as_leader(lambda: self._workers.drain(worker_id))

    def _as_leader(self, act: Callable[[], None], path: str = "") -> None:
        leader = self._workers.leader()
        if leader is not None and leader != self._workers.me:
            query = f"workerId={self._workers.me.worker_id}" if path else ""
            raise ElsewhereError(leader, f"/admin/v2/worker/{path}" if path else "", query)
        act()

    def _drain_status(self, request: Request) -> dict[str, str]:
        worker_id = request.query_params.get("workerId") or self._workers.me.worker_id
        drained = self._workers.is_drained(worker_id)
        if drained is None:
            return {"status": "ERROR", "lastError": f"Worker {worker_id} not found in drain records"}
        return {"status": "SUCCESS" if drained else "RUNNING", "lastError": ""}


def _form(member: Member) -> dict[str, Any]:
    return {"workerId": member.worker_id, "workerHostname": member.host, "port": member.port}
