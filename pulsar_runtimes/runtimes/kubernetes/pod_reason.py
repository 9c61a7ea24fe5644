"""How a function is on Kubernetes, from its StatefulSet and its pods, and what keeps it from working. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pulsar_runtimes.model.observation import Observation, Phase

_LONGEST_REASON = 500
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
_KILLED = 128
_CRASH_LOOP = "CrashLoopBackOff"
_REVISION_LABEL = "controller-revision-hash"


def observe_job(stateful_set: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], wanted: int) -> Observation:
    """The phase of the function: RUNNING when all ``wanted`` pods are ready, and made as they are wanted now.

    Else STARTING, also for one that has run before: Kubernetes goes on trying. The reason counts the ready pods, and
    has what the first pod in trouble says of itself.
    """
    status = stateful_set.get("status") or {}
    ready = int(status.get("readyReplicas") or 0)
    is_seen = int(status.get("observedGeneration") or 0) >= int(stateful_set["metadata"].get("generation") or 0)
    revision = str(status.get("updateRevision") or "")
    updated = (
        wanted if str(status.get("currentRevision") or "") == revision else int(status.get("updatedReplicas") or 0)
    )
    if is_seen and ready == wanted and updated >= wanted and int(status.get("replicas") or 0) == wanted:
        return Observation(Phase.RUNNING)
    troubles = sorted(_troubles(pods))
    number, exit_code, told = troubles[0] if troubles else (0, None, "")
    if told:
        alike = sum(1 for trouble in troubles if trouble[1:] == (exit_code, told)) - 1
        more = f" (and {alike} more)" if alike else ""
        told = f"; pod {number}{more}: {told}"
    elif is_seen and ready == wanted and updated < wanted:
        told = f"; {updated} of {wanted} have the new version"
    reason = " ".join(f"{ready} of {wanted} pods are ready{told}".split())[:_LONGEST_REASON]
    return Observation(Phase.STARTING, exit_code or None, reason)


def observe_pod(stateful_set: Mapping[str, Any], pod: Mapping[str, Any] | None) -> Observation:
    """The phase of one replica, whose ``pod`` may not be there.

    EXITED stands for a container that has ended and is waited with before it is started again. One that is ready, but
    is not made as it is wanted now, is outdated.
    """
    if pod is None:
        return Observation(Phase.STARTING, reason="its pod is not there yet")
    status = pod.get("status") or {}
    restarts = sum(int(container.get("restartCount") or 0) for container in status.get("containerStatuses") or ())
    outdated = not _is_newest(stateful_set, pod)
    if pod["metadata"].get("deletionTimestamp"):
        return Observation(Phase.STARTING, reason="its pod is being replaced", restarts=restarts, outdated=outdated)
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or ()}
    if conditions.get("Ready") == "True":
        return Observation(Phase.RUNNING, restarts=restarts, outdated=outdated)
    exit_code, told = _trouble(status) or (None, "")
    phase = Phase.STARTING if exit_code is None or not _has_ended(status) else Phase.EXITED
    return Observation(phase, exit_code or None, " ".join(told.split())[:_LONGEST_REASON], (), restarts, outdated)


def _is_newest(stateful_set: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether ``pod`` is as the StatefulSet wants it, as far as its controller has told."""
    metadata, status = stateful_set["metadata"], stateful_set.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(metadata.get("generation") or 0):
        return False
    revision = (pod["metadata"].get("labels") or {}).get(_REVISION_LABEL)
    return revision is None or revision == status.get("updateRevision")


def _has_ended(status: Mapping[str, Any]) -> bool:
    """Whether a container has ended, and does not run again."""
    states = [container.get("state") or {} for container in status.get("containerStatuses") or ()]
    return any("terminated" in state or _reason(state) == _CRASH_LOOP for state in states)


def _reason(state: Mapping[str, Any]) -> str:
    return str((state.get("waiting") or {}).get("reason") or "")


def ordinal_of(pod: Mapping[str, Any]) -> int:
    """The pod's number in its StatefulSet."""
    end = str(pod["metadata"]["name"]).rpartition("-")[2]
    return int(end) if end.isdecimal() else 0


def _troubles(pods: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, int, str]]:
    """Number, exit code (0 where there is none) and what is wrong, for each pod that is not well."""
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp"):
            continue
        found = _trouble(pod.get("status") or {})
        if found is not None:
            exit_code, text = found
            yield ordinal_of(pod), exit_code, text


def _trouble(status: Mapping[str, Any]) -> tuple[int, str] | None:
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        found = _container_trouble(container)
        if found is not None:
            return found
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return 0, f"{condition.get('reason') or 'Unschedulable'}: {condition.get('message') or 'no node takes it'}"
    if status.get("reason") or status.get("phase") == "Failed":  # evicted, or lost with its node
        return 0, f"{status.get('reason') or 'Failed'}: {status.get('message') or 'no message'}"
    return None


def _container_trouble(container: Mapping[str, Any]) -> tuple[int, str] | None:
    if container.get("ready"):
        return None
    state = container.get("state") or {}
    waiting, ended = (
        state.get("waiting"),
        state.get("terminated") or (container.get("lastState") or {}).get("terminated"),
    )
    if waiting and waiting.get("reason") not in (None, "", _CRASH_LOOP, *_STARTING):
        return 0, _said(waiting)
    if not ended:
        return (0, _said(waiting)) if waiting and waiting.get("reason") == _CRASH_LOOP else None
    code = int(ended.get("exitCode") or 0)
    restarts = int(container.get("restartCount") or 0)
    name = str((waiting or {}).get("reason") or ended.get("reason") or "Error")
    if ended.get("reason") == "OOMKilled":
        name = "OOMKilled" if name == "OOMKilled" else f"{name}, OOMKilled"
    how = f"exit code {code}" + (f", signal {code - _KILLED}" if code > _KILLED else "")
    again = f", {restarts} restarts" if restarts else ""
    *_, last = str(ended.get("message") or "").strip().splitlines() or [""]
    return code, f"{name} ({how}{again})" + (f": {last}" if last else "")


def _said(state: Mapping[str, Any]) -> str:
    message = str(state.get("message") or "")
    return f"{state['reason']}: {message}" if message else str(state["reason"])
