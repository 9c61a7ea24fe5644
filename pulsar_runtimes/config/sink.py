"""A sink config, as ``pulsar-admin sinks create --sink-config-file`` takes it, to a ``FunctionSpec``.

Defaults and checks are those of ``SinkConfigUtils`` of Apache Pulsar 4.0.8, as far as they need no look into the
archive. Unlike the reference, an unknown key is refused, and ``sinkType`` is honoured without pulsar-admin.
"""

from __future__ import annotations

from dataclasses import replace

from pulsar_runtimes.model.component import IDENTITY_FUNCTION
from pulsar_runtimes.model.function import (
    ComponentType,
    ConsumerSpec,
    FunctionSpec,
    Language,
    ProcessingGuarantees,
    RetrySpec,
    SinkSpec,
    SourceSpec,
    SubscriptionPosition,
)

from .connector import builtin_name, read_archive, read_connector_key, read_json_object
from .function import read_json_mapping, read_resources, subscription_type_of
from .function_input import MAX_INT, check_topic, read_consumer, read_topic
from .section import Section

SINK_INPUT_KEYS = ("inputs", "topicsPattern", "topicToSerdeClassName", "topicToSchemaType", "inputSpecs")
"""The five ways to name inputs; where two speak of one topic, the later counts."""


def parse_sink_config(section: Section) -> FunctionSpec:
    """The sink that ``section`` describes; its class and type may be left for the archive to tell.

    ``ConfigError`` with every problem found. Warnings are left in ``section.warnings``.
    """
    key = read_connector_key(section)
    archive, builtin = read_archive(section, "sinkType")
    guarantees = section.choice("processingGuarantees", ProcessingGuarantees, ProcessingGuarantees.ATLEAST_ONCE)
    retain_ordering, retain_key_ordering = section.boolean("retainOrdering"), section.boolean("retainKeyOrdering")
    transform = section.text("transformFunction").strip()
    spec = FunctionSpec(
        tenant=key.tenant,
        namespace=key.namespace,
        name=key.name,
        class_name=_read_transform_class(section, transform),
        log_topic=read_topic(section, "logTopic"),
        processing_guarantees=guarantees,
        user_config=read_json_object(section, "transformFunctionConfig"),
        language=Language.JAVA,
        auto_ack=section.boolean("autoAck", True, null=True),
        parallelism=section.integer("parallelism", 1, null=1, minimum=1, maximum=MAX_INT),
        source=replace(
            _read_source(section),
            subscription_type=subscription_type_of(
                guarantees, retain_ordering=retain_ordering, retain_key_ordering=retain_key_ordering
            ),
        ),
        sink=SinkSpec(
            class_name=section.text("className").strip(),
            configs=read_json_mapping(section, "configs"),
            builtin=builtin,
        ),
        resources=read_resources(section),
        retry_details=_read_retries(section),
        secrets_map=read_json_mapping(section, "secrets"),
        runtime_flags=section.text("runtimeFlags"),
        component_type=ComponentType.SINK,
        custom_runtime_options=section.text("customRuntimeOptions"),
        builtin=builtin_name(section, "transformFunction", transform),
        retain_ordering=retain_ordering,
        retain_key_ordering=retain_key_ordering,
        package=archive,
        transform_package=transform,
    )
    _check(section, spec)
    if section.mapping("topicToSchemaProperties"):
        section.warn("topicToSchemaProperties", "has no effect: Apache Pulsar's worker does not read it")
    section.refuse_unread()
    section.done()
    return spec


def _read_transform_class(section: Section, transform: str) -> str:
    """The function's class; empty when the transform function's package has to tell it."""
    class_name = section.text("transformFunctionClassName").strip()
    if transform:
        return class_name
    for key in ("transformFunctionClassName", "transformFunctionConfig"):
        if section.values.get(key):
            section.problem(key, "needs a transformFunction, the package that the class is in")
    return IDENTITY_FUNCTION


def _read_source(section: Section) -> SourceSpec:
    return SourceSpec(
        timeout_ms=section.optional_integer("timeoutMs", minimum=0) or 0,
        subscription_name=section.text("sourceSubscriptionName").strip(),
        input_specs=_read_inputs(section),
        cleanup_subscription=section.boolean("cleanupSubscription", True, null=True),
        subscription_position=section.choice(
            "sourceSubscriptionPosition", SubscriptionPosition, SubscriptionPosition.LATEST
        ),
        negative_ack_redelivery_delay_ms=section.optional_integer("negativeAckRedeliveryDelayMs", minimum=0) or 0,
    )


def _read_inputs(section: Section) -> dict[str, ConsumerSpec]:
    """Every input by its complete topic name or its pattern, in the order of :data:`SINK_INPUT_KEYS`."""
    specs: dict[str, ConsumerSpec] = {}
    for index, topic in enumerate(section.texts("inputs")):
        specs[check_topic(section, f"inputs[{index}]", topic)] = ConsumerSpec()
    if pattern := section.text("topicsPattern"):
        specs[pattern] = ConsumerSpec(is_regex_pattern=True)
    for topic, serde in section.text_mapping("topicToSerdeClassName").items():
        specs[check_topic(section, f"topicToSerdeClassName.{topic}", topic)] = ConsumerSpec(serde_class_name=serde)
    for topic, schema in section.text_mapping("topicToSchemaType").items():
        specs[check_topic(section, f"topicToSchemaType.{topic}", topic)] = ConsumerSpec(schema_type=schema)
    by_topic = section.section("inputSpecs")
    for topic in by_topic or ():
        assert by_topic is not None
        inner = by_topic.section(topic)
        spec = ConsumerSpec() if inner is None else read_consumer(inner, Language.JAVA)
        if spec.schema_properties:
            by_topic.warn(f"{topic}.schemaProperties", "has no effect: the reference does not take it for sinks")
            spec = replace(spec, schema_properties={})
        specs[topic if spec.is_regex_pattern else check_topic(by_topic, topic, topic)] = spec
    return specs


def _read_retries(section: Section) -> RetrySpec | None:
    """How often a message is tried again; ``None`` when that is not limited, as 0 and less say, too."""
    retries = section.optional_integer("maxMessageRetries", maximum=MAX_INT) or 0
    dead_letter_topic = read_topic(section, "deadLetterTopic")
    if retries > 0:
        return RetrySpec(retries, dead_letter_topic)
    if dead_letter_topic:
        section.problem("deadLetterTopic", "needs maxMessageRetries above 0, else no message ever gets there")
    return None


def _check(section: Section, spec: FunctionSpec) -> None:
    if not any(section.values.get(key) for key in SINK_INPUT_KEYS):
        section.problem("", f"has no input: give one of {', '.join(SINK_INPUT_KEYS)}")
    if spec.retain_key_ordering and spec.processing_guarantees is ProcessingGuarantees.EFFECTIVELY_ONCE:
        section.problem("retainKeyOrdering", "cannot be combined with processingGuarantees EFFECTIVELY_ONCE")
    if spec.retain_key_ordering and spec.retain_ordering:
        section.problem("retainKeyOrdering", "cannot be combined with retainOrdering")
    if not spec.auto_ack and spec.processing_guarantees is ProcessingGuarantees.ATMOST_ONCE:
        section.problem("autoAck", "cannot be false with processingGuarantees ATMOST_ONCE")
