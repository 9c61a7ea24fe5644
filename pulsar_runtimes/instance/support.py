"""Which settings of a function pfrun's Python instance honours. One table; nothing is silently ignored."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import ConsumerSpec, FunctionSpec, ProcessingGuarantees, ProducerSpec


class Treatment(enum.Enum):
    """What becomes of a setting: it acts, the function is refused, or it has no effect and a person is told."""

    HONOURED = "honoured"
    REFUSED = "refused"
    NO_EFFECT = "no effect"


@dataclass(frozen=True, slots=True)
class SettingSupport:
    """How one setting of a function config is treated. ``is_set`` tells whether a function uses it."""

    key: str
    treatment: Treatment
    note: str
    is_set: Callable[[FunctionSpec], bool]


def consumers(function: FunctionSpec) -> Iterator[ConsumerSpec]:
    """How each input is read."""
    yield from function.source.input_specs.values()


def producer(function: FunctionSpec) -> ProducerSpec:
    """How the output is written; all defaults when the function does not say."""
    return function.sink.producer_spec or ProducerSpec()


_LEAST_TIMEOUT_MS = 10_000
_LATER = "not in this version of pfrun"

CLEANUP_NOTE = "when the admin API deletes the function; the embedded broker keeps its subscriptions"
"""Of ``cleanupSubscription``, in every language."""

PYTHON_SETTINGS: tuple[SettingSupport, ...] = (
    SettingSupport("className", Treatment.HONOURED, "", lambda f: bool(f.class_name)),
    SettingSupport("py", Treatment.HONOURED, "a .py, .zip or .whl file", lambda f: bool(f.package)),
    SettingSupport(
        "inputSpecs",
        Treatment.HONOURED,
        "with inputs, topicsPattern, customSerdeInputs and customSchemaInputs merged",
        lambda f: bool(f.source.input_specs),
    ),
    SettingSupport(
        "inputSpecs.receiverQueueSize",
        Treatment.HONOURED,
        "the client memory limit may make it smaller",
        lambda f: any(c.receiver_queue_size is not None for c in consumers(f)),
    ),
    SettingSupport(
        "inputSpecs.schemaType",
        Treatment.HONOURED,
        "string, json, avro or a class of the function's own",
        lambda f: any(c.schema_type for c in consumers(f)),
    ),
    SettingSupport(
        "inputSpecs.serdeClassName", Treatment.HONOURED, "", lambda f: any(c.serde_class_name for c in consumers(f))
    ),
    SettingSupport(
        "inputSpecs.consumerProperties",
        Treatment.HONOURED,
        "",
        lambda f: any(c.consumer_properties for c in consumers(f)),
    ),
    SettingSupport(
        "inputSpecs.cryptoConfig",
        Treatment.REFUSED,
        f"end-to-end encryption is {_LATER}",
        lambda f: any(c.crypto_spec is not None for c in consumers(f)),
    ),
    SettingSupport(
        "inputSpecs.poolMessages",
        Treatment.NO_EFFECT,
        "a setting of the Java client only",
        lambda f: any(c.pool_messages for c in consumers(f)),
    ),
    SettingSupport("output", Treatment.HONOURED, "", lambda f: bool(f.sink.topic)),
    SettingSupport("outputSchemaType", Treatment.HONOURED, "", lambda f: bool(f.sink.schema_type)),
    SettingSupport("outputSerdeClassName", Treatment.HONOURED, "", lambda f: bool(f.sink.ser_de_class_name)),
    SettingSupport(
        "producerConfig.maxPendingMessages",
        Treatment.HONOURED,
        "",
        lambda f: bool(producer(f).max_pending_messages),
    ),
    SettingSupport(
        "producerConfig.maxPendingMessagesAcrossPartitions",
        Treatment.HONOURED,
        "",
        lambda f: bool(producer(f).max_pending_messages_across_partitions),
    ),
    SettingSupport(
        "producerConfig.compressionType", Treatment.HONOURED, "", lambda f: f.sink.producer_spec is not None
    ),
    SettingSupport("producerConfig.batchBuilder", Treatment.HONOURED, "", lambda f: bool(producer(f).batch_builder)),
    SettingSupport(
        "producerConfig.useThreadLocalProducers",
        Treatment.NO_EFFECT,
        "one thread publishes all the same",
        lambda f: producer(f).use_thread_local_producers,
    ),
    SettingSupport(
        "producerConfig.cryptoConfig",
        Treatment.REFUSED,
        f"end-to-end encryption is {_LATER}",
        lambda f: producer(f).crypto_spec is not None,
    ),
    SettingSupport(
        "processingGuarantees",
        Treatment.HONOURED,
        "ATLEAST_ONCE, ATMOST_ONCE and MANUAL",
        lambda f: f.processing_guarantees is not ProcessingGuarantees.EFFECTIVELY_ONCE,
    ),
    SettingSupport(
        "processingGuarantees: EFFECTIVELY_ONCE",
        Treatment.REFUSED,
        f"{_LATER} for Python",
        lambda f: f.processing_guarantees is ProcessingGuarantees.EFFECTIVELY_ONCE,
    ),
    SettingSupport("autoAck", Treatment.HONOURED, "", lambda f: True),
    SettingSupport("parallelism", Treatment.HONOURED, "", lambda f: True),
    SettingSupport("subName", Treatment.HONOURED, "", lambda f: bool(f.source.subscription_name)),
    SettingSupport("subscriptionPosition", Treatment.HONOURED, "", lambda f: True),
    SettingSupport("retainOrdering", Treatment.HONOURED, "a Failover subscription", lambda f: f.retain_ordering),
    SettingSupport(
        "retainKeyOrdering", Treatment.HONOURED, "a Key_Shared subscription", lambda f: f.retain_key_ordering
    ),
    SettingSupport(
        "timeoutMs",
        Treatment.HONOURED,
        "the acknowledgement timeout, and the delay after which a failed message comes again",
        lambda f: f.source.timeout_ms >= _LEAST_TIMEOUT_MS,
    ),
    SettingSupport(
        "timeoutMs: below 10000",
        Treatment.REFUSED,
        "the client library of Python takes an acknowledgement timeout of 10 seconds or more only",
        lambda f: 0 < f.source.timeout_ms < _LEAST_TIMEOUT_MS,
    ),
    SettingSupport(
        "maxMessageRetries, deadLetterTopic",
        Treatment.REFUSED,
        f"{_LATER} for Python",
        lambda f: f.retry_details is not None,
    ),
    SettingSupport("skipToLatest", Treatment.REFUSED, f"{_LATER} for Python", lambda f: f.source.skip_to_latest),
    SettingSupport(
        "forwardSourceMessageProperty",
        Treatment.NO_EFFECT,
        "the Python instance never forwards the input's properties, as the reference's",
        lambda f: f.sink.forward_source_message_property,
    ),
    SettingSupport("userConfig", Treatment.HONOURED, "", lambda f: bool(f.user_config)),
    SettingSupport("secrets", Treatment.HONOURED, "", lambda f: bool(f.secrets_map)),
    SettingSupport("logTopic", Treatment.HONOURED, "lines logged during a call", lambda f: bool(f.log_topic)),
    SettingSupport(
        "resources",
        Treatment.HONOURED,
        "ram is all of the process; cpu where control groups can be had; disk is not limited",
        lambda f: f.resources is not None,
    ),
    SettingSupport(
        "cleanupSubscription",
        Treatment.HONOURED,
        CLEANUP_NOTE,
        lambda f: f.source.cleanup_subscription,
    ),
    SettingSupport(
        "runtimeFlags",
        Treatment.HONOURED,
        "options of the Python interpreter; needs the process runtime",
        lambda f: bool(f.runtime_flags),
    ),
    SettingSupport(
        "customRuntimeOptions",
        Treatment.NO_EFFECT,
        "read by the Kubernetes runtime only",
        lambda f: bool(f.custom_runtime_options),
    ),
)


def check_supported(function: FunctionSpec) -> None:
    """``AdmissionError`` naming every setting of a Python function that would have to be ignored."""
    refused = [row for row in PYTHON_SETTINGS if row.treatment is Treatment.REFUSED and row.is_set(function)]
    if refused:
        reasons = "; ".join(f"{row.key}: {row.note}" for row in refused)
        raise AdmissionError(f"{function.key}: this function cannot be run: {reasons}")
