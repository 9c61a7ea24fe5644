"""Numbers for the consumers of instances, where a broker tells consumers of a subscription apart by number alone."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

from pulsar_runtimes.model.function import InstanceSpec

_LEAST_SPAN = 256
"""Numbers of a function come again after this many, or after four times what all its instances take."""


class ConsumerNumbers:
    """Gives each start of an instance numbers that its subscription has not had for long.

    Not even the numbers of an instance that has ended are free: pulsar-lite keeps those of a connection that was
    reset, as it is when a process dies with messages unread, until it is started anew. What was given is written to
    ``path``, for instances that outlive their worker.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._next: dict[str, int] = {}
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            self._next = {str(key): int(value) for key, value in read.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            pass  # there is no file yet, or it is only a memory that is lost

    def number(self, spec: InstanceSpec) -> InstanceSpec:
        """``spec`` with numbers for this start."""
        function = spec.function
        consumers = max(1, len(function.source.input_specs))
        span = max(_LEAST_SPAN, 4 * consumers * function.parallelism)
        with self._lock:
            first = self._next.get(str(function.key), 0)
            if first + consumers > span:
                first = 0
            self._next[str(function.key)] = first + consumers
            fresh = self._path.with_name(f"{self._path.name}.new")
            fresh.write_text(json.dumps(self._next) + "\n", encoding="utf-8")
            fresh.replace(self._path)
        return replace(spec, first_consumer_number=first)
