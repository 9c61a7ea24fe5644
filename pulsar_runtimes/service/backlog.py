"""How many messages wait for each function, as the brokers count them, for those who must not wait for a broker."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from pulsar_runtimes.metadata.admin_client import AdminError
from pulsar_runtimes.metadata.topic_admin import namespace_path, topic_path
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.names import FunctionKey, full_topic

from .collector import Collector

_THREADS = 4
_IDLE_SECONDS = 30.0
_MOST_TOPICS = 100
_MISSING = 404
_MOST_REPEATS = 3
_SIMPLE = re.compile(r"(?:[\w/:.-]|\.[*+])*")
"""What a pattern may consist of to be looked for here: a match of it takes little time, whatever the names are."""

_PARTITION = re.compile(r"-partition-\d+$")
_log = logging.getLogger(__name__)


class Brokers(Protocol):
    """Their admin API. ``AdminError`` for a refusal, ``MetadataError`` for no answer."""

    def get(self, path: str) -> Any: ...


class Backlogs:
    """Asks the brokers from :meth:`start` until :meth:`stop`, every ``period_seconds`` while somebody looks.

    Without ``brokers``, as with the embedded one, nothing is known.
    """

    def __init__(
        self,
        brokers: Brokers | None,
        functions: Callable[[], Iterable[FunctionSpec]],
        *,
        period_seconds: float = 10.0,
    ) -> None:
        self._partitioned: set[str] = set()
        self._collector: Collector[FunctionKey, FunctionSpec, int | None] | None = None
        if brokers is not None:
            self._collector = Collector(
                lambda: {function.key: function for function in functions() if function.source.input_specs},
                lambda function: self._ask(brokers, function),
                period_seconds=period_seconds,
                name="backlog",
                idle_seconds=_IDLE_SECONDS,
                threads=_THREADS,
            )

    def start(self) -> None:
        if self._collector is not None:
            self._collector.start()

    def stop(self) -> None:
        """Idempotent."""
        if self._collector is not None:
            self._collector.stop()

    def backlogs(self) -> Mapping[FunctionKey, int]:
        """The sum over the inputs of each function of which something is known; a batch counts once. Never waits."""
        if self._collector is None:
            return {}
        answers = self._collector.answers().items()
        return {key: answer.value for key, answer in answers if answer.value is not None}

    def _ask(self, brokers: Brokers, function: FunctionSpec) -> int | None:
        """``None`` when no broker knows the subscription, or none answers."""
        counts: list[int] = []
        try:
            for topic in _topics(brokers, function):
                subscriptions = self._stats(brokers, topic).get("subscriptions") or {}
                count = (subscriptions.get(function.subscription_name) or {}).get("msgBacklog")
                if isinstance(count, int):
                    counts.append(count)
        except MetadataError as error:
            _log.debug("%s: its backlog is not known: %s", function.key, error)
            return None
        return sum(counts) if counts else None

    def _stats(self, brokers: Brokers, topic: str) -> Mapping[str, Any]:
        """The statistics of a topic, with partitions or without; empty when there is no such topic."""
        forms = ["stats", "partitioned-stats?perPartition=false"]
        if topic in self._partitioned:
            forms.reverse()
        for form in forms:
            try:
                found = brokers.get(f"{topic_path(topic)}/{form}")
            except AdminError as error:
                if error.status == _MISSING:
                    continue
                raise
            if form != "stats":
                self._partitioned.add(topic)
            return found if isinstance(found, dict) else {}
        return {}


def _topics(brokers: Brokers, function: FunctionSpec) -> Iterator[str]:
    for name, consumer in function.source.input_specs.items():
        topic = full_topic(name)
        if consumer.is_regex_pattern:
            yield from _matching(brokers, topic)
        else:
            yield topic


def _matching(brokers: Brokers, pattern: str) -> list[str]:
    """The topics of a pattern's namespace that it means; none where they are too many, or it is intricate."""
    domain, _, rest = pattern.partition("://")
    if not _SIMPLE.fullmatch(rest) or sum(map(rest.count, "*+")) > _MOST_REPEATS:
        return []  # it is a user's, and a bad one would hold up the whole worker for as long as he likes
    expression = re.compile(rest)
    listed = brokers.get(f"/admin/v2/{domain}/{namespace_path(pattern)}")
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    found = [name for name in names if expression.fullmatch(_PARTITION.sub("", name.partition("://")[2]))]
    return found if len(found) <= _MOST_TOPICS else []
