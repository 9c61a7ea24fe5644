"""The two workers that are compared, each in a process of its own, on one real Apache Pulsar."""

from __future__ import annotations

import os
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pulsar

from tests.languages.go_program import build_go_function
from tests.standalone import standalone
from tests.standalone.distribution import fetch

T = TypeVar("T")


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


@dataclass(frozen=True)
class Arena:
    """The broker, a client of it, and the two sides, which are not started."""

    client: pulsar.Client
    home: Path
    go_function: Path
    directory: Path
    sides: Sequence[Side]


@contextmanager
def open_arena() -> Iterator[Arena]:
    """Everything is in a temporary directory, and gone afterwards. ``UnavailableError`` names what is missing here."""
    from .pfrun_side import PfrunSide
    from .reference_side import ReferenceSide

    home, go_function = fetch(os.environ), build_go_function(os.environ)
    # Instances of the reference are run by the python3 of the path: the same that runs pfrun.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pfrun-bench-")))
        broker = standalone.start(directory / "pulsar", home, environment, with_zookeeper=True, dies_with_caller=True)
        stack.callback(broker.stop)
        client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
        stack.callback(client.close)
        sides = (
            ReferenceSide(broker, directory / "reference", environment),
            PfrunSide(broker, directory / "pfrun", environment),
        )
        for side in sides:
            stack.callback(side.stop)
        yield Arena(client, home, go_function, directory, sides)


def in_turn(items: Sequence[T], number: int) -> Sequence[T]:
    """``items``, beginning with another one in each round: who comes first has it harder, or easier."""
    start = number % len(items)
    return [*items[start:], *items[:start]]
