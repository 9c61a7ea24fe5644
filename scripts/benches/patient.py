"""A function that is struck again and again, and the time until it works again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pulsar

from pulsar_runtimes import RestartPolicy

from .functions import document_of
from .probe import Probe
from .reference_side import LIVENESS_MILLIS
from .sides import Side, SideError

OUTPUT_SECONDS = 120.0
_LOAD_SECONDS = 0.02
_QUIET_SECONDS = 0.5


class Patient:
    """One instance on one side. Each output carries the name that the broker gave to its producer: another name is
    another life, whatever the language.
    """

    def __init__(self, side: Side, name: str, probe: Probe) -> None:
        self.side = side
        self._name = name
        self._probe = probe
        self._calm_at = 0.0
        self._worked()

    def strike(self, number: signal.Signals, limit_seconds: float) -> float | None:
        """Seconds from the signal to the first output of another life; ``None`` when there is none in time.

        50 messages a second are sent meanwhile. An instance that only stands still goes on afterwards.
        """
        time.sleep(max(0.0, self._calm_at - time.monotonic()))
        while self._probe.receive(_QUIET_SECONDS):
            pass
        producer = self._await_output(lambda name: True, OUTPUT_SECONDS)
        pid = self.side.pid(self._name)
        if not producer or pid is None:
            raise SideError(f"{self.side.name}: {self._name} does not work; {self.side.status(self._name)}")
        struck = time.perf_counter()
        os.kill(pid, number)
        replaced = self._await_output(lambda name: name != producer, limit_seconds)
        seconds = time.perf_counter() - struck
        if not replaced:
            os.kill(pid, signal.SIGCONT)
        self._worked()
        return seconds if replaced else None

    def _worked(self) -> None:
        """Leave it alone until both sides have forgotten what was, and the reference's clock may stand anywhere."""
        calm = RestartPolicy().up_seconds + 1
        self._calm_at = time.monotonic() + calm + random.uniform(0, LIVENESS_MILLIS / 1000)

    def _await_output(self, wanted: Callable[[str], bool], seconds: float) -> str:
        """The producer of the first output that is wanted; empty when none comes in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._probe.send("x")
            message = self._probe.receive(_LOAD_SECONDS)
            if message is not None and wanted(message.producer_name()):
                return str(message.producer_name())
        return ""


@contextmanager
def running_patient(client: pulsar.Client, side: Side, function: Mapping[str, Any]) -> Iterator[Patient]:
    """A patient that works, or soon will."""
    document = document_of(function)
    name = document["name"]
    with closing(Probe(client, name)) as probe:
        side.create(document)
        yield Patient(side, name, probe)
        side.delete(name)
