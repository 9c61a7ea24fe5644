"""Instances run inside the test: the function is whatever the test gives, between topics of its own."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulsar

from pulsar_runtimes.instance.code import UserCode
from pulsar_runtimes.instance.instance import Instance
from pulsar_runtimes.instance.memory import MemoryBudget
from pulsar_runtimes.model.function import ConsumerSpec, InstanceSpec, SinkSpec, SourceSpec, SubscriptionPosition
from pulsar_runtimes.testing import function_spec, instance_spec
from tests.waiting import until

_RECEIVE_MILLIS = 10_000
_END = "<end>"


class GivenCode(UserCode):
    """Code that a test has in its hands: ``className`` and SerDe names are keys of ``objects``."""

    def __init__(self, **objects: Any) -> None:
        super().__init__(())
        self.objects = objects

    def find_class(self, name: str) -> Any:
        return self.objects[name] if name in self.objects else super().find_class(name)


@dataclass
class Served:
    """An instance at work in a thread of its own."""

    instance: Instance
    errors: list[BaseException] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self.instance.run()
        except BaseException as error:
            self.errors.append(error)

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Stop, and return when the instance has left its subscription."""
        self.instance.stop(grace_seconds)
        self.join(grace_seconds + 10.0)

    def join(self, seconds: float = 20.0) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"did not end within {seconds:g} s"


@dataclass
class Workbench:
    """Makes instances, and what is at both ends of them. All of it is closed by :meth:`clear`."""

    client: pulsar.Client
    url: str
    topic: Callable[[str], str]
    stack: ExitStack = field(default_factory=ExitStack)

    def spec(
        self, *, inputs: Sequence[str] = ("in",), source: dict[str, Any] | None = None, output: bool = True, **more: Any
    ) -> InstanceSpec:
        """An instance of ``public/default/f`` that begins with the earliest message."""
        given: dict[str, Any] = {
            "input_specs": {self.topic(name): ConsumerSpec() for name in inputs},
            "subscription_position": SubscriptionPosition.EARLIEST,
            "negative_ack_redelivery_delay_ms": 100,
        }
        sink = more.pop("sink", None) or SinkSpec(topic=self.topic("out") if output else "")
        function = function_spec(
            name="f", class_name="given", source=SourceSpec(**given | (source or {})), sink=sink, **more
        )
        return instance_spec(function=function, service_url=self.url)

    def make(self, spec: InstanceSpec, function: Any, *, budget: MemoryBudget | None = None, **objects: Any) -> Served:
        """An instance of ``function`` that is not started."""
        ready = threading.Event()
        code = GivenCode(given=function, **objects)
        instance = Instance(spec, code, self.client, budget=budget, on_ready=ready.set)
        return Served(instance, ready=ready)

    def serve(self, spec: InstanceSpec, function: Any, **more: Any) -> Served:
        """An instance of ``function`` that is subscribed."""
        served = self.make(spec, function, **more)
        served.start()
        self.stack.callback(served.stop, 0.5)
        until(lambda: served.ready.is_set() or served.errors)
        assert not served.errors, served.errors
        return served

    def publish(self, *texts: str | bytes, to: str = "in", **settings: Any) -> list[Any]:
        """Publish to the topic called ``to``; the ids of the messages, which are the broker's when this returns."""
        producer = self.client.create_producer(self.topic(to))
        ids = [producer.send(text.encode() if isinstance(text, str) else text, **settings) for text in texts]
        producer.close()
        return ids

    def reader(self, name: str = "out") -> Callable[[int], list[Any]]:
        """``read(n)`` gives the next ``n`` messages of the topic called ``name``, from its beginning.

        The embedded broker at times gives a reader the same entries again. Those are left out by their message id;
        what was published twice has two ids and stays.
        """
        reader = self.client.create_reader(self.topic(name), pulsar.MessageId.earliest)
        self.stack.callback(reader.close)
        known: set[bytes] = set()

        def read(count: int) -> list[Any]:
            messages: list[Any] = []
            while len(messages) < count:
                message = reader.read_next(_RECEIVE_MILLIS)
                serialized = message.message_id().serialize()
                if serialized not in known:
                    known.add(serialized)
                    messages.append(message)
            return messages

        return read

    def outputs(self, count: int, name: str = "out") -> list[str]:
        """The first ``count`` messages of the topic called ``name``."""
        return [message.data().decode() for message in self.reader(name)(count)]

    def all_of(self, name: str = "out") -> list[str]:
        """All messages of the topic called ``name`` so far."""
        self.publish(_END, to=name)
        read, texts = self.reader(name), list[str]()
        while not texts or texts[-1] != _END:
            texts += [message.data().decode("utf-8", "replace") for message in read(1)]
        return [text for text in texts if text != _END]

    def left_over(self, spec: InstanceSpec, name: str = "in") -> list[str]:
        """What the subscription of an instance that is gone would still get: what was not acknowledged."""
        self.publish(_END, to=name)
        consumer = self.client.subscribe(
            self.topic(name), spec.function.subscription_name, consumer_type=pulsar.ConsumerType.Shared
        )
        texts: list[str] = []
        while _END not in texts:
            message = consumer.receive(_RECEIVE_MILLIS)
            texts.append(message.data().decode())
            consumer.acknowledge(message)
        consumer.close()
        texts.remove(_END)
        return texts

    def clear(self) -> None:
        self.stack.close()


def user_file(directory: Path, source: str, name: str = "") -> Path:
    """A Python file of a user, with a module name that no other test has unless ``name`` is given."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{name or f'user_{uuid.uuid4().hex[:8]}'}.py"
    file.write_text(source)
    return file
