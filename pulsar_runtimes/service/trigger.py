"""Giving a function one message by hand, and waiting for what it answers.

Source: ``ComponentImpl#triggerFunction`` of Apache Pulsar 4.0.8. Unlike there, the producer has no name, so that two
triggers at once, or one after another that timed out, do not shut each other out.
"""

from __future__ import annotations

import contextlib
import time
from base64 import b64decode, urlsafe_b64decode
from typing import Any

from pulsar_runtimes.instance.client import MessageId, PulsarException, Timeout
from pulsar_runtimes.instance.output import INPUT_MESSAGE_PROPERTY, INPUT_TOPIC_PROPERTY
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.names import full_topic

from .errors import NotReadyError, RefusedError

_ANSWER_SECONDS = 10.0
_SLICE_MILLIS = 500


class TriggerTimeout(NotReadyError):
    """The function gave no answer in time."""


def trigger(client: Any, function: FunctionSpec, data: bytes, topic: str | None) -> bytes:
    """Publish ``data`` to an input of ``function``; its output for it, or nothing when it has no output topic.

    ``topic`` may be left out when there is one input only. ``RefusedError`` when it is none of the inputs,
    ``TriggerTimeout`` when no answer comes, ``NotReadyError`` when the broker does not serve the topics.
    """
    source = _input_topic(function, topic)
    try:
        with contextlib.closing(_producer(client, source)) as producer:
            if not function.sink.topic:
                producer.send(data)
                return b""
            with contextlib.closing(client.create_reader(function.sink.topic, MessageId.latest)) as reader:
                return _answer(reader, source, producer.send(data))
    except PulsarException as error:
        raise NotReadyError(f"Function in trigger function is not ready: {error}") from None


def _input_topic(function: FunctionSpec, topic: str | None) -> str:
    inputs = {full_topic(name): name for name, spec in function.source.input_specs.items() if not spec.is_regex_pattern}
    if topic:
        if full_topic(topic) not in inputs:
            raise RefusedError("Function in trigger function has unidentified topic")
        return full_topic(topic)
    if len(inputs) != 1:
        raise RefusedError("Function in trigger function has more than 1 input topics")
    return next(iter(inputs))


def _producer(client: Any, topic: str) -> Any:
    return client.create_producer(topic, batching_enabled=False, send_timeout_millis=int(_ANSWER_SECONDS * 1000))


def _answer(reader: Any, topic: str, sent: Any) -> bytes:
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            message = reader.read_next(_SLICE_MILLIS)
        except Timeout:
            continue
        if _is_answer(message.properties(), topic, sent):
            return bytes(message.data())
    raise TriggerTimeout("Request Timed Out")


def _is_answer(properties: dict[str, str], topic: str, sent: Any) -> bool:
    if full_topic(properties.get(INPUT_TOPIC_PROPERTY, "")) != topic:
        return False
    told = _decode(properties.get(INPUT_MESSAGE_PROPERTY, ""))
    return told is not None and (told.ledger_id(), told.entry_id()) == (sent.ledger_id(), sent.entry_id())


def _decode(text: str) -> Any:
    """The message id of the property: base64 of one kind in Java instances, of another in Python ones."""
    decode = urlsafe_b64decode if {"-", "_"} & set(text) else b64decode
    try:
        return MessageId.deserialize(decode(text))
    except (ValueError, RuntimeError, PulsarException):
        return None
