"""For how long an instance ran twice, as the broker's list of consumers tells it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection
from types import TracebackType
from typing import Self

import httpx

_PERIOD_SECONDS = 0.2


class Doubles:
    """Looks at the consumers of ``topics``, each the input of one function, again and again.

    ``looks`` counts them; ``longest_seconds`` is for how long at most an instance was seen with two consumers in one
    look after the other.
    """

    def __init__(self, admin_url: str, topics: Collection[str]) -> None:
        self.looks = 0
        self.longest_seconds = 0.0
        self._http = httpx.Client(base_url=admin_url, timeout=10)
        self._paths = [f"/admin/v2/{topic.replace('://', '/')}/stats" for topic in topics]
        self._since: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._ended.wait(_PERIOD_SECONDS):
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        instances = Counter(
            consumer["metadata"]["id"] + ":" + consumer["metadata"]["instance_id"]
            for path in self._paths
            for subscription in self._http.get(path).json().get("subscriptions", {}).values()
            for consumer in subscription["consumers"]
            if "instance_id" in consumer.get("metadata", {})
        )
        self._since = {name: self._since.get(name, now) for name, count in instances.items() if count > 1}
        self.longest_seconds = max([self.longest_seconds, *(now - since for since in self._since.values())])
        self.looks += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._http.close()
