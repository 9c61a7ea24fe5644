"""How an instance tells its launcher what becomes of it: JSON lines on an inherited descriptor.

Whoever launches an instance may open a pipe, leave its write end open in the child, and put the descriptor's
number into ``PFRUN_NOTIFY_FD``. The instance then writes ``{"event": "ready", "port": N, "metrics_port": N}``
once it consumes, and ``{"event": "failed", "reason": "..."}`` before it gives up.

An instance with such a launcher is *managed*: it serves on loopback only, and it does not watch for health
checks, because its launcher ends it when the worker dies and a slow worker must not kill anybody.
"""

from __future__ import annotations

import json
import os
from collections.abc import MutableMapping

from .environment import NOTIFY_VARIABLE


class Notifier:
    """Writes events to the launcher; does nothing when there is none."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Notifier:
        """Take the descriptor out of the environment, so that the function's own children don't inherit it."""
        text = environment.pop(NOTIFY_VARIABLE, "")
        if not text.isdigit():
            return cls(None)
        os.set_inheritable(int(text), False)
        return cls(int(text))

    @property
    def managed(self) -> bool:
        return self._descriptor is not None

    def ready(self, *, port: int, metrics_port: int) -> None:
        """The instance is subscribed and processes what comes."""
        self._send({"event": "ready", "port": port, "metrics_port": metrics_port})

    def failed(self, reason: str) -> None:
        """The instance is about to exit because of ``reason`` (one line)."""
        self._send({"event": "failed", "reason": reason})

    def _send(self, event: dict[str, object]) -> None:
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, json.dumps(event).encode() + b"\n")
        except OSError:  # nobody listens any more; the instance's own log has it all the same
            self._descriptor = None
