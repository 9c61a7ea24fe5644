"""Functions and instances as ``/admin/v3/overview`` tells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.status import End, InstanceStatus
from pulsar_runtimes.service.collector import Answer
from pulsar_runtimes.service.functions import Seen
from pulsar_runtimes.service.metrics import Figures

STOPPED = "stopped"
"""What an instance is when somebody stopped it; else it is in one of the supervisor's states."""

WAITING = "waiting"
UNKNOWN = "unknown"
"""What an instance is whose worker does not tell."""

_MOST_LINES = 12
_MOST_TEXT = 2000

AllFigures = Mapping[InstanceKey, Answer[Figures]]
Form = dict[str, Any]


def function_form(
    key: FunctionKey, function: FunctionSpec, seen: Sequence[Seen], figures: AllFigures, worker_id: str
) -> Form:
    """A function as the worker ``worker_id`` sees it; ``seen`` are the instances that it is to tell of."""
    failures = (status.update_failure for _, status, _ in seen if status is not None)
    return {
        "tenant": key.tenant,
        "namespace": key.namespace,
        "name": key.name,
        "runtime": function.language.name,
        "updating": any(status is not None and status.updating for _, status, _ in seen),
        "updateFailure": next((failure for failure in failures if failure), ""),
        "instances": [instance_form(each, figures.get(InstanceKey(key, each[0])), worker_id) for each in seen],
    }


def instance_form(seen: Seen, answer: Answer[Figures] | None, worker_id: str) -> Form:
    """An instance, which is on that worker if it is anywhere."""
    number, status, stopped = seen
    if status is None:
        return {"instanceId": number, "workerId": worker_id, "state": STOPPED if stopped else WAITING}
    return {
        "instanceId": number,
        "workerId": worker_id,
        "state": status.state.value,
        "sinceMs": int(status.since * 1000),
        "reason": _short(status.reason),
        "restarts": status.restarts,
        "ends": [_end(end) for end in status.ends],
        "lastLines": [_short(line) for line in status.last_lines[-_MOST_LINES:]],
        "figures": _figures(status, answer),
    }


def _end(end: End) -> Form:
    return {
        "timestampMs": int(end.at * 1000),
        "reason": _short(end.reason),
        "exitCode": end.exit_code,
        "lastMessages": list(end.last_messages),
    }


def _figures(status: InstanceStatus, answer: Answer[Figures] | None) -> Form | None:
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
