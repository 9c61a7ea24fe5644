"""Keeps the worker's own broker running, when it has one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

from pulsar_runtimes.brokers.base import ENTRY_POINT_GROUP, Broker
from pulsar_runtimes.model.errors import BrokerError
from pulsar_runtimes.model.observation import Phase
from pulsar_runtimes.plug_point import PlugPoint
from pulsar_runtimes.supervisor.policy import RestartPolicy

EMBEDDED_BROKER = "pulsar-lite"
BROKERS = PlugPoint(
    group=ENTRY_POINT_GROUP,
    base=Broker,  # type: ignore[type-abstract]
    what="broker",
    setting="--broker",
)

_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 5.0
_log = logging.getLogger(__name__)


class BrokerKeeper:
    """Starts the broker, starts it again on the same port when it dies, and stops it in the end.

    Instances ride out the gap by themselves: their clients reconnect. It never gives up, as without its broker
    a worker is of no use, but its delays grow.
    """

    def __init__(self, broker_class: type[Broker], state_dir: Path, environment: Mapping[str, str]) -> None:
        self._broker = broker_class.from_state_dir(state_dir, environment)
        self._policy = RestartPolicy(max_seconds=10.0)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def broker(self) -> Broker:
        return self._broker

    def start(self) -> str:
        """Start the broker and answer its service URL. ``BrokerError`` when it cannot be started."""
        url = self._broker.start()
        self._thread = threading.Thread(target=self._keep, name="broker-keeper", daemon=True)
        self._thread.start()
        return url

    def _keep(self) -> None:
        failures = 0
        while not self._ending.wait(_LOOK_SECONDS):
            seen = self._broker.observe()
            if seen.phase is not Phase.EXITED:
                failures = 0
                self._broker.tend()
                continue
            _log.error("the broker ended (%s); starting it again", seen.reason)
            try:
                self._broker.start()
            except BrokerError as error:
                failures += 1
                _log.error("the broker cannot be started: %s", error)
                self._ending.wait(self._policy.delay(failures, "broker"))

    def stop(self) -> None:
        """Stop the broker. Its data stay. Idempotent."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._broker.stop(grace_seconds=_GRACE_SECONDS)
