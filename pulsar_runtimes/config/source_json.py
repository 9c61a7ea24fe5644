"""A source as the source config that describes it: the answer of Pulsar's admin API to ``sources get``.

The inverse of :func:`pulsar_runtimes.config.source.parse_source_config`. Members and their order are those of
``SourceConfigUtils#convertFromDetails`` of Apache Pulsar 4.0.8, as recorded. An archive is told only when it is built
in.
"""

from __future__ import annotations

import json
from typing import Any

from pulsar_runtimes.model.component import BATCH_CLASS_KEY, BATCH_CONFIG_KEY, BUILTIN, connector_class
from pulsar_runtimes.model.function import DEFAULT_RESOURCES, FunctionSpec, ProducerSpec

from .function_json import producer_json


def build_source_config(function: FunctionSpec) -> dict[str, Any]:
    """The config of the source ``function``, as plain data that JSON can carry."""
    source, sink = function.source, function.sink
    resources = function.resources or DEFAULT_RESOURCES
    batch = source.configs.get(BATCH_CONFIG_KEY)
    own = {key: value for key, value in source.configs.items() if key not in (BATCH_CONFIG_KEY, BATCH_CLASS_KEY)}
    config: dict[str, Any] = {
        "tenant": function.tenant,
        "namespace": function.namespace,
        "name": function.name,
        "className": connector_class(function) or None,
        "topicName": sink.topic,
        "producerConfig": producer_json(sink.producer_spec or ProducerSpec()),
        "serdeClassName": sink.ser_de_class_name or None,
        "schemaType": sink.schema_type or None,
        "configs": own,
        "secrets": dict(function.secrets_map) or None,
        "parallelism": function.parallelism,
        "processingGuarantees": function.processing_guarantees.name,
        "resources": {"cpu": resources.cpu, "ram": resources.ram, "disk": resources.disk},
        "archive": BUILTIN + source.builtin if source.builtin else None,
        "runtimeFlags": function.runtime_flags or None,
        "customRuntimeOptions": function.custom_runtime_options or None,
        "batchSourceConfig": json.loads(batch) if batch else None,
        "logTopic": function.log_topic or None,
    }
    return {key: value for key, value in config.items() if value is not None}
