"""A worker of the two that are compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any


class SideError(Exception):
    """A worker or a function did not do what a measurement needs; the text says which, and what was seen last."""


class Side(ABC):
    """A worker with the process runtime. Functions are named by their name; all are in ``public/default``."""

    name: str

    @abstractmethod
    def start(self) -> None:
        """Start the worker; it takes functions when this returns."""

    @abstractmethod
    def stop(self) -> None:
        """End it and its instances. Idempotent; it may be started again."""

    @abstractmethod
    def worker_pids(self) -> list[int]:
        """The processes of the worker that are there without any function too."""

    @abstractmethod
    def create(self, function: Mapping[str, Any]) -> None:
        """Ask for a function with one instance, given in the form of ``--function-config-file``."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Have a function ended and forgotten."""

    @abstractmethod
    def pid(self, name: str) -> int | None:
        """The process of the function's instance; ``None`` while there is none."""

    @abstractmethod
    def status(self, name: str) -> str:
        """What the worker says of the instance, in one line."""


def describe(state: str, restarts: int, errors: Sequence[str]) -> str:
    """A status in one line: of each error its last line, which is the one with the exception."""
    last_lines = [error.strip().splitlines()[-1] for error in errors if error.strip()]
    return "; ".join([state, f"restarts: {restarts}", ", ".join(last_lines) or "no error"])
