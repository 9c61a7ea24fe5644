"""What is known of Kubernetes' objects when answers and the watch come in any order."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pulsar_runtimes.runtimes.kubernetes.watched_list import WatchedList
from tests.waiting import until


class Server:
    """Lists nothing, at version 5; ``tell`` sends an event of a watch."""

    def __init__(self) -> None:
        self._events: list[Mapping[str, Any] | None] = []
        self._told = threading.Condition()

    def request(self, method: str, path: str, query: object = None) -> Any:
        return {"metadata": {"resourceVersion": "5"}, "items": []}

    def watch(self, path: str, query: object, opened: object) -> Iterator[Mapping[str, Any]]:
        while True:
            with self._told:
                self._told.wait_for(lambda: self._events)
                event = self._events.pop(0)
            if event is None:
                return
            yield event

    def break_off(self, opened: object) -> None:
        self._send(None)

    def tell(self, kind: str, item: Mapping[str, Any]) -> None:
        self._send({"type": kind, "object": item})

    def _send(self, event: Mapping[str, Any] | None) -> None:
        with self._told:
            self._events.append(event)
            self._told.notify_all()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def pods(server: Server) -> Iterator[WatchedList]:
    api: Any = server
    watched = WatchedList(api, "pods", "n", "c", lambda: None)
    watched.start()
    yield watched
    watched.close()


def pod(version: int) -> dict[str, Any]:
    return {"metadata": {"name": "p", "uid": "u", "resourceVersion": str(version)}}


def test_an_answer_is_known_before_the_watch_tells_of_it(pods: WatchedList) -> None:
    pods.put(pod(6))
    assert pods.get("p") == pod(6)


def test_a_late_answer_changes_nothing_that_is_newer(server: Server, pods: WatchedList) -> None:
    server.tell("ADDED", pod(6))
    server.tell("MODIFIED", pod(7))
    until(lambda: pods.get("p"), lambda seen: seen == pod(7))
    pods.put(pod(6))
    assert pods.get("p") == pod(7)


def test_a_late_answer_does_not_bring_back_what_was_deleted(server: Server, pods: WatchedList) -> None:
    server.tell("ADDED", pod(6))
    until(lambda: pods.get("p"))
    server.tell("DELETED", pod(7))
    until(lambda: pods.get("p") is None)
    pods.put(pod(6))
    assert pods.get("p") is None
    pods.put(pod(8))  # made anew
    assert pods.get("p") == pod(8)
