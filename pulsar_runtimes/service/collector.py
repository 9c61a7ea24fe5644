"""What all instances, or others, told last, kept by a thread, so that nobody else ever waits for one of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

_THREADS = 16
_log = logging.getLogger(__name__)
K = TypeVar("K")
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What one of them answered, and when: seconds since the epoch."""

    value: T
    at: float


class Collector(Generic[K, S, T]):
    """Asks everyone again and again, from :meth:`start` until :meth:`stop`; ``subjects`` tells who there is now.

    ``ask`` may wait. One that has not answered yet is not asked again, and holds up nobody else; one that is another
    than before under the same key, such as a runtime that was started anew, has no answer before it gave one. With
    ``idle_seconds`` the asking pauses when :meth:`answers` was not called for that long.
    """

    def __init__(
        self,
        subjects: Callable[[], Mapping[K, S]],
        ask: Callable[[S], T],
        *,
        period_seconds: float,
        name: str,
        idle_seconds: float | None = None,
        on_round: Callable[[Mapping[K, Answer[T]]], None] = lambda answers: None,
        threads: int = _THREADS,
    ) -> None:
        """``on_round`` is called in the thread, each time all have answered or ``period_seconds`` are over."""
        self._subjects = subjects
        self._threads = threads
        self._ask = ask
        self._period_seconds = period_seconds
        self._name = name
        self._idle_seconds = idle_seconds
        self._on_round = on_round
        self._answers: dict[K, tuple[S, Answer[T]]] = {}
        self._waiting: dict[K, Future[None]] = {}
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._awake = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask nobody any more. Idempotent; does not wait for one that does not answer."""
        self._ending.set()
        self._awake.set()
        if self._thread is not None:
            self._thread.join()

    def answers(self) -> dict[K, Answer[T]]:
        """The last answer of each that has given one. Never waits."""
        self._looked_at = time.monotonic()
        self._awake.set()
        with self._lock:
            return {key: answer for key, (_, answer) in self._answers.items()}

    def _loop(self) -> None:
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)
        try:
            while not self._ending.is_set():
                if self._is_idle():
                    with self._lock:
                        self._answers.clear()  # they would be old when somebody looks again
                    self._awake.wait()
                    continue
                self._awake.clear()
                self._round(pool)
                self._ending.wait(self._period_seconds)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _is_idle(self) -> bool:
        if self._idle_seconds is None or self._awake.is_set():
            return False
        return time.monotonic() - self._looked_at > self._idle_seconds

    def _round(self, pool: ThreadPoolExecutor) -> None:
        subjects = self._subjects()
        with self._lock:
            self._answers = {
                key: kept for key, kept in self._answers.items() if key in subjects and subjects[key] == kept[0]
            }
        self._waiting = {key: asked for key, asked in self._waiting.items() if not asked.done()}
        for key, subject in subjects.items():
            if key not in self._waiting:
                self._waiting[key] = pool.submit(self._take, key, subject)
        deadline = time.monotonic() + self._period_seconds
        while not self._ending.is_set() and (left := deadline - time.monotonic()) > 0:
            if not wait(self._waiting.values(), min(left, 0.5)).not_done:
                break
        with self._lock:
            answers = {key: answer for key, (_, answer) in self._answers.items()}
        self._on_round(answers)

    def _take(self, key: K, subject: S) -> None:
        try:
            answer = Answer(self._ask(subject), time.time())
        except Exception:  # a backend that breaks the contract must not take what the others told
            _log.exception("%s: asking it for its %s failed", key, self._name)
            return
        with self._lock:
            self._answers[key] = (subject, answer)
