"""A function config, as ``pulsar-admin functions create --function-config-file`` takes it, to a ``FunctionSpec``.

Defaults and checks are those of ``FunctionConfigUtils`` of Apache Pulsar 4.0.8, as far as they need no look into
the code. Unlike the reference, an unknown key is refused and ``fqfn`` is honoured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulsar_runtimes.model.component import BUILTIN
from pulsar_runtimes.model.function import (
    DEFAULT_RESOURCES,
    ComponentType,
    CompressionType,
    FunctionSpec,
    Language,
    ProcessingGuarantees,
    ProducerSpec,
    Resources,
    RetrySpec,
    SinkSpec,
    SourceSpec,
    SubscriptionPosition,
    SubscriptionType,
)
from pulsar_runtimes.model.names import FunctionKey, path_problem

from .document import read_document
from .function_input import INPUT_KEYS, MAX_INT, read_crypto, read_custom_schema_output, read_input_specs, read_topic
from .function_window import EXECUTOR_CLASS, USER_CONFIG_KEY, read_window
from .section import Section

PACKAGE_KEYS = {"jar": Language.JAVA, "py": Language.PYTHON, "go": Language.GO}
"""The key that names the code, and the language it implies; the first one given decides."""

IGNORED_KEYS = {
    "functionType": "Apache Pulsar's worker does not read it",
    "maxPendingAsyncRequests": "the worker's own setting of that name counts",
    "exposePulsarAdminClientEnabled": "the worker's exposeAdminClientEnabled counts",
}


def load_function_config(path: str | Path | None, overrides: Mapping[str, Any] | None = None) -> FunctionSpec:
    """:func:`parse_function_config` of :func:`read_function_config`, for those who need no warnings."""
    return parse_function_config(read_function_config(path, overrides))


def read_function_config(path: str | Path | None, overrides: Mapping[str, Any] | None = None) -> Section:
    """The function config in the file at ``path``, if any, with ``overrides`` in place of its keys.

    ``overrides`` come from the command line and have the keys of a function config; one that is ``None`` was
    not given. ``ConfigError`` when the file cannot be read.
    """
    section = read_document(Path(path)) if path is not None else Section({})
    for key, value in (overrides or {}).items():
        if value is not None:
            section = section.with_value((key,), list(value) if isinstance(value, tuple) else value, "command line")
    return section


def parse_function_config(section: Section) -> FunctionSpec:
    """The function that ``section`` describes, complete.

    ``ConfigError`` with every problem found. Warnings are left in ``section.warnings``.
    """
    language, package = _read_package(section)
    class_name = section.text("className").strip()
    guarantees = section.choice("processingGuarantees", ProcessingGuarantees, ProcessingGuarantees.ATLEAST_ONCE)
    key = _read_key(section, class_name)
    output = read_topic(section, "output")
    user_config = dict(read_json_mapping(section, "userConfig"))
    auto_ack = section.boolean("autoAck", True, null=True)
    retain_ordering, retain_key_ordering = section.boolean("retainOrdering"), section.boolean("retainKeyOrdering")
    subscription_type = subscription_type_of(
        guarantees, retain_ordering=retain_ordering, retain_key_ordering=retain_key_ordering
    )
    window = section.section("windowConfig")
    if window is not None:
        user_config[USER_CONFIG_KEY] = read_window(window, class_name, guarantees)
    spec = FunctionSpec(
        tenant=key.tenant,
        namespace=key.namespace,
        name=key.name,
        class_name=EXECUTOR_CLASS if window is not None else class_name,
        log_topic=read_topic(section, "logTopic"),
        processing_guarantees=ProcessingGuarantees.MANUAL if window is not None else guarantees,
        user_config=user_config,
        language=language,
        auto_ack=auto_ack and window is None,
        parallelism=section.integer("parallelism", 1, null=1, minimum=1, maximum=MAX_INT),
        source=_read_source(section, language, subscription_type),
        sink=_read_sink(section, output, language),
        resources=read_resources(section),
        retry_details=_read_retries(section),
        secrets_map=read_json_mapping(section, "secrets"),
        runtime_flags=section.text("runtimeFlags"),
        component_type=ComponentType.FUNCTION,
        custom_runtime_options=section.text("customRuntimeOptions"),
        builtin=package.removeprefix(BUILTIN) if language is Language.JAVA and package.startswith(BUILTIN) else "",
        retain_ordering=retain_ordering,
        retain_key_ordering=retain_key_ordering,
        package=package,
    )
    _check_common(section, spec, guarantees)
    _check_language(section, spec, guarantees, class_name)
    _check_auto_ack(section, auto_ack, guarantees)
    for ignored, reason in IGNORED_KEYS.items():
        if section.raw(ignored) is not None and ignored in section:
            section.warn(ignored, f"has no effect: {reason}")
    section.refuse_unread()
    section.done()
    return spec


def _read_package(section: Section) -> tuple[Language, str]:
    """The language and the place of the code; JAVA and ``""`` when they cannot be told."""
    packages = {key: section.text(key).strip() for key in PACKAGE_KEYS}
    given = [key for key, package in packages.items() if package]
    language = section.choice("runtime", Language, Language.JAVA)
    stated = section.values.get("runtime") not in (None, "")
    if not given:
        section.problem("", "has no package: jar, py or go must say where the code is")
        return language, ""
    if len(given) > 1:
        section.problem(given[1], f"cannot be given together with {given[0]}")
    implied = PACKAGE_KEYS[given[0]]
    if stated and language is not implied and str(section.values["runtime"]).upper() in Language.__members__:
        section.problem("runtime", f"is {language.name}, but {given[0]} names a package of {implied.name}")
    return implied, packages[given[0]]


def _read_key(section: Section, class_name: str) -> FunctionKey:
    """Tenant, namespace and name: as given, else from ``fqfn``, else public, default and the class's own name."""
    given = {part: section.text(part) for part in ("tenant", "namespace", "name")}
    inferred = {"tenant": "public", "namespace": "default", "name": class_name.rpartition(".")[2]}
    inferred.update(_read_fqfn(section, given))
    parts = {part: given[part] or inferred[part] for part in given}
    for part, text in parts.items():
        if not text:
            section.problem(part, "must be given, as there is no className to take it from")
        elif problem := path_problem(text):
            section.problem(part, problem)
    return FunctionKey(**parts)


