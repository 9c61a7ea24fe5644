"""Both ends of a function's topics, as a measurement needs them."""

from __future__ import annotations

from typing import Any

import pulsar

_PREFIX = "persistent://public/default/"


def input_topic(name: str) -> str:
    return f"{_PREFIX}{name}-in"


def output_topic(name: str) -> str:
    return f"{_PREFIX}{name}-out"


class Probe:
    """Writes to the input of a function, and reads its output from the beginning. Made before the function is."""

    def __init__(self, client: pulsar.Client, name: str) -> None:
        # A Java function of strings is refused on a topic that somebody writes to without a schema.
        self._producer = client.create_producer(input_topic(name), schema=pulsar.schema.StringSchema())
        self._consumer = client.subscribe(output_topic(name), "probe", initial_position=pulsar.InitialPosition.Earliest)

    def send(self, text: str) -> None:
        """Returns when the broker has it."""
        self._producer.send(text)

    def receive(self, seconds: float) -> Any:
        """The next output; ``None`` when none comes in time."""
        try:
            message = self._consumer.receive(max(1, int(seconds * 1000)))
        except pulsar.Timeout:
            return None
        self._consumer.acknowledge(message)
        return message

    def close(self) -> None:
        self._producer.close()
        self._consumer.close()
