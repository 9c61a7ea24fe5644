"""A source config, as ``pulsar-admin sources create --source-config-file`` takes it, to a ``FunctionSpec``.

Defaults and checks are those of ``SourceConfigUtils`` of Apache Pulsar 4.0.8, as far as they need no look into the
archive. Unlike the reference, an unknown key is refused, and ``sourceType`` is honoured without pulsar-admin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pulsar_runtimes.model.component import BATCH_CLASS_KEY, BATCH_CONFIG_KEY, BATCH_SOURCE_EXECUTOR, IDENTITY_FUNCTION
from pulsar_runtimes.model.function import (
    ComponentType,
    FunctionSpec,
    Language,
    ProcessingGuarantees,
    SinkSpec,
    SourceSpec,
)

from .connector import read_archive, read_connector_key
from .function import read_json_mapping, read_producer, read_resources
from .function_input import MAX_INT, read_topic
from .section import Section


def parse_source_config(section: Section) -> FunctionSpec:
    """The source that ``section`` describes; its class and type may be left for the archive to tell.

    ``ConfigError`` with every problem found. Warnings are left in ``section.warnings``.
    """
    key = read_connector_key(section)
    archive, builtin = read_archive(section, "sourceType")
    spec = FunctionSpec(
        tenant=key.tenant,
        namespace=key.namespace,
        name=key.name,
        class_name=IDENTITY_FUNCTION,
        log_topic=read_topic(section, "logTopic"),
        processing_guarantees=section.choice(
            "processingGuarantees", ProcessingGuarantees, ProcessingGuarantees.ATLEAST_ONCE
        ),
        language=Language.JAVA,
        auto_ack=True,
        parallelism=section.integer("parallelism", 1, null=1, minimum=1, maximum=MAX_INT),
        source=_read_source(section, builtin),
        sink=_read_sink(section),
        resources=read_resources(section),
        secrets_map=read_json_mapping(section, "secrets"),
        runtime_flags=section.text("runtimeFlags"),
        component_type=ComponentType.SOURCE,
        custom_runtime_options=section.text("customRuntimeOptions"),
        package=archive,
    )
    section.refuse_unread()
    section.done()
    return spec


def _read_source(section: Section, builtin: str) -> SourceSpec:
    class_name = section.text("className").strip()
    configs = dict(read_json_mapping(section, "configs"))
    for key in (BATCH_CONFIG_KEY, BATCH_CLASS_KEY):
        if key in configs:
            section.problem(f"configs.{key}", "is the worker's own; write batchSourceConfig")
    batch = _read_batch(section)
    if batch is not None:
        # In this order: the text is what the class of the reference writes.
        configs |= {BATCH_CLASS_KEY: class_name, BATCH_CONFIG_KEY: json.dumps(batch, separators=(",", ":"))}
        class_name = BATCH_SOURCE_EXECUTOR
    return SourceSpec(class_name=class_name, configs=configs, builtin=builtin)


def _read_batch(section: Section) -> Mapping[str, Any] | None:
    """``batchSourceConfig``: what makes the source look for work, and its own configuration."""
    inner = section.section("batchSourceConfig")
    if inner is None:
        return None
    batch: dict[str, Any] = {"discoveryTriggererClassName": inner.text("discoveryTriggererClassName").strip()}
    if not batch["discoveryTriggererClassName"]:
        inner.problem("discoveryTriggererClassName", "must be given")
    if inner.values.get("discoveryTriggererConfig") is not None:
        batch["discoveryTriggererConfig"] = read_json_mapping(inner, "discoveryTriggererConfig")
    else:
        inner.raw("discoveryTriggererConfig")
    inner.refuse_unread()
    return batch


def _read_sink(section: Section) -> SinkSpec:
    schema, serde = section.text("schemaType").strip(), section.text("serdeClassName").strip()
    if schema and serde:
        section.problem("serdeClassName", "cannot be given together with schemaType")
    return SinkSpec(
        topic=read_topic(section, "topicName"),
        ser_de_class_name=serde,
        schema_type=schema,
        forward_source_message_property=True,
        producer_spec=read_producer(section),
    )
