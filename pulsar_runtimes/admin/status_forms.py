"""What the admin API tells of instances: the JSON of ``FunctionStatus`` and ``FunctionStats``. Pure.

Members and their order are those of Apache Pulsar 4.0.8, as recorded. ``ends`` is pfrun's own: how the last lives of an
instance ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pulsar_runtimes.model.observation import InstanceStats
from pulsar_runtimes.model.status import End, InstanceStatus, State

Seen = tuple[int, InstanceStatus | None, bool]
"""An instance's number, what is seen of it, and whether somebody stopped it."""

_NOTHING = InstanceStats()


def status_form(instances: Sequence[Seen], worker_id: str) -> dict[str, Any]:
    """``FunctionStatus`` of a whole function."""
    statuses = [instance_status_form(seen, worker_id) for seen in instances]
    told = [{"instanceId": seen[0], "status": status} for seen, status in zip(instances, statuses, strict=True)]
    running = sum(1 for status in statuses if status["running"])
    return {"numInstances": len(told), "numRunning": running, "instances": told}


def instance_status_form(seen: Seen, worker_id: str) -> dict[str, Any]:
    """``FunctionInstanceStatusData`` of one instance."""
    _, status, stopped = seen
    running = status is not None and status.state is State.RUNNING
    stats = (status.stats if status is not None and running else None) or _NOTHING
    form: dict[str, Any] = {
        "running": running,
        "error": "" if running or stopped else _error(status),
        "numRestarts": status.restarts if status is not None else 0,
        "numReceived": stats.received,
        "numSuccessfullyProcessed": stats.processed,
        "numUserExceptions": stats.user_exceptions,
    }
    if running:
        form["latestUserExceptions"] = _exceptions(stats.latest_user_exceptions)
    form["numSystemExceptions"] = stats.system_exceptions
    if running:
        form["latestSystemExceptions"] = _exceptions(stats.latest_system_exceptions)
    form |= {
        "averageLatency": stats.average_latency_ms,
        "lastInvocationTime": stats.last_invocation_ms,
        "workerId": worker_id,
    }
    if status is not None and status.ends:
        form["ends"] = [_end(end) for end in status.ends]
    return form


def _error(status: InstanceStatus | None) -> str:
    if status is None:
        return "Function has not been scheduled"
    return status.update_failure or status.reason or status.state.value


def _exceptions(exceptions: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"exceptionString": text, "timestampMs": at} for text, at in exceptions]


def _end(end: End) -> dict[str, Any]:
    return {
        "timestampMs": int(end.at * 1000),
        "reason": end.reason,
        "exitCode": end.exit_code,
        "lastMessages": list(end.last_messages),
        "lastLines": list(end.last_lines),
    }


def stats_form(instances: Sequence[Seen]) -> dict[str, Any]:
    """``FunctionStats`` of a whole function: sums, the mean of the latencies, the latest invocation."""
    each = [(number, _stats(status)) for number, status, _ in instances]
    all_stats = [stats for _, stats in each]
    latencies = [stats.average_latency_ms for stats in all_stats if stats.average_latency_ms]
    minute_latencies = [
        stats.last_minute.average_latency_ms for stats in all_stats if stats.last_minute.average_latency_ms
    ]
    return {
        "receivedTotal": sum(stats.received for stats in all_stats),
        "processedSuccessfullyTotal": sum(stats.processed for stats in all_stats),
        "systemExceptionsTotal": sum(stats.system_exceptions for stats in all_stats),
        "userExceptionsTotal": sum(stats.user_exceptions for stats in all_stats),
        "avgProcessLatency": _mean(latencies),
        "1min": {
            "receivedTotal": sum(stats.last_minute.received for stats in all_stats),
            "processedSuccessfullyTotal": sum(stats.last_minute.processed for stats in all_stats),
            "systemExceptionsTotal": sum(stats.last_minute.system_exceptions for stats in all_stats),
            "userExceptionsTotal": sum(stats.last_minute.user_exceptions for stats in all_stats),
            "avgProcessLatency": _mean(minute_latencies),
        },
        "lastInvocation": max((stats.last_invocation_ms for stats in all_stats), default=0) or None,
        "instances": [{"instanceId": number, "metrics": _metrics(stats)} for number, stats in each],
    }


def instance_stats_form(seen: Seen) -> dict[str, Any]:
    """``FunctionInstanceStatsData`` of one instance."""
    return _metrics(_stats(seen[1]))


def _stats(status: InstanceStatus | None) -> InstanceStats:
    return (status.stats if status is not None else None) or _NOTHING


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _metrics(stats: InstanceStats) -> dict[str, Any]:
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
