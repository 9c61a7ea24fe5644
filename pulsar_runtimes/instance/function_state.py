"""The state of one function, as its context gives it to user code."""

from __future__ import annotations

import threading

from pulsar_runtimes.model.errors import AdmissionError, StateError, StateKindError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.state.base import LEAST_COUNTER, MOST_COUNTER, StateStore
from pulsar_runtimes.state.registry import open_state_store

NO_STORE = (
    "state is not enabled; no state store is configured: set stateStorageServiceUrl in the worker's configuration"
)


class FunctionState:
    """Opened when the function first asks for state, as most never do. May be used from any thread.

    ``RuntimeError`` where the worker has no state store; ``StateError`` when the store cannot do what it is asked for.
    """

    def __init__(self, spec: InstanceSpec) -> None:
        self._function = spec.function.key
        self._url = spec.python_state_url
        self._lock = threading.Lock()
        self._opened: StateStore | None = None
        self._closed = False

    def increment(self, key: str, amount: int) -> None:
        if not isinstance(amount, int) or not LEAST_COUNTER <= amount <= MOST_COUNTER:
            raise ValueError(f"a counter's amount must be an integer of 64 bits (got {amount!r})")
        self._store().increment(self._function, key, amount)

    def counter(self, key: str) -> int | None:
        """``None`` when there is none. ``StateKindError`` for a value that was not made by counting."""
        found = self._store().get(self._function, key)
        if found is None:
            return None
        if not found.is_counter:
            raise StateKindError(f"the state {key!r} of {self._function} is no counter")
        return found.number

    def put(self, key: str, value: str | bytes) -> None:
        """Text is stored as UTF-8."""
        if not isinstance(value, str | bytes | bytearray | memoryview):
            raise TypeError(f"a state must be str or bytes (got {type(value).__name__})")
        self._store().put(self._function, key, value.encode() if isinstance(value, str) else bytes(value))

    def get(self, key: str) -> bytes | None:
        """``None`` when there is none."""
        found = self._store().get(self._function, key)
        return None if found is None else found.value

    def delete(self, key: str) -> None:
        self._store().delete(self._function, key)

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            store, self._opened, self._closed = self._opened, None, True
        if store is not None:
            store.close()

    def _store(self) -> StateStore:
        if self._opened is not None:
            return self._opened
        if not self._url:
            raise RuntimeError(f"{self._function}: {NO_STORE}")
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._function}: the instance was stopped")
            if self._opened is None:
                self._opened = open_state_store(self._url)
            return self._opened


def check_state_store(spec: InstanceSpec) -> None:
    """``AdmissionError`` when pfrun's Python instance cannot use the state store that the worker names."""
    if not spec.state_storage_url:
        return
    try:
        open_state_store(spec.state_storage_url).close()
    except StateError as error:
        raise AdmissionError(f"{spec.function.key}: {error}") from error
