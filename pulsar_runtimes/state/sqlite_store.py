"""State in a file of SQLite's, which all instances on one machine share. The default beside the embedded broker."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote, urlsplit

from pulsar_runtimes.model.errors import StateError, StateKindError
from pulsar_runtimes.model.names import FunctionKey

from .base import StateStore, StateValue, counter_bytes, parse_counter

if TYPE_CHECKING:
    import sqlite3

_WAIT_SECONDS = 30.0
"""How long a write waits for others. They take far less than a millisecond each."""

_TABLE = """
CREATE TABLE IF NOT EXISTS state (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    function TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    is_counter INTEGER NOT NULL,
    PRIMARY KEY (tenant, namespace, function, key)
) WITHOUT ROWID
"""
_OF_FUNCTION = "tenant = ? AND namespace = ? AND function = ?"
_OF_KEY = f"{_OF_FUNCTION} AND key = ?"
_SELECT = f"SELECT value, version, is_counter FROM state WHERE {_OF_KEY}"
_WRITE = "INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?, ?, ?)"


def sqlite_url(path: Path) -> str:
    """The URL that leads to the store in a file."""
    return f"sqlite://{quote(str(path.absolute()))}"


class SqliteStateStore(StateStore):
    """One file with a write-ahead log. Each write is a transaction of its own.

    What a call has written outlives the end of any process. The file is synchronised at checkpoints only, so a power
    failure may cost the last writes, never the file. It must lie on a disk of the machine: the log is shared memory.
    """

    scheme = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        parts = urlsplit(url)
        path = unquote(parts.path)
        if parts.netloc or parts.query or parts.fragment or not path.strip("/"):
            raise StateError(f"the state store must be sqlite:///path/of/a/file (got {url!r})")
        return cls(Path(path))

    def get(self, function: FunctionKey, key: str) -> StateValue | None:
        with self._connected() as connection:
            return _read(connection, function, key)

    def put(self, function: FunctionKey, key: str, value: bytes) -> None:
        with self._writing() as connection:
            found = _read(connection, function, key)
            if found is not None and found.is_counter:
                raise StateKindError(f"the state {key!r} of {function} is a counter; delete it before it gets a value")
            _write(connection, function, key, StateValue(value, _next_version(found)))

    def increment(self, function: FunctionKey, key: str, amount: int) -> None:
        with self._writing() as connection:
            found = _read(connection, function, key)
            if found is not None and not found.is_counter:
                raise StateKindError(f"the state {key!r} of {function} is no counter; delete it before it is counted")
            number = amount if found is None else parse_counter(found.value) + amount
            _write(connection, function, key, StateValue(counter_bytes(number), _next_version(found), True))

    def delete(self, function: FunctionKey, key: str) -> None:
        with self._writing() as connection:
            connection.execute(f"DELETE FROM state WHERE {_OF_KEY}", (*_columns(function), key))

    def forget(self, function: FunctionKey) -> None:
        with self._writing() as connection:
            connection.execute(f"DELETE FROM state WHERE {_OF_FUNCTION}", _columns(function))

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; opened when it is first needed."""
        import sqlite3  # a megabyte, and most functions keep no state

        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except sqlite3.Error as error:
                raise StateError(f"the state in {self._path}: {error}") from error
            except OSError as error:
                raise StateError(f"the state in {self._path} cannot be opened: {error}") from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer is beside; taken back when anything is raised in it."""
        with self._connected() as connection:
            if connection.in_transaction:  # a thread was interrupted just where it was about to end it
                connection.execute("ROLLBACK")
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            deadline = time.monotonic() + _WAIT_SECONDS
            # The change of the journal does not wait by itself for others that open the new file as well.
            while True:
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("PRAGMA synchronous = NORMAL")
                    connection.execute(_TABLE)
                    return connection
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)
        except BaseException:
            connection.close()
            raise


def _columns(function: FunctionKey) -> tuple[str, str, str]:
    return function.tenant, function.namespace, function.name


def _read(connection: sqlite3.Connection, function: FunctionKey, key: str) -> StateValue | None:
    row = connection.execute(_SELECT, (*_columns(function), key)).fetchone()
    return None if row is None else StateValue(row[0], row[1], bool(row[2]))


def _write(connection: sqlite3.Connection, function: FunctionKey, key: str, state: StateValue) -> None:
    connection.execute(_WRITE, (*_columns(function), key, state.value, state.version, state.is_counter))


def _next_version(found: StateValue | None) -> int:
    return 0 if found is None else found.version + 1
