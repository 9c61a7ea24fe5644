"""A sink as the sink config that describes it: the answer of Pulsar's admin API to ``sinks get``.

The inverse of :func:`pulsar_runtimes.config.sink.parse_sink_config`. Members and their order are those of
``SinkConfigUtils#convertFromDetails`` of Apache Pulsar 4.0.8, as recorded. An archive is told only when it is built in.
"""

from __future__ import annotations

import json
from typing import Any

from pulsar_runtimes.model.component import BUILTIN, IDENTITY_FUNCTION
from pulsar_runtimes.model.function import DEFAULT_RESOURCES, FunctionSpec, SubscriptionType

from .function_json import consumer_json, position_name


def build_sink_config(function: FunctionSpec) -> dict[str, Any]:
    """The config of the sink ``function``, as plain data that JSON can carry."""
    source, sink, retries = function.source, function.sink, function.retry_details
    resources = function.resources or DEFAULT_RESOURCES
    config: dict[str, Any] = {
        "tenant": function.tenant,
        "namespace": function.namespace,
        "name": function.name,
        "className": sink.class_name or None,
        "sourceSubscriptionName": source.subscription_name or None,
        "sourceSubscriptionPosition": position_name(source.subscription_position),
        "inputs": list(source.input_specs),
        "inputSpecs": {topic: consumer_json(spec) for topic, spec in source.input_specs.items()},
        "maxMessageRetries": None if retries is None else retries.max_message_retries,
        "deadLetterTopic": None if retries is None else retries.dead_letter_topic or None,
        "configs": dict(sink.configs) or None,
        "secrets": dict(function.secrets_map) or None,
        "parallelism": function.parallelism,
        "processingGuarantees": function.processing_guarantees.name,
        "retainOrdering": source.subscription_type is SubscriptionType.FAILOVER,
        "retainKeyOrdering": source.subscription_type is SubscriptionType.KEY_SHARED,
        "resources": {"cpu": resources.cpu, "ram": resources.ram, "disk": resources.disk},
        "autoAck": function.auto_ack,
        "timeoutMs": source.timeout_ms or None,
        "negativeAckRedeliveryDelayMs": source.negative_ack_redelivery_delay_ms or None,
        "archive": BUILTIN + sink.builtin if sink.builtin else None,
        "cleanupSubscription": source.cleanup_subscription,
        "runtimeFlags": function.runtime_flags or None,
        "customRuntimeOptions": function.custom_runtime_options or None,
        "transformFunction": BUILTIN + function.builtin if function.builtin else None,
        "transformFunctionClassName": None if function.class_name == IDENTITY_FUNCTION else function.class_name,
        "transformFunctionConfig": json.dumps(dict(function.user_config)) if function.user_config else None,
        "logTopic": function.log_topic or None,
    }
    return {key: value for key, value in config.items() if value is not None}
