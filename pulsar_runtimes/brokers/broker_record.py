"""What a worker writes down about its broker, for the worker that comes after it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pulsar_runtimes.brokers.process_identity import ProcessIdentity


@dataclass(frozen=True, slots=True)
class BrokerRecord:
    """The process that was started, on which port, from which binary."""

    process: ProcessIdentity
    port: int
    binary: str

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """``None`` when there is no record, or one that cannot be understood: it is only a memory."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            process = ProcessIdentity(int(values["pid"]), int(values["start_time"]))
            return cls(process, int(values["port"]), str(values["binary"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Replace the record at ``path``; a reader sees the old one or the new one, never half of it."""
        values = {
            "pid": self.process.pid,
            "start_time": self.process.start_time,
            "port": self.port,
            "binary": self.binary,
        }
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
        fresh.replace(path)
