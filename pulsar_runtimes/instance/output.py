"""Where an instance's results go: producers, made when the first message for their topic comes."""

from __future__ import annotations

import contextlib
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from pulsar_runtimes.model.function import CompressionType, InstanceSpec, ProducerSpec

from .client import BatchingType, MessageBuilder, PulsarException, compression, pin_thread_state
from .code import UserCode
from .input import instance_properties
from .memory import Share
from .serde import Encoder, build_encoder, build_schema

INPUT_TOPIC_PROPERTY = "__pfn_input_topic__"
INPUT_MESSAGE_PROPERTY = "__pfn_input_msg_id__"

Sent = Callable[[Any, Any], None]
"""What the client calls when the broker has answered: the result, and the new message's id."""


def open_producer(
    client: Any, topic: str, instance: InstanceSpec, spec: ProducerSpec | None = None, topic_schema: Any = None
) -> Any:
    """A raw producer as the reference's Python instance makes it: blocking when full, batched for 10 ms."""
    spec = spec or ProducerSpec()
    options: dict[str, Any] = {"schema": topic_schema} if topic_schema is not None else {}
    if spec.max_pending_messages:
        options["max_pending_messages"] = spec.max_pending_messages
    if spec.max_pending_messages_across_partitions:
        options["max_pending_messages_across_partitions"] = spec.max_pending_messages_across_partitions
    if spec.batch_builder == "KEY_BASED":
        options["batching_type"] = BatchingType.KeyBased
    producer = client.create_producer(
        topic,
        block_if_queue_full=True,
        batching_enabled=True,
        batching_max_publish_delay_ms=10,
        send_timeout_millis=0,
        compression_type=compression(spec.compression_type),
        properties=instance_properties(instance),
        **options,
    )
    return producer._producer


class Output:
    """The function's output topic. With a ``share``, bytes on their way to the broker stay within it."""

    def __init__(self, instance: InstanceSpec, code: UserCode) -> None:
        self.share: Share | None = None
        sink = instance.function.sink
        self._instance = instance
        self._topic = sink.topic
        self._schema = build_schema(sink.schema_type, sink.schema_properties, sink.type_class_name, code)
        self._encode: Encoder = build_encoder(sink.ser_de_class_name, self._schema, code)
        self._send: Callable[[Any, Sent], None] | None = None
        self._producer: Any = None
        self._closed = False

    def send(self, client: Any, value: Any, input_topic: str, input_id: Any, sent: Sent) -> None:
        """Publish ``value`` as the result of one input message; ``sent`` is called once the broker answered.

        Raises what the encoder or the client raises; ``sent`` is not called then.
        """
        data = self._encode(value)
        if self._send is None:
            self._open(client)
            assert self._send is not None
        message = (
            MessageBuilder()
            .content(data)
            .property(INPUT_TOPIC_PROPERTY, input_topic)
            .property(INPUT_MESSAGE_PROPERTY, urlsafe_b64encode(input_id.serialize()).decode())
            .build()
        )
        if self.share is None:
            self._send(message, sent)
        else:
            send_within(self.share, self._send, message, len(data), sent)

    def _open(self, client: Any) -> None:
        if self._closed:
            raise RuntimeError(f"publishing to {self._topic}: the instance has ended")
        spec = self._instance.function.sink.producer_spec
        self._producer = open_producer(client, self._topic, self._instance, spec, self._schema)
        self._send = self._producer.send_async

    def producers(self) -> list[Any]:
        """The raw producer, once something was sent."""
        return [] if self._producer is None else [self._producer]

    def close(self) -> None:
        self._closed = True
        close_producer(self._producer)


def send_within(share: Share, send: Callable[[Any, Sent], None], message: Any, size: int, sent: Sent) -> None:
    """Send when ``size`` bytes fit into ``share``, and give them back when the broker has answered."""

    def answered(result: Any, message_id: Any) -> None:
        share.release(size)
        sent(result, message_id)

    share.acquire(size)
    try:
        send(message, answered)
    except BaseException:
        share.release(size)
        raise


def flush_all(producers: list[Any], seconds: float) -> None:
    """Wait until everything sent by ``producers`` was answered, ``seconds`` at the most.

    In threads, because ``flush`` knows no deadline. Not with ``flush_async``: it waits for the producer's lock while
    it holds the interpreter's, and the client's thread does it the other way round; everything stands still then.
    """

    def flush(producer: Any) -> None:
        with contextlib.suppress(PulsarException):  # each message has learned it by itself
            producer.flush()

    threads = [threading.Thread(target=flush, args=(producer,), name="flush", daemon=True) for producer in producers]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def close_producer(producer: Any) -> None:
    if producer is not None:
        with contextlib.suppress(PulsarException):  # the broker may be away; nothing waits for an answer any more
            producer.close()


class Publishers:
    """Producers for the topics that user code publishes to by itself (``context.publish``) and the log topic."""

    def __init__(self, client: Any, instance: InstanceSpec) -> None:
        self.share: Share | None = None
        self._client = client
        self._instance = instance
        self._producers: dict[str, Any] = {}
        self._closed = False

    def send(self, topic: str, data: bytes, sent: Sent, kind: CompressionType | None = None, **extra: Any) -> None:
        """Publish ``data``; ``extra`` are the client's message settings (properties, partition_key, ...)."""
        producer = self._producers.get(topic)
        if producer is None:
            if self._closed:
                raise RuntimeError(f"publishing to {topic}: the instance has ended")
            spec = ProducerSpec(compression_type=kind or CompressionType.LZ4)
            producer = self._producers[topic] = open_producer(self._client, topic, self._instance, spec)
        message = build_message(data, **extra)

        def answered(result: Any, message_id: Any) -> None:
            pin_thread_state()
            sent(result, message_id)

        if self.share is None:
            producer.send_async(message, answered)
        else:
            send_within(self.share, producer.send_async, message, len(data), answered)

    def producers(self) -> list[Any]:
        """The raw producers that were needed so far."""
        return list(self._producers.values())

    def close(self) -> None:
        """Close the producers. Whoever still publishes then is refused: nobody would close a new producer."""
        self._closed = True
        for producer in tuple(self._producers.values()):
            close_producer(producer)


def build_message(data: bytes, **extra: Any) -> Any:
    """A raw message with the settings that ``message_conf`` of ``context.publish`` may have."""
    builder = MessageBuilder().content(data)
    for name, value in (extra.pop("properties", None) or {}).items():
        builder.property(str(name), str(value))
    for name, value in extra.items():
        if value is None:
            continue
        if name not in _MESSAGE_SETTINGS:
            raise TypeError(f"publish: no message setting named {name!r}; known: {', '.join(_MESSAGE_SETTINGS)}")
        getattr(builder, name)(value)
    return builder.build()


_MESSAGE_SETTINGS = (
    "partition_key",
    "ordering_key",
    "sequence_id",
    "replication_clusters",
    "disable_replication",
    "event_timestamp",
    "deliver_at",
    "deliver_after",
)
