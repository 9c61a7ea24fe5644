"""The state of functions, as the admin API reads and writes it. Source: ``ComponentImpl`` of Apache Pulsar 4.0.8."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from pulsar_runtimes.model.errors import StateError, StateKindError
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.state.base import StateStore, StateValue
from pulsar_runtimes.state.registry import open_state_store

from .errors import NotFoundError, NotReadyError, RefusedError

_NO_STORE = "State storage client is not done initializing. Please try again in a little while."


class StateAccess:
    """The state store at ``url``, empty for none; ``exists`` tells whether there is a function.

    Each call opens the store anew: calls are rare, and another worker may have made a function's table anew. In this
    order: ``NotReadyError`` without a store, ``NotFoundError`` without the function, ``StateError`` when the store
    fails.
    """

    def __init__(self, url: str, exists: Callable[[FunctionKey], bool]) -> None:
        self._url = url
        self._exists = exists

    @property
    def enabled(self) -> bool:
        """Whether there is a store."""
        return bool(self._url)

    def get(self, function: FunctionKey, key: str) -> StateValue:
        """``NotFoundError`` when nothing stands under ``key``."""
        with self._store() as store:
            self._check(function)
            found = store.get(function, key)
        if found is None:
            raise NotFoundError(f"key '{key}' doesn't exist.")
        return found

    def put(self, function: FunctionKey, key: str, parse: Callable[[], bytes]) -> None:
        """Write what ``parse`` gives, which may raise ``RefusedError``, as this does when ``key`` is a counter."""
        with self._store() as store:
            value = parse()
            self._check(function)
            try:
                store.put(function, key, value)
            except StateKindError as error:
                raise RefusedError(str(error)) from error

    def forget(self, function: FunctionKey) -> None:
        """Take away all state of a function that is gone."""
        with self._store() as store:
            store.forget(function)

    def _check(self, function: FunctionKey) -> None:
        if not self._exists(function):
            raise NotFoundError(f"'{function.name}' is not found")

    @contextlib.contextmanager
    def _store(self) -> Iterator[StateStore]:
        if not self._url:
            raise NotReadyError(_NO_STORE)
        try:
            store = open_state_store(self._url)
        except StateError as error:
            raise NotReadyError(str(error)) from error
        with contextlib.closing(store):
            yield store
