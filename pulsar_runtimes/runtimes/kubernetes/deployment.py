"""Puts the objects of one function on Kubernetes, changes them, and takes them away. One attempt at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from pulsar_runtimes.model.errors import LaunchError

from .api import CONFLICT, FIELD_MANAGER, NOT_FOUND, ApiError, Manifest
from .backoff import Backoff
from .change import Step, decide, replacement, scaled
from .ownership import Job, foreign_reason
from .paths import path_of, resource_of
from .session import NamespaceView, Session

_CONFLICTS = 10
"""How often an object may change between reading and writing it. The controller writes its status all the time."""

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0
_log = logging.getLogger(__name__)


def apply(session: Session, job: Job, *, remove_seconds: float, grace_period_seconds: int) -> None:
    """Make what there is become ``job``; sends nothing when it is so already.

    ``ApiError`` when a request fails: what was done stays, and trying again goes on from there. ``LaunchError`` when an
    object of that name is not ours.
    """
    view = session.view(job.namespace)
    live = view.stateful_sets.get(job.name)
    for _ in range(_CONFLICTS):
        if live is not None:
            _check_ours(live, job)
        change = decide(live, job)
        try:
            match change.step:
                case Step.KEEP:
                    return
                case Step.CREATE:
                    _put_companions(session, job)
                    _send(session, view, "POST", job.manifests.stateful_set)
                    return
                case Step.SCALE:
                    assert live is not None
                    if job.manifests.config_map is not None:
                        _put_companions(session, job)
                    _send(session, view, "PUT", scaled(live, job))
                    _log.info("%s: %d replicas", job.key, job.replicas)
                    return
                case Step.REPLACE:
                    assert live is not None
                    _put_companions(session, job)
                    _send(session, view, "PUT", replacement(live, job))
                    told = "pods restart one after another" if change.restarts_pods else "no pod restarts"
                    _log.info("%s: changed in place, %s", job.key, told)
                    return
                case Step.RECREATE:
                    assert live is not None
                    if change.immutable:
                        fields = ", ".join(change.immutable)
                        _log.warning("%s: made anew, as nobody may change %s", job.key, fields)
                    _delete_and_wait(session, view, live, time.monotonic() + remove_seconds, grace_period_seconds)
                    live = session.api.find(path_of("statefulsets", job.namespace, job.name))
        except ApiError as error:
            if error.status not in (CONFLICT, NOT_FOUND) or (error.status == NOT_FOUND and live is None):
                raise
            live = session.api.find(path_of("statefulsets", job.namespace, job.name))
    raise ApiError(f"StatefulSet {job.name}: somebody else changes it all the time", CONFLICT)


def remove(session: Session, job: Job, *, seconds: float, grace_period_seconds: int) -> None:
    """Delete all objects of ``job`` that are ours, and wait until none of its pods is left. Idempotent.

    Failures that may pass are tried again. ``LaunchError`` when something is left after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    backoff = Backoff()
    while True:
        try:
            view = session.view(job.namespace)
            live = session.api.find(path_of("statefulsets", job.namespace, job.name))
            if live is not None and not foreign_reason(live, job):
                _delete_and_wait(session, view, live, deadline, grace_period_seconds)
            for manifest in job.manifests.documents:
                if manifest["kind"] != "StatefulSet":
                    _delete_companion(session, job, manifest)
            return
        except ApiError as error:
            wait = backoff.next(error.retry_after_seconds)
            if not error.is_transient or time.monotonic() + wait > deadline:
                raise
        if session.closing.wait(wait):
            raise LaunchError(f"{job.key}: may be left on Kubernetes, as the worker ended; pfrun k8s gc finds it")


def _check_ours(live: Mapping[str, Any], job: Job) -> None:
    reason = foreign_reason({"kind": "StatefulSet", **live}, job)
    if reason:
        raise LaunchError(f"{job.key}: {reason}")


def put_secret(session: Session, job: Job, manifest: Manifest) -> None:
    """Make a Secret beside the objects of ``job``, or replace it. Failures that may pass are tried again for a while.

    ``LaunchError`` when it cannot be done.
    """
    session.patiently(lambda: _put(session, job, manifest), _PATIENCE_SECONDS)


def remove_secret(session: Session, job: Job, manifest: Manifest) -> None:
    """Delete it, if it is there and ours. Idempotent; errors as :func:`put_secret` has them."""
    session.patiently(lambda: _delete_companion(session, job, manifest), _PATIENCE_SECONDS)


