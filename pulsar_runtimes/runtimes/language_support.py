"""What becomes of each setting of a function: one table a language, beside that of pfrun's own Python instance.

The tables are of functions as local processes. Java's is that of the reference's instance, which pfrun runs as it is.
A Go program is linked with the SDK of its author's choice: its table has what the command line carries to it, and what
the SDK of Apache Pulsar 4.0 makes of that. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pulsar_runtimes.config.function_window import USER_CONFIG_KEY
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.instance.support import (
    CLEANUP_NOTE,
    PYTHON_SETTINGS,
    SettingSupport,
    Treatment,
    consumers,
    producer,
)
from pulsar_runtimes.model.function import Language, ProcessingGuarantees
from pulsar_runtimes.runtimes.base import FactoryContext, read_strict_reference
from pulsar_runtimes.runtimes.process.places import read_places

_HONOURED, _NO_EFFECT = Treatment.HONOURED, Treatment.NO_EFFECT
_KUBERNETES_ONLY = "read by the Kubernetes runtime only"

JAVA_SETTINGS: tuple[SettingSupport, ...] = (
    SettingSupport("className", _HONOURED, "", lambda f: bool(f.class_name)),
    SettingSupport("jar", _HONOURED, "its types are read from it before the start", lambda f: bool(f.package)),
    SettingSupport(
        "inputSpecs",
        _HONOURED,
        "with inputs, topicsPattern, customSerdeInputs and customSchemaInputs merged",
        lambda f: bool(f.source.input_specs),
    ),
    SettingSupport(
        "inputSpecs.receiverQueueSize",
        _HONOURED,
        "the client memory limit does not make it smaller",
        lambda f: any(c.receiver_queue_size is not None for c in consumers(f)),
    ),
    SettingSupport("inputSpecs.schemaType", _HONOURED, "", lambda f: any(c.schema_type for c in consumers(f))),
    SettingSupport("inputSpecs.serdeClassName", _HONOURED, "", lambda f: any(c.serde_class_name for c in consumers(f))),
    SettingSupport(
        "inputSpecs.consumerProperties", _HONOURED, "", lambda f: any(c.consumer_properties for c in consumers(f))
    ),
    SettingSupport(
        "inputSpecs.cryptoConfig", _HONOURED, "", lambda f: any(c.crypto_spec is not None for c in consumers(f))
    ),
    SettingSupport("inputSpecs.poolMessages", _HONOURED, "", lambda f: any(c.pool_messages for c in consumers(f))),
    SettingSupport("output", _HONOURED, "", lambda f: bool(f.sink.topic)),
    SettingSupport("outputSchemaType", _HONOURED, "", lambda f: bool(f.sink.schema_type)),
    SettingSupport("outputSerdeClassName", _HONOURED, "", lambda f: bool(f.sink.ser_de_class_name)),
    SettingSupport(
        "producerConfig.maxPendingMessages", _HONOURED, "", lambda f: bool(producer(f).max_pending_messages)
    ),
    SettingSupport(
        "producerConfig.maxPendingMessagesAcrossPartitions",
        _HONOURED,
        "",
        lambda f: bool(producer(f).max_pending_messages_across_partitions),
    ),
    SettingSupport("producerConfig.compressionType", _HONOURED, "", lambda f: f.sink.producer_spec is not None),
    SettingSupport("producerConfig.batchBuilder", _HONOURED, "", lambda f: bool(producer(f).batch_builder)),
    SettingSupport(
        "producerConfig.useThreadLocalProducers", _HONOURED, "", lambda f: producer(f).use_thread_local_producers
    ),
    SettingSupport("producerConfig.cryptoConfig", _HONOURED, "", lambda f: producer(f).crypto_spec is not None),
    SettingSupport("processingGuarantees", _HONOURED, "all of them, EFFECTIVELY_ONCE as well", lambda f: True),
    SettingSupport("autoAck", _HONOURED, "", lambda f: f.auto_ack),
    SettingSupport(
        "autoAck: false",
        _NO_EFFECT,
        "the Java instance acknowledges all the same; processingGuarantees: MANUAL keeps it from that",
        lambda f: not f.auto_ack and f.processing_guarantees is not ProcessingGuarantees.MANUAL,
    ),
    SettingSupport("windowConfig", _HONOURED, "", lambda f: USER_CONFIG_KEY in f.user_config),
    SettingSupport("parallelism", _HONOURED, "", lambda f: True),
    SettingSupport("subName", _HONOURED, "", lambda f: bool(f.source.subscription_name)),
    SettingSupport("subscriptionPosition", _HONOURED, "", lambda f: True),
    SettingSupport("retainOrdering", _HONOURED, "a Failover subscription", lambda f: f.retain_ordering),
    SettingSupport("retainKeyOrdering", _HONOURED, "a Key_Shared subscription", lambda f: f.retain_key_ordering),
    SettingSupport(
        "timeoutMs",
        _HONOURED,
        "the acknowledgement timeout, and the delay after which a failed message comes again",
        lambda f: f.source.timeout_ms > 0,
    ),
    SettingSupport("maxMessageRetries, deadLetterTopic", _HONOURED, "", lambda f: f.retry_details is not None),
    SettingSupport("skipToLatest", _HONOURED, "", lambda f: f.source.skip_to_latest),
    SettingSupport("forwardSourceMessageProperty", _HONOURED, "", lambda f: f.sink.forward_source_message_property),
    SettingSupport("userConfig", _HONOURED, "", lambda f: bool(f.user_config)),
    SettingSupport("secrets", _HONOURED, "", lambda f: bool(f.secrets_map)),
    SettingSupport("logTopic", _HONOURED, "", lambda f: bool(f.log_topic)),
    SettingSupport(
        "resources",
        _HONOURED,
        "ram is the heap (-Xmx), the whole process is held to a quarter more, 256 MiB at least, and to the client "
        "memory limit; cpu where control groups can be had; disk is not limited",
        lambda f: f.resources is not None,
    ),
    SettingSupport("cleanupSubscription", _HONOURED, CLEANUP_NOTE, lambda f: f.source.cleanup_subscription),
    SettingSupport(
        "runtimeFlags",
        _HONOURED,
        "options of the JVM, after the worker's own and before -Xmx",
        lambda f: bool(f.runtime_flags),
    ),
    SettingSupport("customRuntimeOptions", _NO_EFFECT, _KUBERNETES_ONLY, lambda f: bool(f.custom_runtime_options)),
)

_NOT_APPLIED = "the Go SDK does not apply it"
_BYTES = "a Go function takes and gives bytes"

GO_SETTINGS: tuple[SettingSupport, ...] = (
    SettingSupport("className", _NO_EFFECT, "but for a name where none is given", lambda f: bool(f.class_name)),
    SettingSupport("go", _HONOURED, "an executable file for this machine", lambda f: bool(f.package)),
    SettingSupport(
        "inputSpecs",
        _HONOURED,
        "with inputs, topicsPattern, customSerdeInputs and customSchemaInputs merged",
        lambda f: bool(f.source.input_specs),
    ),
    SettingSupport(
        "inputSpecs.receiverQueueSize",
        _HONOURED,
        "",
        lambda f: any(c.receiver_queue_size is not None for c in consumers(f)),
    ),
    SettingSupport("inputSpecs.schemaType", _NO_EFFECT, _BYTES, lambda f: any(c.schema_type for c in consumers(f))),
    SettingSupport(
        "inputSpecs.serdeClassName", _NO_EFFECT, _BYTES, lambda f: any(c.serde_class_name for c in consumers(f))
    ),
    SettingSupport(
        "inputSpecs.consumerProperties",
        _NO_EFFECT,
        _NOT_APPLIED,
        lambda f: any(c.consumer_properties for c in consumers(f)),
    ),
    SettingSupport(
        "inputSpecs.cryptoConfig",
        _NO_EFFECT,
        f"{_NOT_APPLIED}: messages are not decrypted",
        lambda f: any(c.crypto_spec is not None for c in consumers(f)),
    ),
    SettingSupport(
        "inputSpecs.poolMessages",
        _NO_EFFECT,
        "a setting of the Java client only",
        lambda f: any(c.pool_messages for c in consumers(f)),
    ),
    SettingSupport("output", _HONOURED, "", lambda f: bool(f.sink.topic)),
    SettingSupport("outputSchemaType", _NO_EFFECT, _BYTES, lambda f: bool(f.sink.schema_type)),
    SettingSupport("outputSerdeClassName", _NO_EFFECT, _BYTES, lambda f: bool(f.sink.ser_de_class_name)),
    SettingSupport(
        "producerConfig.maxPendingMessages", _NO_EFFECT, _NOT_APPLIED, lambda f: bool(producer(f).max_pending_messages)
    ),
    SettingSupport(
        "producerConfig.maxPendingMessagesAcrossPartitions",
        _NO_EFFECT,
        _NOT_APPLIED,
        lambda f: bool(producer(f).max_pending_messages_across_partitions),
    ),
    SettingSupport(
        "producerConfig.compressionType",
        _NO_EFFECT,
        f"{_NOT_APPLIED}; it compresses with LZ4",
        lambda f: f.sink.producer_spec is not None,
    ),
    SettingSupport("producerConfig.batchBuilder", _NO_EFFECT, _NOT_APPLIED, lambda f: bool(producer(f).batch_builder)),
    SettingSupport(
        "producerConfig.useThreadLocalProducers",
        _NO_EFFECT,
        "a setting of the Java instance only",
        lambda f: producer(f).use_thread_local_producers,
    ),
    SettingSupport(
        "producerConfig.cryptoConfig",
        _NO_EFFECT,
        f"{_NOT_APPLIED}: messages are not encrypted",
        lambda f: producer(f).crypto_spec is not None,
    ),
    SettingSupport("processingGuarantees", _HONOURED, "ATLEAST_ONCE, ATMOST_ONCE and MANUAL", lambda f: True),
    SettingSupport(
        "autoAck", _HONOURED, "false goes with processingGuarantees: MANUAL only, else the program ends", lambda f: True
    ),
    SettingSupport("parallelism", _HONOURED, "", lambda f: True),
    SettingSupport("subName", _HONOURED, "", lambda f: bool(f.source.subscription_name)),
    SettingSupport(
        "subscriptionPosition",
        _NO_EFFECT,
        f"{_NOT_APPLIED}; a new subscription begins at the latest message",
        lambda f: True,
    ),
    SettingSupport(
        "retainOrdering",
        _NO_EFFECT,
        "the subscription type never reaches a Go program: its subscription is Shared",
        lambda f: f.retain_ordering,
    ),
    SettingSupport("timeoutMs", _NO_EFFECT, _NOT_APPLIED, lambda f: f.source.timeout_ms > 0),
    SettingSupport("skipToLatest", _NO_EFFECT, _NOT_APPLIED, lambda f: f.source.skip_to_latest),
    SettingSupport(
        "forwardSourceMessageProperty", _NO_EFFECT, _NOT_APPLIED, lambda f: f.sink.forward_source_message_property
    ),
    SettingSupport("userConfig", _HONOURED, "", lambda f: bool(f.user_config)),
    SettingSupport("secrets", _HONOURED, "they reach the program as secretsMap", lambda f: bool(f.secrets_map)),
    SettingSupport("logTopic", _HONOURED, "", lambda f: bool(f.log_topic)),
    SettingSupport(
        "resources",
        _HONOURED,
        "ram is all of the process; cpu where control groups can be had; disk is not limited",
        lambda f: f.resources is not None,
    ),
    SettingSupport("cleanupSubscription", _HONOURED, CLEANUP_NOTE, lambda f: f.source.cleanup_subscription),
    SettingSupport(
        "runtimeFlags",
        _NO_EFFECT,
        "they have no place on the command line of a Go program",
        lambda f: bool(f.runtime_flags),
    ),
    SettingSupport("customRuntimeOptions", _NO_EFFECT, _KUBERNETES_ONLY, lambda f: bool(f.custom_runtime_options)),
)

_OTHERWISE: Mapping[str, tuple[Treatment, str]] = {
    "inputSpecs.receiverQueueSize": (_HONOURED, ""),
    "inputSpecs.consumerProperties": (_NO_EFFECT, "Apache Pulsar's Python instance does not apply it"),
    "inputSpecs.cryptoConfig": (_HONOURED, ""),
    "producerConfig.maxPendingMessages": (_NO_EFFECT, "Apache Pulsar's Python instance does not apply it"),
    "producerConfig.maxPendingMessagesAcrossPartitions": (
        _NO_EFFECT,
        "Apache Pulsar's Python instance does not apply it",
    ),
    "producerConfig.cryptoConfig": (_HONOURED, "the first key of encryptionKeys only"),
    "timeoutMs: below 10000": (
        _HONOURED,
        "the instance ends at its start: the client library takes 10 seconds or more",
    ),
    "skipToLatest": (_NO_EFFECT, "Apache Pulsar's Python instance does not apply it"),
    "runtimeFlags": (_HONOURED, "options of python3"),
}
"""What Apache Pulsar's own Python instance does otherwise than pfrun's."""


def _reference_rows() -> Iterator[SettingSupport]:
    for row in PYTHON_SETTINGS:
        treatment, note = _OTHERWISE.get(row.key, (row.treatment, row.note))
        yield replace(row, treatment=treatment, note=note)


REFERENCE_PYTHON_SETTINGS: tuple[SettingSupport, ...] = tuple(_reference_rows())
"""For Apache Pulsar's own Python instance. What it says is refused, is refused when a config is read."""


