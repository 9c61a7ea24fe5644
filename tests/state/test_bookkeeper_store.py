"""BookKeeper's table service, as Apache Pulsar's own functions use it."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from typing import ClassVar

import pytest

from pulsar_runtimes.model.errors import StateError
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.state import bookkeeper_store
from pulsar_runtimes.state.bookkeeper_store import BookKeeperStateStore
from pulsar_runtimes.state.registry import open_state_store
from pulsar_runtimes.testing import StateStoreConformance
from tests.standalone.standalone import Standalone

FUNCTION = FunctionKey("public", "default", "f")


@pytest.mark.slow
@pytest.mark.standalone
class TestBookKeeperConformance(StateStoreConformance):
    processes: ClassVar[int] = 3
    increments: ClassVar[int] = 100

    @pytest.fixture
    def url(self, pulsar_table_service: Standalone) -> str:
        return pulsar_table_service.table_service_url


@pytest.fixture
def silent() -> Iterator[str]:
    """A port that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"bk://127.0.0.1:{listening.getsockname()[1]}"


def test_a_url_without_a_host_is_refused() -> None:
    with pytest.raises(StateError, match="must be bk://host:port"):
        open_state_store("bk://")


def test_a_client_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bookkeeper" else find(name))
    with pytest.raises(StateError, match=r"stateStorageServiceUrl: .*install pulsar-runtimes\[bookkeeper\]"):
        open_state_store("bk://h:4181")


def test_a_service_that_does_not_answer_is_told_in_time(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bookkeeper")
    monkeypatch.setattr(bookkeeper_store, "_CALL_SECONDS", 0.5)
    store = BookKeeperStateStore.from_url(silent)
    with pytest.raises(StateError, match=f"the state of public/default/f in {silent}: "):
        store.get(FUNCTION, "key")
    store.close()
    store.close()


def test_a_service_that_is_not_there_is_told() -> None:
    pytest.importorskip("bookkeeper")
    store = BookKeeperStateStore.from_url("bk://127.0.0.1:1")
    with pytest.raises(StateError, match=r"the state of public/default/f in bk://127\.0\.0\.1:1: "):
        store.increment(FUNCTION, "key", 1)
    store.close()
