"""Objects of one kind in one namespace, kept up to date by one list and then one watch, however many they are."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .api import ApiError, KubernetesApi, Manifest
from .backoff import Backoff
from .ownership import selector
from .paths import path_of

_GONE = 410
"""The API server has forgotten the version that a watch should go on from."""

_SHORT_SECONDS = 1.0
_CLOSE_SECONDS = 5.0
_log = logging.getLogger(__name__)


class WatchedList:
    """What there is of ``resource`` with our label. Read it from any thread; a thread of its own keeps it up to date.

    ``trouble`` tells why nobody can say how things are now, and is blank while that is known. ``changed`` is called
    after each change, from that thread; it must be quick.
    """

    def __init__(
        self, api: KubernetesApi, resource: str, namespace: str, cluster: str, changed: Callable[[], None]
    ) -> None:
        self._api = api
        self._path = path_of(resource, namespace)
        self._query = {"labelSelector": selector(cluster)}
        self._changed = changed
        self._items: dict[str, Manifest] = {}
        self._owned: dict[str, set[str]] = {}
        self._condition = threading.Condition()
        self._version = ""
        self._ended = threading.Event()
        self._opened: list[Any] = []
        self._thread: threading.Thread | None = None
        self.trouble = ""
        self.name = f"{resource} of namespace {namespace}"

    def start(self) -> None:
        """List once, then keep up to date until :meth:`close`. ``ApiError`` when the list fails; nothing runs then."""
        self._list()
        self._thread = threading.Thread(target=self._follow, name=f"kubernetes-{self.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch. Idempotent."""
        self._ended.set()
        with self._condition:
            self._condition.notify_all()
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self._thread is not None and self._thread.is_alive() and time.monotonic() < deadline:
            self._api.break_off(self._opened)  # again and again, as it may be about to open one
            self._thread.join(0.1)

    def get(self, name: str) -> Manifest | None:
        with self._condition:
            return self._items.get(name)

    def owned_by(self, name: str) -> list[Manifest]:
        """The objects whose controller has that name."""
        with self._condition:
            return [self._items[each] for each in sorted(self._owned.get(name, ()))]

    def all(self) -> list[Manifest]:
        with self._condition:
            return list(self._items.values())

    def put(self, item: Manifest) -> None:
        """Take up what the API server has just answered, as the watch may tell of it only later."""
        with self._condition:
            known = self._items.get(item["metadata"]["name"])
            # One that is not there although the watch has come past it has been deleted since.
            if (_number(self._version) if known is None else _version(known)) < _version(item):
                self._keep(_lean(item))
            self._condition.notify_all()

    def wait(self, is_so: Callable[[], bool], deadline: float) -> bool:
        """Whether ``is_so`` before ``deadline``, on the monotonic clock, looked at after each change."""
        with self._condition:
            while not is_so():
                left = deadline - time.monotonic()
                if left <= 0 or self._ended.is_set():
                    return is_so()
                self._condition.wait(min(left, 1.0))
            return True

    # The thread

    def _follow(self) -> None:
        backoff = Backoff()
        while not self._ended.is_set():
            try:
                if not self._version:
                    self._list()
                began = time.monotonic()
                for event in self._api.watch(self._path, self._from_here(), self._opened):
                    if self._ended.is_set():
                        return
                    backoff.reset()
                    self._take(event)
                if time.monotonic() - began < _SHORT_SECONDS:  # who ends a watch at once would be asked without end
                    self._ended.wait(backoff.next())
            except ApiError as error:
                if self._ended.is_set():
                    return
                if error.status == _GONE:
                    self._version = ""
                    continue
                if not self.trouble:
                    _log.warning("%s cannot be watched: %s", self.name, error)
                self.trouble = str(error)
                self._version = ""  # a list tells, too, what was deleted meanwhile
                self._changed()
                self._ended.wait(backoff.next(error.retry_after_seconds))
            except Exception as error:
                _log.exception("%s: watching them failed", self.name)
                self.trouble, self._version = f"{type(error).__name__}: {error}", ""
                self._ended.wait(backoff.next())

    def _from_here(self) -> dict[str, str]:
        return {**self._query, "resourceVersion": self._version}

    def _list(self) -> None:
        answer = self._api.request("GET", self._path, query=self._query)
        with self._condition:
            self._items.clear()
            self._owned.clear()
            for item in answer.get("items") or ():
                self._keep(_lean(item))
            self._version = answer["metadata"]["resourceVersion"]
            if self.trouble:
                _log.warning("%s can be watched again", self.name)
            self.trouble = ""
            self._condition.notify_all()
        self._changed()

    def _take(self, event: Manifest) -> None:
        item = event["object"]
        with self._condition:
            self._version = item["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                return
            known = self._items.get(item["metadata"]["name"])
            if event["type"] == "DELETED":
                if known is not None and known["metadata"]["uid"] == item["metadata"]["uid"]:
                    self._forget(item["metadata"]["name"])
            elif known is None or _version(known) < _version(item):
                self._keep(_lean(item))
            self._condition.notify_all()
        self._changed()

    def _keep(self, item: Manifest) -> None:
        name = item["metadata"]["name"]
        self._items[name] = item
        for owner in _owners(item):
            self._owned.setdefault(owner, set()).add(name)

    def _forget(self, name: str) -> None:
        for owner in _owners(self._items.pop(name)):
            owned = self._owned.get(owner, set())
            owned.discard(name)
            if not owned:
                self._owned.pop(owner, None)


def _lean(item: Manifest) -> Manifest:
    """Without what only the API server needs, and what is the larger half."""
    item["metadata"].pop("managedFields", None)
    return item


def _version(item: Manifest) -> int:
    return _number(str(item["metadata"].get("resourceVersion") or ""))


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0


def _owners(item: Manifest) -> Iterator[str]:
    for reference in item["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            yield reference["name"]
