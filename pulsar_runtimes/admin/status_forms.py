"""What the admin API tells of instances: the JSON of ``FunctionStatus`` and ``FunctionStats``. Pure.

Members and their order are those of Apache Pulsar 4.0.8, as recorded. ``ends`` is pfrun's own: how the last lives of an
instance ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pulsar_runtimes.model.observation import InstanceStats
from pulsar_runtimes.model.status import End, InstanceStatus, State
from pulsar_runtimes.service.functions import Seen

_NOTHING = InstanceStats()

Form = dict[str, Any]
StatusForm = Callable[[Seen, str, str], Form]
"""From what is seen of an instance, its worker's id and what keeps it from being started, to its status."""


def status_form(instances: Sequence[tuple[int, Form]]) -> Form:
    """``FunctionStatus`` of a whole function, from the number and :func:`instance_status_form` of each instance."""
    told = [{"instanceId": number, "status": status} for number, status in instances]
    running = sum(1 for _, status in instances if status["running"])
    return {"numInstances": len(told), "numRunning": running, "instances": told}


def instance_status_form(seen: Seen, worker_id: str, problem: str = "") -> Form:
    """``FunctionInstanceStatusData`` of one instance. ``problem`` is what keeps it from being started at all."""
    _, status, stopped = seen
    running = status is not None and status.state is State.RUNNING
    stats = (status.stats if status is not None and running else None) or _NOTHING
    form: Form = {
        "running": running,
        "error": "" if running or stopped else problem or error_of(status, "Function"),
        "numRestarts": status.restarts if status is not None else 0,
        "numReceived": stats.received,
        "numSuccessfullyProcessed": stats.processed,
        "numUserExceptions": stats.user_exceptions,
    }
    if running:
        form["latestUserExceptions"] = exceptions_form(stats.latest_user_exceptions)
    form["numSystemExceptions"] = stats.system_exceptions
    if running:
        form["latestSystemExceptions"] = exceptions_form(stats.latest_system_exceptions)
    form |= {
        "averageLatency": stats.average_latency_ms,
        "lastInvocationTime": stats.last_invocation_ms,
        "workerId": worker_id,
    }
    if status is not None and status.ends:
        form["ends"] = ends_form(status.ends)
    return form


def error_of(status: InstanceStatus | None, title: str) -> str:
    """Why an instance of a ``title``, such as ``Sink``, does not run."""
    if status is None:
        return f"{title} has not been scheduled"
    return status.update_failure or status.reason or status.state.value


def exceptions_form(exceptions: Sequence[tuple[str, int]]) -> list[Form]:
    """``ExceptionInformation`` of each."""
    return [{"exceptionString": text, "timestampMs": at} for text, at in exceptions]


def ends_form(ends: Sequence[End]) -> list[Form]:
    """How the last lives of an instance ended."""
    return [_end(end) for end in ends]


def _end(end: End) -> Form:
    return {
        "timestampMs": int(end.at * 1000),
        "reason": end.reason,
        "exitCode": end.exit_code,
        "lastMessages": list(end.last_messages),
        "lastLines": list(end.last_lines),
    }


def stats_form(instances: Sequence[tuple[int, Form]]) -> Form:
    """``FunctionStats`` of a whole function, from the number and :func:`instance_stats_form` of each instance.

    Counts are sums, latencies the mean of those that have one, the last invocation is the latest.
    """
    forms = [form for _, form in instances]
    return {
        **_sums(forms),
        "1min": _sums([form["1min"] for form in forms]),
        "lastInvocation": max((form["lastInvocation"] or 0 for form in forms), default=0) or None,
        "instances": [{"instanceId": number, "metrics": form} for number, form in instances],
    }


_COUNTS = ("receivedTotal", "processedSuccessfullyTotal", "systemExceptionsTotal", "userExceptionsTotal")


def _sums(forms: Sequence[Form]) -> Form:
    latencies = [form["avgProcessLatency"] for form in forms if form["avgProcessLatency"]]
    mean = sum(latencies) / len(latencies) if latencies else None
    return {**{name: sum(form[name] for form in forms) for name in _COUNTS}, "avgProcessLatency": mean}


def instance_stats_form(stats: InstanceStats | None) -> Form:
    """``FunctionInstanceStatsData`` of one instance; of one that cannot be asked, that of one that did nothing."""
    stats = stats or _NOTHING
    minute = stats.last_minute
    return {
        "receivedTotal": stats.received,
        "processedSuccessfullyTotal": stats.processed,
        "systemExceptionsTotal": stats.system_exceptions,
        "userExceptionsTotal": stats.user_exceptions,
        "avgProcessLatency": stats.average_latency_ms or None,
        "1min": {
            "receivedTotal": minute.received,
            "processedSuccessfullyTotal": minute.processed,
            "systemExceptionsTotal": minute.system_exceptions,
            "userExceptionsTotal": minute.user_exceptions,
            "avgProcessLatency": minute.average_latency_ms or None,
        },
        "lastInvocation": stats.last_invocation_ms or None,
        "userMetrics": dict(stats.user_metrics),
    }
