"""Every setting of a function acts, is refused with its reason, or is named as having no effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pulsar_runtimes.instance.support import PYTHON_SETTINGS, Treatment, check_supported
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import (
    ConsumerSpec,
    CryptoSpec,
    FunctionSpec,
    ProcessingGuarantees,
    ProducerSpec,
    Resources,
    RetrySpec,
    SinkSpec,
    SourceSpec,
)
from pulsar_runtimes.testing import function_spec

TOPIC = "persistent://public/default/in"


def source(**changes: Any) -> SourceSpec:
    return replace(SourceSpec(input_specs={TOPIC: ConsumerSpec()}), **changes)


def consumer(**changes: Any) -> SourceSpec:
    return source(input_specs={TOPIC: ConsumerSpec(), f"{TOPIC}2": ConsumerSpec(**changes)})


def producer(**changes: Any) -> SinkSpec:
    return SinkSpec(topic="out", producer_spec=ProducerSpec(**changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"processing_guarantees": ProcessingGuarantees.EFFECTIVELY_ONCE},
            "processingGuarantees: EFFECTIVELY_ONCE: not in this version of pfrun for Python",
        ),
        (
            {"retry_details": RetrySpec(3, "dead")},
            "maxMessageRetries, deadLetterTopic: not in this version of pfrun for Python",
        ),
        (
            {"retry_details": RetrySpec()},
            "maxMessageRetries, deadLetterTopic: not in this version of pfrun for Python",
        ),
        ({"source": source(skip_to_latest=True)}, "skipToLatest: not in this version of pfrun for Python"),
        (
            {"source": source(timeout_ms=9_999)},
            (
                "timeoutMs: below 10000: the client library of Python takes an acknowledgement timeout of 10 seconds "
                "or more only"
            ),
        ),
        (
            {"source": consumer(crypto_spec=CryptoSpec())},
            "inputSpecs.cryptoConfig: end-to-end encryption is not in this version of pfrun",
        ),
        (
            {"sink": producer(crypto_spec=CryptoSpec())},
            "producerConfig.cryptoConfig: end-to-end encryption is not in this version of pfrun",
        ),
    ],
)
def test_what_would_have_to_be_ignored_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(AdmissionError) as caught:
        check_supported(function_spec(**changes))
    assert str(caught.value) == f"public/default/exclaim: this function cannot be run: {reason}"


def test_all_reasons_are_told_at_once() -> None:
    function = function_spec(
        processing_guarantees=ProcessingGuarantees.EFFECTIVELY_ONCE, source=source(skip_to_latest=True)
    )
    with pytest.raises(AdmissionError, match=r"EFFECTIVELY_ONCE: .*; skipToLatest: "):
        check_supported(function)


def test_each_refusal_of_the_table_has_a_reason() -> None:
    assert [row.key for row in PYTHON_SETTINGS if row.treatment is not Treatment.HONOURED and not row.note] == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        *({"processing_guarantees": one} for one in ProcessingGuarantees if one.name != "EFFECTIVELY_ONCE"),
        {"auto_ack": False},
        {"source": source(timeout_ms=10_000)},
        {"source": consumer(pool_messages=True, receiver_queue_size=0)},
        {"sink": producer(use_thread_local_producers=True)},
        {"sink": SinkSpec(topic="out", forward_source_message_property=True)},
        {"resources": Resources(cpu=64.0)},
        {"custom_runtime_options": "{}"},
        {"runtime_flags": "-O"},
    ],
)
def test_what_acts_or_does_no_harm_is_admitted(changes: dict[str, Any]) -> None:
    check_supported(function_spec(**changes))


# The table is complete

_OTHER: dict[Any, Any] = {bool: True, int: 10_000, str: "x", float: 0.5}
_NO_SETTING_OF_A_PYTHON_FUNCTION = {
    *("tenant", "namespace", "name", "language", "component_type", "package_url", "builtin"),  # who it is
    *("subscription_position",),  # a copy; the one in source counts
    *("transform_package",),  # of sinks
    *("source.class_name", "source.configs", "source.builtin", "source.subscription_type"),  # connectors; derived
    *("source.type_class_name", "sink.type_class_name"),  # found by the worker in Java classes; part of a schema here
    *("source.topics_to_ser_de_class_name", "source.topics_pattern"),  # old forms of inputSpecs
    *("source.negative_ack_redelivery_delay_ms",),  # from timeoutMs
    *("input.is_regex_pattern", "input.schema_properties"),  # part of inputSpecs, of a schema
    *("sink.class_name", "sink.configs", "sink.builtin", "sink.consumer_properties", "sink.schema_properties"),
    *("producer.max_pending_messages_across_partitions",),  # no key of a function config sets it alone
}


def _changed(owner: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Each field of ``owner`` set to something else than it is, and its dotted name."""
    for field in dataclasses.fields(owner):
        value = getattr(owner, field.name)
        if f"{prefix}{field.name}" in ("source", "sink", "source.input_specs", "sink.producer_spec"):
            continue
        other: Any
        if field.name == "processing_guarantees":
            other = ProcessingGuarantees.EFFECTIVELY_ONCE
        elif type(value) in _OTHER:
            other = (not value) if isinstance(value, bool) else _OTHER[type(value)]
        elif value is None:
            other = 7 if field.name == "receiver_queue_size" else CryptoSpec()
        elif isinstance(value, dict):
            other = {"k": "v"}
        else:
            other = next((one for one in type(value) if one is not value), value)
        yield f"{prefix}{field.name}", replace(owner, **{field.name: other})


BARE = function_spec(source=source(), sink=SinkSpec(), resources=None, class_name="", package="")
BARE_SINK = SinkSpec(producer_spec=ProducerSpec())


def _functions() -> Iterator[tuple[str, FunctionSpec, FunctionSpec]]:
    """Name of a setting, a function without it, and the function with it."""
    for name, function in _changed(BARE, ""):
        yield name, BARE, function
    for name, part in _changed(BARE.source, "source."):
        yield name, BARE, replace(BARE, source=part)
    for name, part in _changed(BARE.sink, "sink."):
        yield name, BARE, replace(BARE, sink=part)
    for name, part in _changed(ConsumerSpec(), "input."):
        yield name, BARE, replace(BARE, source=source(input_specs={TOPIC: part}))
    with_producer = replace(BARE, sink=BARE_SINK)
    for name, part in _changed(ProducerSpec(), "producer."):
        yield name, with_producer, replace(BARE, sink=SinkSpec(producer_spec=part))


_ALWAYS_IN_THE_TABLE = {"auto_ack", "parallelism", "source.subscription_position", "producer.compression_type"}
"""Settings that every function has: their rows always apply."""


def test_every_setting_of_a_function_has_a_row() -> None:
    def rows(function: FunctionSpec) -> set[str]:
        return {row.key for row in PYTHON_SETTINGS if row.is_set(function)}

    unknown = {name for name, without, function in _functions() if rows(without) == rows(function)}
    assert unknown - _NO_SETTING_OF_A_PYTHON_FUNCTION == _ALWAYS_IN_THE_TABLE
    assert {"autoAck", "parallelism", "subscriptionPosition"} <= rows(BARE)
    assert "producerConfig.compressionType" in rows(replace(BARE, sink=BARE_SINK))