_REPOSITORIES = ("pythonDependencyRepository", "pythonExtraDependencyRepository")
_NOT_WHEN_STRICT = ("pulsarClientMemoryLimit", "enforceResources", "installUserCodeDependencies", *_REPOSITORIES)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What about a worker decides what its local instances make of a setting. Defaults are the process runtime's.

    ``no_limits`` says why instances are not held to their resources, a part of a sentence; empty when they are.
    ``java_limit`` tells whether the client memory limit reaches Java instances. ``idle`` has the keys of the runtime's
    section that do nothing beside others, each with the reason.
    """

    reference_python: bool = False
    java_limit: bool = True
    no_limits: str = ""
    idle: Mapping[str, str] = field(default_factory=dict)

    def settings(self, language: Language) -> tuple[SettingSupport, ...]:
        """The table for functions of ``language``."""
        match language:
            case Language.JAVA:
                rows = JAVA_SETTINGS
            case Language.GO:
                rows = GO_SETTINGS
            case _:
                rows = REFERENCE_PYTHON_SETTINGS if self.reference_python else PYTHON_SETTINGS
        return tuple(self._of_resources(row, language) if row.key == "resources" else row for row in rows)

    def _of_resources(self, row: SettingSupport, language: Language) -> SettingSupport:
        if not self.no_limits:
            return row
        if language is Language.JAVA:
            return replace(row, note=f"ram is the heap (-Xmx); nothing else is limited {self.no_limits}")
        note = f"pfrun sets no limits {self.no_limits}; only the worker's bounds are checked"
        return replace(row, treatment=_NO_EFFECT, note=note)

    def bounds_client(self, language: Language) -> bool:
        """Whether the client memory limit reaches the Pulsar clients of instances in ``language``."""
        match language:
            case Language.JAVA:
                return self.java_limit
            case Language.GO:
                return False
            case _:
                return not self.reference_python


def read_surroundings(runtime: str, section: Section, environment: Mapping[str, str]) -> Surroundings:
    """Those of a worker whose ``runtime`` has read ``section``: what it has not looked for there, it does not have."""
    seen = section.seen
    section = replace(section, problems=[], warnings=[], seen=set())
    context = FactoryContext(Path(), 0, environment)
    strict = "strictReference" in seen and read_strict_reference(section, context)
    if strict:
        no_limits = "with strictReference"
    elif "enforceResources" not in seen:
        no_limits = f"with the {runtime} runtime"
    else:
        no_limits = "" if section.boolean("enforceResources", True) else "with enforceResources: false"
    reference_python = False
    if "pythonInstanceLocation" in seen:
        reference_python = bool(read_places(section, environment, reference=strict).python_instance)
    idle: dict[str, str] = {}
    if strict and "enforceResources" in seen:
        idle = dict.fromkeys(_NOT_WHEN_STRICT, "strictReference launches without it")
    elif not section.boolean("installUserCodeDependencies"):
        idle = dict.fromkeys(_REPOSITORIES, "installUserCodeDependencies is not on")
    return Surroundings(reference_python, java_limit=not strict, no_limits=no_limits, idle=idle)