def _put_companions(session: Session, job: Job) -> None:
    """All but the StatefulSet, made or replaced: they are there before any pod is."""
    for manifest in job.manifests.documents:
        if manifest["kind"] != "StatefulSet":
            _put(session, job, manifest)


def _put(session: Session, job: Job, manifest: Manifest) -> None:
    resource, name = resource_of(manifest["kind"]), manifest["metadata"]["name"]
    try:
        session.api.request("POST", path_of(resource, job.namespace), manifest, _MANAGED)
    except ApiError as error:
        if error.status != CONFLICT:
            raise
        known = session.api.find(path_of(resource, job.namespace, name))
        if known is None:
            raise  # deleted this moment; the next attempt makes it
        reason = foreign_reason({"kind": manifest["kind"], **known}, job)
        if reason:
            raise LaunchError(f"{job.key}: {reason}") from None
        session.api.request("PUT", path_of(resource, job.namespace, name), manifest, _MANAGED)


def _send(session: Session, view: NamespaceView, method: str, manifest: Manifest) -> None:
    metadata = manifest["metadata"]
    name = metadata["name"] if method == "PUT" else ""
    path = path_of("statefulsets", metadata["namespace"], name)
    view.stateful_sets.put(session.api.request(method, path, manifest, _MANAGED))


_MANAGED = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


def _delete(session: Session, resource: str, live: Mapping[str, Any], grace_seconds: int) -> None:
    """Ask for the end of this very object; one that is gone already is no error.

    Not in the foreground as the reference does: the object would stay until the garbage collector has come by twice,
    which takes three times as long for a hundred functions. Who waits for the pods looks at the pods.
    """
    metadata = live["metadata"]
    session.api.delete(path_of(resource, metadata["namespace"], metadata["name"]), metadata["uid"], grace_seconds)


def _delete_companion(session: Session, job: Job, manifest: Manifest) -> None:
    resource = resource_of(manifest["kind"])
    live = session.api.find(path_of(resource, job.namespace, manifest["metadata"]["name"]))
    if live is not None and not foreign_reason(live, job):
        _delete(session, resource, live, 0)


def _delete_and_wait(
    session: Session, view: NamespaceView, live: Mapping[str, Any], deadline: float, grace_period_seconds: int
) -> None:
    """End the StatefulSet ``live`` and all of its pods. ``LaunchError`` when they are still there at ``deadline``."""
    name, uid = live["metadata"]["name"], live["metadata"]["uid"]
    _delete(session, "statefulsets", live, grace_period_seconds)

    def is_gone() -> bool:
        left = view.stateful_sets.get(name)
        return left is None or left["metadata"]["uid"] != uid

    def has_no_pods() -> bool:
        return not any(_belongs(pod, uid) for pod in view.pods.owned_by(name))

    _wait(view.stateful_sets.wait, is_gone, deadline, lambda: f"StatefulSet {name}")
    _wait(view.pods.wait, has_no_pods, deadline, lambda: _left(view, name))
    while left := _unseen_pods(session, live):  # made at the last moment, so that the watch has not told of them yet
        if time.monotonic() > deadline or session.closing.wait(_POLL_SECONDS):
            raise LaunchError(f"still there on Kubernetes: pods {', '.join(left)}; pfrun k8s gc finds it")


def _unseen_pods(session: Session, stateful_set: Mapping[str, Any]) -> list[str]:
    """The pods of ``stateful_set`` that there are now, by a list of their own."""
    metadata = stateful_set["metadata"]
    labels = stateful_set["spec"]["selector"]["matchLabels"]
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}
    answer = session.api.request("GET", path_of("pods", metadata["namespace"]), query=query)
    return [pod["metadata"]["name"] for pod in answer.get("items") or () if _belongs(pod, metadata["uid"])]


def _wait(
    wait: Callable[[Callable[[], bool], float], bool],
    is_so: Callable[[], bool],
    deadline: float,
    left: Callable[[], str],
) -> None:
    if not wait(is_so, deadline):
        raise LaunchError(f"still there on Kubernetes: {left()}; pfrun k8s gc finds it")


def _belongs(pod: Mapping[str, Any], uid: str) -> bool:
    return any(reference["uid"] == uid for reference in pod["metadata"].get("ownerReferences") or ())


def _left(view: NamespaceView, name: str) -> str:
    return f"pods {', '.join(pod['metadata']['name'] for pod in view.pods.owned_by(name))}"
