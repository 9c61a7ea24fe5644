"""Where the two workers are compared: one real Apache Pulsar, and beside it each worker in a process of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pulsar

from tests.languages.go_program import build_go_function
from tests.standalone import standalone
from tests.standalone.distribution import fetch

from .pfrun_side import PfrunSide
from .reference_side import ReferenceSide
from .sides import Side

T = TypeVar("T")


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
