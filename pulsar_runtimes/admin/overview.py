"""``/admin/v3/overview``: everything the status page shows, in one answer that waits for no instance. pfrun's own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from pulsar_runtimes._version import __version__
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.status import End, InstanceStatus
from pulsar_runtimes.service.collector import Answer
from pulsar_runtimes.service.component import ANY
from pulsar_runtimes.service.functions import FunctionService, Seen
from pulsar_runtimes.service.metrics import Figures, MetricsPage

from .answers import answering
from .operations import Operation
from .routes import GuardedRoute

STOPPED = "stopped"
"""What an instance is when somebody stopped it; else it is in one of the supervisor's states."""

_MOST_LINES = 12
_MOST_TEXT = 2000

AllFigures = Mapping[InstanceKey, Answer[Figures]]


class OverviewRoutes:
    """The route over a :class:`FunctionService`, with the figures that ``metrics`` keeps."""

    def __init__(self, service: FunctionService, metrics: MetricsPage, worker_id: str) -> None:
        self._service = service.for_component(ANY)
        self._metrics = metrics
        self._worker_id = worker_id
        self._started_ms = int(time.time() * 1000)

    def routes(self) -> list[BaseRoute]:
        return [GuardedRoute("/admin/v3/overview", answering(self._overview), "GET", Operation.OVERVIEW)]

    def _overview(self, request: Request) -> dict[str, Any]:
        functions = {function.key: function for function in self._service.specs()}
        figures = self._metrics.figures()
        worker = self._service.worker
        return {
            "timestampMs": int(time.time() * 1000),
            "worker": {
                "workerId": self._worker_id,
                "version": __version__,
                "runtime": worker.factory.name,
                "broker": worker.service_url,
                "startedMs": self._started_ms,
            },
            "functions": [
                _function(key, functions[key], instances, figures)
                for key, instances in self._service.statuses().items()
                if key in functions
            ],
        }


def _function(key: FunctionKey, function: FunctionSpec, seen: Sequence[Seen], figures: AllFigures) -> dict[str, Any]:
    failures = (status.update_failure for _, status, _ in seen if status is not None)
    return {
        "tenant": key.tenant,
        "namespace": key.namespace,
        "name": key.name,
        "runtime": function.language.name,
        "updating": any(status is not None and status.updating for _, status, _ in seen),
        "updateFailure": next((failure for failure in failures if failure), ""),
        "instances": [_instance(each, figures.get(InstanceKey(key, each[0]))) for each in seen],
    }


def _instance(seen: Seen, answer: Answer[Figures] | None) -> dict[str, Any]:
    number, status, stopped = seen
    if status is None:
        return {"instanceId": number, "state": STOPPED if stopped else "waiting"}
    return {
        "instanceId": number,
        "state": status.state.value,
        "sinceMs": int(status.since * 1000),
        "reason": _short(status.reason),
        "restarts": status.restarts,
        "ends": [_end(end) for end in status.ends],
        "lastLines": [_short(line) for line in status.last_lines[-_MOST_LINES:]],
        "figures": _figures(status, answer),
    }


def _end(end: End) -> dict[str, Any]:
    return {
        "timestampMs": int(end.at * 1000),
        "reason": _short(end.reason),
        "exitCode": end.exit_code,
        "lastMessages": list(end.last_messages),
    }


def _figures(status: InstanceStatus, answer: Answer[Figures] | None) -> dict[str, Any] | None:
    if answer is None or answer.value.stats is None:
        return None
    stats = answer.value.stats
    exceptions = sorted((*stats.latest_user_exceptions, *stats.latest_system_exceptions), key=lambda each: each[1])
    text, at = exceptions[-1] if exceptions else ("", 0)
    return {
        "countedMs": int(answer.at * 1000),
        "received": stats.received,
        "processed": stats.processed,
        "userExceptions": stats.user_exceptions,
        "systemExceptions": stats.system_exceptions,
        "latencyMs": stats.last_minute.average_latency_ms or stats.average_latency_ms,
        "lastInvocationMs": stats.last_invocation_ms,
        "memoryBytes": answer.value.memory_bytes,
        "lastException": {"exceptionString": _short(text), "timestampMs": at} if exceptions else None,
    }


def _short(text: str) -> str:
    """``text``, its end only where it is very long: the end of a traceback says what happened."""
    return text if len(text) <= _MOST_TEXT else f"... {text[-_MOST_TEXT:]}"
