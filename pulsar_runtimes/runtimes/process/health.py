"""Asks instances for their health, all of them from one thread that never waits for an answer."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_TICK_SECONDS = 0.1
_STALL_SECONDS = 1.0
"""A tick that comes this much late tells of a machine or a worker that stood still, not of its instances."""


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """How often an instance is asked, before it was ready and after, and what silence makes it count as hung.

    ``hung_after_seconds`` is counted from its last answer; 0 or less is never.
    """

    starting_seconds: float = 0.25
    ask_seconds: float = 1.0
    hung_after_seconds: float = 3.5


class Verdict(enum.Enum):
    NONE = enum.auto()
    READY = enum.auto()
    HUNG = enum.auto()


@dataclass
class Health:
    """What is known of one instance. ``last_answer`` is ``None`` until it answered for the first time."""

    last_answer: float | None = None
    next_ask: float = 0.0

    def answered(self, healthy: bool, now: float) -> Verdict:
        """Take in one answer, or its lack."""
        if not healthy:
            return Verdict.NONE
        first, self.last_answer = self.last_answer is None, now
        return Verdict.READY if first else Verdict.NONE

    def judge(self, now: float, policy: HealthPolicy) -> Verdict:
        """Whether it has been silent for too long. One that never answered is starting, however long that takes."""
        limit = policy.hung_after_seconds
        silent = limit > 0 and self.last_answer is not None and now - self.last_answer >= limit
        return Verdict.HUNG if silent else Verdict.NONE


@dataclass
class Patient:
    """One instance under watch. ``port`` is that of its control service; ``ended`` tells when to forget it."""

    port: int
    ended: Callable[[], bool]
    on_ready: Callable[[], None]
    on_hung: Callable[[float], None]
    health: Health = field(default_factory=Health)
    line: Any = None
    answer: Any = None


class HealthProbe:
    """Watches the instances of one factory. Its thread runs while there is somebody to watch."""

    def __init__(self, policy: HealthPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._lock = threading.Lock()
        self._patients: list[Patient] = []
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, patient: Patient) -> None:
        """Ask from now on, until it has ended."""
        with self._lock:
            if self._closed.is_set():
                return
            self._patients.append(patient)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="health", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Ask nobody any more. Idempotent."""
        self._closed.set()
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _loop(self) -> None:
        last = self._clock()
        while not self._closed.wait(_TICK_SECONDS):
            now = self._clock()
            stalled, last = now - last > _TICK_SECONDS + _STALL_SECONDS, now
            with self._lock:
                patients = list(self._patients)
            for patient in patients:
                if patient.ended():
                    self._forget(patient)
                    continue
                if stalled and patient.health.last_answer is not None:
                    patient.health.last_answer = now
                self._look(patient, now)
        for patient in list(self._patients):
            self._forget(patient)

    def _look(self, patient: Patient, now: float) -> None:
        if patient.answer is not None and patient.answer.done():
            healthy = patient.answer.exception() is None and patient.answer.result().success
            patient.answer = None
            if patient.health.answered(healthy, now) is Verdict.READY:
                patient.on_ready()
        if patient.health.judge(now, self._policy) is Verdict.HUNG:
            assert patient.health.last_answer is not None
            patient.on_hung(now - patient.health.last_answer)
            self._forget(patient)
        elif patient.answer is None and now >= patient.health.next_ask:
            self._ask(patient, now)

    def _ask(self, patient: Patient, now: float) -> None:
        policy, starting = self._policy, patient.health.last_answer is None
        if patient.line is None:
            from pulsar_runtimes.instance.control import HealthLine  # brings gRPC

            patient.line = HealthLine(patient.port)
        patient.health.next_ask = now + (policy.starting_seconds if starting else policy.ask_seconds)
        patient.answer = patient.line.ask(policy.ask_seconds)

    def _forget(self, patient: Patient) -> None:
        with self._lock:
            if patient in self._patients:
                self._patients.remove(patient)
        if patient.line is not None:
            patient.line.close()
            patient.line = None