def _read_fqfn(section: Section, given: Mapping[str, str]) -> dict[str, str]:
    text = section.text("fqfn")
    if not text:
        return {}
    try:
        key = FunctionKey.parse(text)
    except ValueError as error:
        section.problem("fqfn", str(error))
        return {}
    parts = {"tenant": key.tenant, "namespace": key.namespace, "name": key.name}
    for part, value in parts.items():
        if given[part] and given[part] != value:
            section.problem("fqfn", f"has the {part} {value!r}, but {part} is {given[part]!r}")
    return parts


def _read_source(section: Section, language: Language, subscription_type: SubscriptionType) -> SourceSpec:
    timeout_ms = section.optional_integer("timeoutMs", minimum=1) or 0
    return SourceSpec(
        subscription_type=subscription_type,
        type_class_name=section.text("inputTypeClassName"),
        timeout_ms=timeout_ms,
        subscription_name=section.text("subName").strip(),
        input_specs=read_input_specs(section, language),
        cleanup_subscription=section.boolean("cleanupSubscription", True, null=True),
        subscription_position=section.choice("subscriptionPosition", SubscriptionPosition, SubscriptionPosition.LATEST),
        negative_ack_redelivery_delay_ms=timeout_ms,
        skip_to_latest=section.boolean("skipToLatest"),
    )


def subscription_type_of(
    guarantees: ProcessingGuarantees, *, retain_ordering: bool, retain_key_ordering: bool
) -> SubscriptionType:
    """What the input topics are read with, for the order that is asked for."""
    if retain_ordering or guarantees is ProcessingGuarantees.EFFECTIVELY_ONCE:
        return SubscriptionType.FAILOVER
    return SubscriptionType.KEY_SHARED if retain_key_ordering else SubscriptionType.SHARED


def _read_sink(section: Section, output: str, language: Language) -> SinkSpec:
    schema, serde = section.text("outputSchemaType").strip(), section.text("outputSerdeClassName").strip()
    if schema and serde and language is Language.JAVA:
        section.problem("outputSerdeClassName", "cannot be given together with outputSchemaType")
    custom = read_custom_schema_output(section, output)
    return SinkSpec(
        topic=output,
        ser_de_class_name=serde,
        type_class_name=section.text("outputTypeClassName"),
        schema_type=schema,
        forward_source_message_property=section.boolean("forwardSourceMessageProperty", True, null=True),
        schema_properties=custom.schema_properties,
        consumer_properties=custom.consumer_properties,
        producer_spec=read_producer(section),
    )


