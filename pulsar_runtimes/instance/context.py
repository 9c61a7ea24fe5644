"""What user code sees of its surroundings while it handles a message."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pulsar_runtimes.model.function import CompressionType, InstanceSpec
from pulsar_runtimes.model.names import full_topic

from .client import Context, Result
from .code import UserCode
from .function_state import FunctionState
from .input import Input
from .output import Publishers
from .secrets import SecretsProvider
from .serde import Encoder, build_encoder
from .stats import Stats

_COMPRESSION_BY_VALUE: Mapping[int, CompressionType] = {
    0: CompressionType.NONE,
    1: CompressionType.LZ4,
    2: CompressionType.ZLIB,
    3: CompressionType.ZSTD,
    4: CompressionType.SNAPPY,
}
"""The client library's numbers, which are not those of ``Function.proto``."""


class InstanceContext(Context):  # type: ignore[misc]
    """The context of one instance; the names are those of the reference's Python context.

    One object serves all messages: ``message`` is set before each call of the function, so a function that hands
    its context to a thread of its own sees the message of the moment.
    """

    def __init__(
        self,
        instance: InstanceSpec,
        code: UserCode,
        stats: Stats,
        secrets: SecretsProvider,
        publishers: Publishers,
        state: FunctionState,
        client: Any,
        logger: logging.Logger,
    ) -> None:
        self.message: Any = None
        self.inputs: Sequence[Input] = ()
        self._instance = instance
        self._function = instance.function
        self._code = code
        self._stats = stats
        self._secrets = secrets
        self._publishers = publishers
        self._state = state
        self._client = client
        self._logger = logger
        self._encoders: dict[str, Encoder] = {}

    # The message of the moment

    def get_message_id(self) -> Any:
        return self.message.message_id()

    def get_message_key(self) -> str:
        return str(self.message.partition_key())

    def get_partition_key(self) -> str:
        return str(self.message.partition_key())

    def get_ordering_key(self) -> str:
        return str(self.message.ordering_key())

    def get_message_eventtime(self) -> int:
        return int(self.message.event_timestamp())

    def get_message_properties(self) -> dict[str, str]:
        return dict(self.message.properties())

    def get_current_message_topic_name(self) -> str:
        return str(self.message.topic_name())

    def get_message_sequence_id(self) -> int:
        """As the reference computes it from the message's place: ``(ledger << 28) | entry``."""
        message_id = self.message.message_id()
        return int((message_id.ledger_id() << 28) | message_id.entry_id())

    def get_message_partition_index(self) -> int:
        return int(self.message.message_id().partition())

    # The function

    def get_function_tenant(self) -> str:
        return self._function.tenant

    def get_function_namespace(self) -> str:
        return self._function.namespace

    def get_function_name(self) -> str:
        return self._function.name

    def get_function_id(self) -> str:
        return self._instance.function_id

    def get_instance_id(self) -> int:
        return self._instance.instance_id

    def get_function_version(self) -> str:
        return self._instance.function_version

    def get_logger(self) -> logging.Logger:
        return self._logger

    def get_user_config_value(self, key: str) -> Any:
        return self._function.user_config.get(key)

    def get_user_config_map(self) -> Mapping[str, Any]:
        return self._function.user_config

    def get_secret(self, secret_name: str) -> Any:
        if secret_name not in self._function.secrets_map:
            return None
        return self._secrets.provide_secret(secret_name, self._function.secrets_map[secret_name])

    def get_input_topics(self) -> list[str]:
        return list(self._function.source.input_specs)

    def get_output_topic(self) -> str:
        return self._function.sink.topic

    def get_output_serde_class_name(self) -> str:
        return self._function.sink.ser_de_class_name

    def get_pulsar_client(self) -> Any:
        return self._client

    # What a function may do

    def record_metric(self, metric_name: str, metric_value: float) -> None:
        self._stats.record_metric(metric_name, float(metric_value))

    def publish(
        self,
        topic_name: str,
        message: Any,
        serde_class_name: str = "serde.IdentitySerDe",
        properties: Mapping[str, str] | None = None,
        compression_type: Any = None,
        callback: Callable[[Any, Any], None] | None = None,
        message_conf: Mapping[str, Any] | None = None,
    ) -> None:
        """Publish to any topic, not waiting for the broker; ``callback(result, message_id)`` tells of its answer.

        A failed publish counts as a system exception, with or without a callback.
        """
        if serde_class_name not in self._encoders:
            self._encoders[serde_class_name] = build_encoder(serde_class_name, None, self._code)
        extra = dict(message_conf or {})
        if properties:
            extra["properties"] = {**extra.get("properties", {}), **properties}
        kind = None if compression_type is None else _COMPRESSION_BY_VALUE.get(int(compression_type))

        def sent(result: Any, message_id: Any) -> None:
            if result != Result.Ok:
                self._stats.record_system_exception(f"publishing to {topic_name} failed: {result}")
            if callback is None:
                return
            # What leaves here would end in the C++ client, which then forgets the other callbacks of the batch.
            try:
                callback(result, message_id)
            except BaseException as error:
                self._stats.record_user_exception(error)
                self._logger.exception("the callback of a publish to %s raised an exception", topic_name)

        self._publishers.send(topic_name, self._encoders[serde_class_name](message), sent, kind, **extra)

    def ack(self, msgid: Any, topic: str) -> None:
        """Acknowledge a message of an input topic (MANUAL). ``ValueError`` for a topic that is no input."""
        whole = full_topic(topic)
        names = {whole, whole.rpartition("-partition-")[0]}
        for source in self.inputs:
            if source.spec.consumer.is_regex_pattern or not names.isdisjoint(map(full_topic, source.spec.topics)):
                source.acknowledge(msgid)
                return
        raise ValueError(f"ack: {topic!r} is not an input topic of {self._function.key}")

    # State: shared by all instances of the function, and kept when they end

    def incr_counter(self, key: str, amount: int) -> None:
        """Add to a counter, atomically; one that is not there begins at 0."""
        self._state.increment(key, amount)

    def get_counter(self, key: str) -> int | None:
        return self._state.counter(key)

    def del_counter(self, key: str) -> None:
        """Take a counter or a value away."""
        self._state.delete(key)

    def put_state(self, key: str, value: str | bytes) -> None:
        self._state.put(key, value)

    def get_state(self, key: str) -> bytes | None:
        """What was put there, text as UTF-8; the eight bytes of a counter."""
        return self._state.get(key)
