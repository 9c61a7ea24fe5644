"""The contract of :mod:`pulsar_runtimes.state.base` as tests that any store can run.

class TestRedisConformance(StateStoreConformance):
    @pytest.fixture
    def url(self):
        return "redis://127.0.0.1:6379"
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import ClassVar

import pytest

from pulsar_runtimes.model.errors import StateKindError
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.state.base import LEAST_COUNTER, MOST_COUNTER, StateStore, StateValue, counter_bytes
from pulsar_runtimes.state.registry import open_state_store

_COUNT = """
import sys
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.state.registry import open_state_store
url, function, times = sys.argv[1:]
store = open_state_store(url)
for done in range(int(times)):
    store.increment(FunctionKey.parse(function), "counter", 1)
    print(done + 1, flush=True)
store.close()
"""
"""A process that counts, and tells each time how far it has come."""


class StateStoreConformance:
    """Subclass it as ``Test...`` and give the ``url`` fixture.

    ``processes`` count at once, each ``increments`` times, within ``counted_within`` seconds.
    """

    processes: ClassVar[int] = 4
    increments: ClassVar[int] = 200
    counted_within: ClassVar[float] = 120.0

    @pytest.fixture
    def url(self) -> str:
        """A place that keeps state at least as long as the test."""
        raise NotImplementedError(f"{type(self).__name__} must define a fixture named url")

    @pytest.fixture
    def opened(self, url: str) -> Iterator[Callable[[], StateStore]]:
        """``opened()`` is one more store at ``url``; all are closed at the end."""
        with ExitStack() as stores:

            def build() -> StateStore:
                store = open_state_store(url)
                stores.callback(store.close)
                return store

            yield build

    @pytest.fixture
    def store(self, opened: Callable[[], StateStore]) -> StateStore:
        return opened()

    @pytest.fixture
    def function(self) -> FunctionKey:
        """A function that no other test has."""
        return FunctionKey("public", "con-formance", f"f-{uuid.uuid4().hex[:12]}")

    def test_it_says_by_which_scheme_it_is_found(self, store: StateStore, url: str) -> None:
        assert url.startswith(f"{store.scheme}://")

    def test_nothing_is_there_at_first(self, store: StateStore, function: FunctionKey) -> None:
        assert store.get(function, "key") is None
        store.delete(function, "key")
        store.forget(function)

    @pytest.mark.parametrize("value", [b"text", b"", "\u00e9".encode(), bytes(range(256)), b"12345678", b"x" * 100_000])
    def test_a_value_is_what_was_put(self, value: bytes, store: StateStore, function: FunctionKey) -> None:
        store.put(function, "key", value)
        assert store.get(function, "key") == StateValue(value, 0)

    @pytest.mark.parametrize("key", ["", "a b", "a/b", "\u00e9", "k" * 1000])
    def test_any_text_may_be_a_key(self, key: str, store: StateStore, function: FunctionKey) -> None:
        store.put(function, key, b"value")
        store.put(function, f"{key}.", b"another")
        assert store.get(function, key) == StateValue(b"value", 0)

    def test_a_version_counts_the_writes_since_the_key_is_there(self, store: StateStore, function: FunctionKey) -> None:
        for version in range(3):
            store.put(function, "key", b"the same")
            assert store.get(function, "key") == StateValue(b"the same", version)
        store.delete(function, "key")
        assert store.get(function, "key") is None
        store.put(function, "key", b"again")
        assert store.get(function, "key") == StateValue(b"again", 0)

    def test_a_counter_is_eight_bytes_big_endian(self, store: StateStore, function: FunctionKey) -> None:
        for version, (amount, number) in enumerate([(0, 0), (1, 1), (258, 259), (-300, -41)]):
            store.increment(function, "key", amount)
            found = store.get(function, "key")
            assert found == StateValue(counter_bytes(number), version, is_counter=True)
            assert found.number == number

    def test_a_counter_that_leaves_its_bits_comes_back_at_the_other_end(
        self, store: StateStore, function: FunctionKey
    ) -> None:
        store.increment(function, "key", MOST_COUNTER)
        store.increment(function, "key", 1)
        found = store.get(function, "key")
        assert found is not None and found.number == LEAST_COUNTER

    def test_a_value_is_no_counter_and_the_other_way_round(self, store: StateStore, function: FunctionKey) -> None:
        store.put(function, "value", counter_bytes(5))
        with pytest.raises(StateKindError, match=r"'value' of public/con-formance/.* is no counter"):
            store.increment(function, "value", 1)
        store.increment(function, "counter", 5)
        with pytest.raises(StateKindError, match=r"'counter' of public/con-formance/.* is a counter"):
            store.put(function, "counter", b"text")
        assert store.get(function, "value") == StateValue(counter_bytes(5), 0)
        assert store.get(function, "counter") == StateValue(counter_bytes(5), 0, is_counter=True)
        store.delete(function, "counter")
        store.put(function, "counter", b"text")
        assert store.get(function, "counter") == StateValue(b"text", 0)

    def test_functions_do_not_see_each_other_s_state(self, store: StateStore, function: FunctionKey) -> None:
        others = [
            FunctionKey("other", function.namespace, function.name),
            FunctionKey(function.tenant, "other", function.name),
            FunctionKey(function.tenant, function.namespace, f"{function.name}-other"),
        ]
        for other in (function, *others):
            store.put(other, "key", str(other).encode())
        store.forget(function)
        assert store.get(function, "key") is None
        for other in others:
            assert store.get(other, "key") == StateValue(str(other).encode(), 0)
            store.forget(other)

    def test_what_comes_after_a_function_was_forgotten_begins_anew(
        self, store: StateStore, function: FunctionKey
    ) -> None:
        store.put(function, "a", b"1")
        store.increment(function, "b", 1)
        store.forget(function)
        assert (store.get(function, "a"), store.get(function, "b")) == (None, None)
        store.increment(function, "a", 2)
        assert store.get(function, "a") == StateValue(counter_bytes(2), 0, is_counter=True)

    def test_another_store_sees_a_write_at_once(self, opened: Callable[[], StateStore], function: FunctionKey) -> None:
        one, other = opened(), opened()
        for number in range(10):
            one.put(function, "key", b"%d" % number)
            found = other.get(function, "key")
            assert found is not None and found.value == b"%d" % number
        one.close()
        one.close()
        other.put(function, "key", b"still")
        assert opened().get(function, "key") == StateValue(b"still", 10)

    def test_no_increment_of_threads_is_lost(self, store: StateStore, function: FunctionKey) -> None:
        def count() -> None:
            for _ in range(self.increments // 4):
                store.increment(function, "counter", 1)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.counted_within)
        found = store.get(function, "counter")
        assert found is not None and found.number == self.increments // 4 * 4

    def test_no_increment_of_processes_is_lost(self, store: StateStore, url: str, function: FunctionKey) -> None:
        """The first of them make the place itself, all at once."""
        counting = [_count(url, function, self.increments) for _ in range(self.processes)]
        try:
            for process in counting:
                process.communicate(timeout=self.counted_within)
                assert process.returncode == 0
        finally:
            _end(counting)
        found = store.get(function, "counter")
        assert found is not None and found.number == self.processes * self.increments

    def test_what_a_killed_process_has_written_stays(self, store: StateStore, url: str, function: FunctionKey) -> None:
        """Every increment that it knew of is there, at most one more, and nobody waits for what it was about to do."""
        killed = _count(url, function, 1_000_000)
        assert killed.stdout is not None
        try:
            lines = [killed.stdout.readline() for _ in range(50)]
            killed.send_signal(signal.SIGKILL)
            lines += killed.stdout.read().splitlines()
        finally:
            _end([killed])
        told = int([line for line in lines if line.strip()][-1])
        found = store.get(function, "counter")
        assert found is not None and found.number in (told, told + 1)
        store.increment(function, "counter", 1)
        found_after = store.get(function, "counter")
        assert found_after is not None and found_after.number == found.number + 1


def _count(url: str, function: FunctionKey, times: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _COUNT, url, str(function), str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _end(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