def read_producer(section: Section) -> ProducerSpec | None:
    """``producerConfig``; the ``batchBuilder`` beside it wins over its own. ``None`` when neither is there."""
    batch_builder = section.text("batchBuilder")
    inner = section.section("producerConfig")
    if inner is None:
        return ProducerSpec(batch_builder=batch_builder) if batch_builder else None
    spec = ProducerSpec(
        max_pending_messages=inner.integer("maxPendingMessages", minimum=0, maximum=MAX_INT),
        max_pending_messages_across_partitions=inner.integer(
            "maxPendingMessagesAcrossPartitions", minimum=0, maximum=MAX_INT
        ),
        use_thread_local_producers=inner.boolean("useThreadLocalProducers"),
        crypto_spec=read_crypto(inner.section("cryptoConfig"), producer=True),
        batch_builder=batch_builder or inner.text("batchBuilder"),
        compression_type=inner.choice("compressionType", CompressionType, CompressionType.LZ4),
    )
    inner.raw("batchBuilder")
    inner.refuse_unread()
    return spec


def read_resources(section: Section) -> Resources:
    """``resources``, each with its default."""
    inner = section.section("resources")
    if inner is None:
        return DEFAULT_RESOURCES
    usual = DEFAULT_RESOURCES
    resources = Resources(
        cpu=inner.number("cpu", usual.cpu, null=usual.cpu, above=0),
        ram=inner.integer("ram", usual.ram, null=usual.ram, minimum=1),
        disk=inner.integer("disk", usual.disk, null=usual.disk, minimum=1),
    )
    inner.refuse_unread()
    return resources


def _read_retries(section: Section) -> RetrySpec | None:
    """How often a message is tried again; ``None`` when it is not limited, which a negative number says too."""
    retries = section.optional_integer("maxMessageRetries", maximum=MAX_INT)
    dead_letter_topic = read_topic(section, "deadLetterTopic")
    if retries is not None and retries >= 0:
        return RetrySpec(retries, dead_letter_topic)
    if dead_letter_topic:
        section.problem("deadLetterTopic", "needs maxMessageRetries of 0 or more, else no message ever gets there")
    return None


def read_json_mapping(section: Section, key: str) -> Mapping[str, Any]:
    """A mapping that JSON can carry: it knows no infinity."""
    value = section.mapping(key)
    if not _is_finite(value):
        section.problem(key, "must hold only finite numbers")
        return {}
    return value


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)


def _check_common(section: Section, spec: FunctionSpec, guarantees: ProcessingGuarantees) -> None:
    """What holds in every language. ``guarantees`` are those of the config, before windows change them."""
    if not any(section.values.get(key) for key in INPUT_KEYS):
        section.problem("", "has no input: give inputs, topicsPattern or inputSpecs")
    if spec.sink.topic and spec.sink.topic in spec.source.input_specs:
        section.problem("output", f"must not be an input as well (got {spec.sink.topic!r})")
    if spec.source.timeout_ms and guarantees is not ProcessingGuarantees.ATLEAST_ONCE:
        section.problem("timeoutMs", f"cannot be combined with processingGuarantees {guarantees.name}")
    if guarantees is ProcessingGuarantees.EFFECTIVELY_ONCE:
        if spec.retry_details is not None:
            section.problem("maxMessageRetries", "cannot be combined with processingGuarantees EFFECTIVELY_ONCE")
        if spec.retain_key_ordering:
            section.problem("retainKeyOrdering", "cannot be combined with processingGuarantees EFFECTIVELY_ONCE")
    if spec.retain_key_ordering and spec.retain_ordering:
        section.problem("retainKeyOrdering", "cannot be combined with retainOrdering")


def _check_language(section: Section, spec: FunctionSpec, guarantees: ProcessingGuarantees, class_name: str) -> None:
    """What Python and Go functions cannot do."""
    if spec.language is Language.PYTHON and not class_name:
        section.problem("className", "must be given for a Python function")
    if spec.language is Language.JAVA:
        return
    asked = {
        "processingGuarantees": guarantees is ProcessingGuarantees.EFFECTIVELY_ONCE,
        "windowConfig": section.values.get("windowConfig") is not None,
        "maxMessageRetries": spec.retry_details is not None,
        "retainKeyOrdering": spec.retain_key_ordering and spec.language is Language.GO,
    }
    for key, is_asked in asked.items():
        if is_asked:
            value = " EFFECTIVELY_ONCE" if key == "processingGuarantees" else ""
            section.problem(key, f"{value} is not supported for {spec.language.name} functions".strip())


def _check_auto_ack(section: Section, auto_ack: bool, guarantees: ProcessingGuarantees) -> None:
    windows = section.values.get("windowConfig") is not None
    if windows:
        if auto_ack and section.values.get("autoAck") is not None:
            section.warn("autoAck", "has no effect, as windows acknowledge their messages themselves")
    elif not auto_ack and guarantees is ProcessingGuarantees.ATMOST_ONCE:
        section.problem("autoAck", "cannot be false with processingGuarantees ATMOST_ONCE")
    elif not auto_ack:
        section.warn("autoAck", "is deprecated; write processingGuarantees: MANUAL")
