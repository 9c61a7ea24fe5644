"""Names: functions, instances, topics. Pure text, no look-ups."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_TOPIC = re.compile(
    r"(?:(?P<domain>persistent|non-persistent)://)?"
    r"(?P<tenant>[^/\s]+)/(?P<cluster>[^/\s]+/)?(?P<namespace>[^/\s]+)/(?P<name>[^/\s].*)"
)
_PLAIN = re.compile(r"[-=:.\w]+")

ALL_REPLICAS = -1
"""The instance id that stands for the whole function, where a backend runs all replicas as one."""


@dataclass(frozen=True, slots=True, order=True)
class FunctionKey:
    """Which function: ``tenant/namespace/name``, Pulsar's fully-qualified function name."""

    tenant: str
    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``tenant/namespace/name``; ``ValueError`` for anything else."""
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"must be tenant/namespace/name (got {text!r})")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.tenant}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class InstanceKey:
    """Which instance of a function. ``instance_id`` counts from 0; -1 stands for all replicas together."""

    function: FunctionKey
    instance_id: int

    def __str__(self) -> str:
        return f"{self.function}:{self.instance_id}"


def topic_problem(topic: str) -> str | None:
    """Why ``topic`` is no valid Pulsar topic name, or ``None`` when it is one."""
    if not topic or topic != topic.strip():
        return f"is not a topic name (got {topic!r})"
    if "://" in topic or "/" in topic:
        if _TOPIC.fullmatch(topic) is None:
            return f"must be [persistent://]tenant/namespace/topic (got {topic!r})"
        return None
    if _PLAIN.fullmatch(topic) is None:
        return f"may only hold letters, digits and -=:._ when it is a short name (got {topic!r})"
    return None


def full_topic(topic: str) -> str:
    """The complete form of a topic name: ``in`` becomes ``persistent://public/default/in``."""
    if "://" in topic:
        return topic
    if "/" in topic:
        return f"persistent://{topic}"
    return f"persistent://public/default/{topic}"


def path_problem(text: str) -> str | None:
    """Why ``text`` may not be one segment of a file path, or ``None`` when it may.

    Tenant, namespace and function name become directory and file names, so whoever may name a function
    must not be able to name a place outside.
    """
    if text in ("", ".", ".."):
        return f"must be a name (got {text!r})"
    bad = sorted({c for c in text if c in "/\\\0" or ord(c) < 32 or c.isspace()})
    if bad:
        return f"must not hold {', '.join(repr(c) for c in bad)} (got {text!r})"
    return None
