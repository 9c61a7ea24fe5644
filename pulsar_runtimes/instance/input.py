"""Where an instance's messages come from: one consumer over all topics that are read in the same way."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import (
    ConsumerSpec,
    FunctionSpec,
    InstanceSpec,
    ProcessingGuarantees,
    SubscriptionPosition,
    SubscriptionType,
)

from .client import ConsumerType, InitialPosition, PulsarException
from .code import UserCode
from .last_messages import LastMessages, Note
from .memory import DEFAULT_RECEIVER_QUEUE, Share
from .serde import Decoder, build_decoder, build_schema


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Topics that share one consumer, and how they are read."""

    topics: tuple[str, ...]
    consumer: ConsumerSpec


def plan_inputs(function: FunctionSpec) -> tuple[InputSpec, ...]:
    """Group the input topics: equal settings share a consumer, a pattern has one of its own."""
    groups: dict[str, list[str]] = {}
    specs: dict[str, ConsumerSpec] = {}
    for topic, spec in _all_inputs(function).items():
        key = f"{topic} {spec}" if spec.is_regex_pattern else repr(spec)
        groups.setdefault(key, []).append(topic)
        specs[key] = spec
    return tuple(InputSpec(tuple(topics), specs[key]) for key, topics in groups.items())


def _all_inputs(function: FunctionSpec) -> Mapping[str, ConsumerSpec]:
    """The input specs, with the two deprecated forms turned into them."""
    source = function.source
    inputs = {
        topic: ConsumerSpec(serde_class_name=serde) for topic, serde in source.topics_to_ser_de_class_name.items()
    }
    if source.topics_pattern:
        inputs[source.topics_pattern] = ConsumerSpec(is_regex_pattern=True)
    return inputs | dict(source.input_specs)


def subscription_type(function: FunctionSpec) -> Any:
    """Failover where order or exactly-once was asked for, Key_Shared for order by key, else Shared."""
    failover = (
        function.source.subscription_type is SubscriptionType.FAILOVER
        or function.retain_ordering
        or function.processing_guarantees is ProcessingGuarantees.EFFECTIVELY_ONCE
    )
    if failover:
        return ConsumerType.Failover
    if function.retain_key_ordering or function.source.subscription_type is SubscriptionType.KEY_SHARED:
        return ConsumerType.KeyShared
    return ConsumerType.Shared


class Input:
    """One consumer, and what the message path needs of it, bound once.

    ``receive`` blocks for the next raw message and raises when the consumer is closed; ``acknowledge`` and
    ``refuse`` take a raw message id; ``decode`` makes the function's value of a raw message. ``busy`` is true
    while a message of this input is being handled, for whoever wants the instance to rest. ``note`` is told of each
    message that the instance takes, if there is one.
    """

    note: Note | None = None

    def __init__(self, spec: InputSpec, instance: InstanceSpec, code: UserCode) -> None:
        self.spec = spec
        self.busy = False
        self._instance = instance
        self._consumer: Any = None
        source = instance.function.source
        self._schema = build_schema(
            spec.consumer.schema_type, spec.consumer.schema_properties, source.type_class_name, code
        )
        self.decode: Decoder = build_decoder(spec.consumer.serde_class_name, self._schema, code)

    def keep_last(self, messages: LastMessages, number: int) -> None:
        """Have each message noted in slot ``number``."""
        only = self.spec.topics[0] if len(self.spec.topics) == 1 and not self.spec.consumer.is_regex_pattern else None
        self.note = messages.note_for(number, only)

    def open(self, client: Any, share: Share | None, inputs: int) -> None:
        """Subscribe. ``share`` bounds what is prefetched, divided between ``inputs`` inputs and their topics."""
        function = self._instance.function
        wanted = self.spec.consumer.receiver_queue_size
        queue = DEFAULT_RECEIVER_QUEUE if wanted is None else wanted
        if share is not None:
            queue = share.receiver_queue(queue, inputs * len(self.spec.topics))
        options: dict[str, Any] = {}
        if function.source.timeout_ms:
            options["unacked_messages_timeout_ms"] = function.source.timeout_ms
        if function.source.negative_ack_redelivery_delay_ms:
            options["negative_ack_redelivery_delay_ms"] = function.source.negative_ack_redelivery_delay_ms
        if self._schema is not None:
            options["schema"] = self._schema
        earliest = function.source.subscription_position is SubscriptionPosition.EARLIEST
        try:
            consumer = client.subscribe(
                self._topic(),
                function.subscription_name,
                consumer_type=subscription_type(function),
                initial_position=InitialPosition.Earliest if earliest else InitialPosition.Latest,
                receiver_queue_size=queue,
                # The library's own names repeat in every process forked from one that has it loaded.
                consumer_name=f"{function.name}-{self._instance.instance_id}-{secrets.token_hex(4)}",
                properties=self._properties(),
                **options,
            )
        except (PulsarException, ValueError) as error:
            topics, url = ", ".join(self.spec.topics), self._instance.service_url
            raise LaunchError(f"subscribing to {topics} at {url} failed: {error}") from None
        self._consumer = consumer
        raw = consumer._consumer
        self.receive = raw.receive
        self.acknowledge = raw.acknowledge
        self.refuse = raw.negative_acknowledge

    def _topic(self) -> Any:
        if self.spec.consumer.is_regex_pattern:
            try:
                return re.compile(self.spec.topics[0])
            except re.error as error:
                pattern = self.spec.topics[0]
                raise LaunchError(f"the topic pattern {pattern!r} is no regular expression: {error}") from None
        return self.spec.topics[0] if len(self.spec.topics) == 1 else list(self.spec.topics)

    def _properties(self) -> dict[str, str]:
        return instance_properties(self._instance) | dict(self.spec.consumer.consumer_properties)

    def close(self) -> None:
        """Leave the subscription; a blocked ``receive`` raises. Acknowledgements made so far are sent first."""
        if self._consumer is not None:
            with contextlib.suppress(PulsarException):  # closed already, or the broker is away and notices by itself
                self._consumer.close()


def instance_properties(instance: InstanceSpec) -> dict[str, str]:
    """The properties by which a broker's statistics tell whose consumer or producer it is."""
    return {
        "application": "pulsar-function",
        "id": str(instance.function.key),
        "instance_id": str(instance.instance_id),
    }
