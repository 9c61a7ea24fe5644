"""Both ends of a function's topics: what a test sends to it, and what it answers."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable

import pulsar
import pulsar.schema

from pulsar_runtimes.model.function import FunctionSpec, Language
from tests.waiting import until

_RECEIVE_MILLIS = 200


class Channel:
    """Writes to the input topic of a function, and reads its output on a subscription of its own.

    ``received`` has every output so far, in the order of arrival, with those that came twice.
    """

    def __init__(self, client: pulsar.Client, function: FunctionSpec) -> None:
        (source,) = function.source.input_specs
        # A Java function of strings declares that on its topic, which must not have a producer of bytes by then.
        is_java = function.language is Language.JAVA
        self._schema = pulsar.schema.StringSchema() if is_java else pulsar.schema.BytesSchema()
        self._producer = client.create_producer(source, schema=self._schema, block_if_queue_full=True)
        self._consumer = client.subscribe(
            function.sink.topic,
            f"observer-{uuid.uuid4().hex}",
            initial_position=pulsar.InitialPosition.Earliest,
        )
        self.received: list[str] = []

    def send(self, texts: Iterable[str]) -> None:
        """Publish ``texts``; they are the broker's when this returns."""
        results: list[pulsar.Result] = []
        for text in texts:
            content = text if isinstance(self._schema, pulsar.schema.StringSchema) else text.encode()
            self._producer.send_async(content, lambda result, _: results.append(result))
        self._producer.flush()
        assert set(results) <= {pulsar.Result.Ok}

    def poll(self) -> list[str]:
        """Everything received, after taking in what is there now."""
        with contextlib.suppress(pulsar.Timeout):
            while True:
                message = self._consumer.receive(_RECEIVE_MILLIS)
                self.received.append(message.data().decode())
                self._consumer.acknowledge(message)
        return self.received

    def take(self, count: int, *, seconds: float = 20.0) -> None:
        """Receive the next ``count`` outputs, and leave what comes after them."""
        for _ in range(count):
            message = self._consumer.receive(int(seconds * 1000))
            self.received.append(message.data().decode())
            self._consumer.acknowledge(message)

    def ask(self, text: str, *, seconds: float = 20.0) -> str:
        """Send ``text``, and the next output that comes."""
        before = len(self.received)
        self.send([text])
        return until(self.poll, lambda received: len(received) > before, seconds=seconds)[before]

    def await_all(self, texts: Iterable[str], *, seconds: float = 30.0) -> None:
        """Wait until each of ``texts`` was received at least once."""
        missing = set(texts)

        def look() -> set[str]:
            missing.difference_update(self.poll())
            return missing

        until(look, lambda left: not left, seconds=seconds)

    def close(self) -> None:
        self._producer.close()
        self._consumer.close()
