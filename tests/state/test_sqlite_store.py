"""The store beside the embedded broker."""

from __future__ import annotations

import ctypes
import stat
import threading
import time
from pathlib import Path

import pytest

from pulsar_runtimes.model.errors import StateError
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.state.sqlite_store import SqliteStateStore, sqlite_url
from pulsar_runtimes.testing import StateStoreConformance

FUNCTION = FunctionKey("public", "default", "f")


class TestSqliteConformance(StateStoreConformance):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return sqlite_url(tmp_path / "a place" / "with?a #name.db")


def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "below" / "state.db"
    store = SqliteStateStore.from_url(sqlite_url(path))
    assert not path.parent.exists()
    assert store.get(FUNCTION, "key") is None
    assert path.is_file()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://host/path", "sqlite:///path?mode=ro"])
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(StateError, match="must be sqlite:///path"):
        SqliteStateStore.from_url(url)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    store = SqliteStateStore(tmp_path / "file" / "state.db")
    with pytest.raises(StateError, match="cannot be opened"):
        store.put(FUNCTION, "key", b"value")
    (tmp_path / "state.db").write_text("no database, but text that is long enough to be looked at" * 100)
    store = SqliteStateStore(tmp_path / "state.db")
    with pytest.raises(StateError, match="not a database"):
        store.get(FUNCTION, "key")


def test_a_thread_that_is_interrupted_leaves_the_store_to_others(tmp_path: Path) -> None:
    """As the thread runtime interrupts a function that does not come back."""
    store = SqliteStateStore(tmp_path / "state.db")

    def count() -> None:
        try:
            while True:
                store.increment(FUNCTION, "counter", 1)
        except SystemExit:
            pass

    for _ in range(10):
        thread = threading.Thread(target=count)
        thread.start()
        time.sleep(0.02)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
        thread.join(10)
        assert not thread.is_alive()
        other = SqliteStateStore(tmp_path / "state.db")
        other.increment(FUNCTION, "counter", 1)
        store.increment(FUNCTION, "counter", 1)
        other.close()
    store.close()
