"""What the topics of the state of record need of the brokers: a namespace that forgets nothing, and compaction."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from pulsar_runtimes.model.errors import MetadataError

from .admin_client import AdminClient, AdminError
from .topic_names import TopicNames

_EXISTS = 409
_MISSING = 404

_FOREVER = {"retentionTimeInMinutes": -1, "retentionSizeInMB": -1}

_logger = logging.getLogger(__name__)


def ensure_topics(admin: AdminClient, names: TopicNames) -> None:
    """Make the namespace and its topics, so far as they do not exist.

    The namespace is like the one that Apache Pulsar's worker makes: it keeps everything, as nobody acknowledges what
    is in the topics, and no topic of it is removed for being idle. One that exists is left as it is; where it keeps
    less, that is logged. ``MetadataError`` when it cannot be done; a tenant must exist.
    """
    policies = {
        "replication_clusters": [names.cluster],
        "retention_policies": _FOREVER,
        "inactive_topic_policies": {"maxInactiveDurationSeconds": 0, "deleteWhileInactive": False},
    }
    namespace = f"/admin/v2/namespaces/{names.namespace}"
    if not _make(admin, namespace, policies):
        kept = admin.get(f"{namespace}/retention")
        if kept != _FOREVER:
            _logger.warning(
                "%s: keeps messages for a time only (%s), so registered functions may get lost; "
                "pulsar-admin namespaces set-retention %s --time -1 --size -1",
                names.namespace,
                "the broker's default" if kept is None else kept,
                names.namespace,
            )
    for topic in (names.metadata, names.assignments, names.coordination):
        _make(admin, topic_path(topic))


def compact(admin: AdminClient, topic: str) -> None:
    """Ask for the compaction of ``topic``; the broker does it by itself. Nothing happens while one is on its way.

    :func:`compaction_status` tells how it goes. ``MetadataError`` when the broker does not take it.
    """
    _make(admin, f"{topic_path(topic)}/compaction")


def compaction_status(admin: AdminClient, topic: str) -> str:
    """``NOT_RUN``, ``RUNNING``, ``SUCCESS``, or ``ERROR`` with the reason behind it."""
    found = admin.get(f"{topic_path(topic)}/compaction")
    status = str(found["status"])
    return f"{status}: {found['lastError']}" if found.get("lastError") else status


def topic_stats(admin: AdminClient, topic: str) -> dict[str, Any]:
    """The broker's statistics of ``topic``; empty when there is no such topic. ``MetadataError`` otherwise."""
    try:
        found = admin.get(f"{topic_path(topic)}/stats")
    except AdminError as error:
        if error.status == _MISSING:
            return {}
        raise
    if not isinstance(found, dict):
        raise MetadataError(f"{topic}: no statistics")
    return found


def topic_path(topic: str) -> str:
    """The place of a topic, given by its full name, in the admin REST API."""
    domain, _, name = topic.partition("://")
    return "/".join(("/admin/v2", domain, *(path_segment(part) for part in name.split("/", 2))))


def namespace_path(topic: str) -> str:
    """The namespace of a topic, or of a pattern, as two segments of a path."""
    parts = [*topic.partition("://")[2].split("/", 2), "", ""]
    return f"{path_segment(parts[0])}/{path_segment(parts[1])}"


def path_segment(text: str) -> str:
    """``text`` as one segment of a path, and never a step up."""
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def _make(admin: AdminClient, path: str, body: Any = None) -> bool:
    """Whether it was made, and was not there before."""
    try:
        admin.put(path, body)
    except AdminError as error:
        if error.status == _EXISTS:
            return False
        raise
    return True
