"""What the admin API tells of the instances of sinks and sources: ``SinkStatus`` and ``SourceStatus``. Pure.

Members and their order are those of Apache Pulsar 4.0.8. What fails on the Pulsar side of a connector counts as the
system's. ``ends`` is pfrun's own.
"""

from __future__ import annotations

from pulsar_runtimes.model.observation import InstanceStats
from pulsar_runtimes.model.status import State
from pulsar_runtimes.service.functions import Seen

from .status_forms import Form, ends_form, error_of, exceptions_form

Exceptions = tuple[tuple[str, int], ...]

_NOTHING = InstanceStats()


def sink_status_form(seen: Seen, worker_id: str, problem: str = "") -> Form:
    """``SinkInstanceStatusData`` of one instance."""
    stats = _stats(seen)
    return _form(
        seen,
        worker_id,
        problem,
        "Sink",
        stats.sink_exceptions,
        stats.latest_sink_exceptions,
        {"numReadFromPulsar": stats.received},
        {"numWrittenToSink": stats.processed},
    )


def source_status_form(seen: Seen, worker_id: str, problem: str = "") -> Form:
    """``SourceInstanceStatusData`` of one instance."""
    stats = _stats(seen)
    return _form(
        seen,
        worker_id,
        problem,
        "Source",
        stats.source_exceptions,
        stats.latest_source_exceptions,
        {"numReceivedFromSource": stats.received},
        {"numWritten": stats.processed},
    )


def _form(
    seen: Seen,
    worker_id: str,
    problem: str,
    title: str,
    own: int,
    own_latest: Exceptions,
    taken: dict[str, int],
    given: dict[str, int],
) -> Form:
    _, status, stopped = seen
    running, stats = _is_running(seen), _stats(seen)
    form: Form = {
        "running": running,
        "error": "" if running or stopped else problem or error_of(status, title),
        "numRestarts": status.restarts if status is not None else 0,
        **taken,
        "numSystemExceptions": stats.system_exceptions + stats.user_exceptions - own,
    }
    if running:
        form["latestSystemExceptions"] = exceptions_form(
            [*stats.latest_user_exceptions, *_without(stats.latest_system_exceptions, own_latest)]
        )
    form[f"num{title}Exceptions"] = own
    if running:
        form[f"latest{title}Exceptions"] = exceptions_form(own_latest)
    form |= {**given, "lastReceivedTime": stats.last_invocation_ms, "workerId": worker_id}
    if status is not None and status.ends:
        form["ends"] = ends_form(status.ends)
    return form


def _is_running(seen: Seen) -> bool:
    return seen[1] is not None and seen[1].state is State.RUNNING


def _stats(seen: Seen) -> InstanceStats:
    status = seen[1]
    return (status.stats if status is not None and _is_running(seen) else None) or _NOTHING


def _without(exceptions: Exceptions, some: Exceptions) -> list[tuple[str, int]]:
    left = list(exceptions)
    for each in some:
        if each in left:
            left.remove(each)
    return left
