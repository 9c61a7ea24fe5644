"""A function as the function config that describes it: the answer of Pulsar's admin API to ``functions get``.

The inverse of :func:`pulsar_runtimes.config.function.parse_function_config`. Members and their order are those of
``FunctionConfigUtils#convertFromDetails`` of Apache Pulsar 4.0.8: everything about inputs is in ``inputSpecs``, what
is not set is left out, and the place of the code is not told.
"""

from __future__ import annotations

from typing import Any

from pulsar_runtimes.model.function import (
    DEFAULT_RESOURCES,
    ConsumerSpec,
    CryptoSpec,
    FunctionSpec,
    ProducerSpec,
    SubscriptionPosition,
)

from .function_window import USER_CONFIG_KEY


def build_function_config(function: FunctionSpec) -> dict[str, Any]:
    """The config of ``function``, as plain data that JSON can carry."""
    source, sink, retries = function.source, function.sink, function.retry_details
    window = function.user_config.get(USER_CONFIG_KEY)
    resources = function.resources or DEFAULT_RESOURCES
    config: dict[str, Any] = {
        "tenant": function.tenant,
        "namespace": function.namespace,
        "name": function.name,
        "className": window.get("actualWindowFunctionClassName") if window else function.class_name,
        "inputSpecs": {topic: consumer_json(spec) for topic, spec in source.input_specs.items()},
        "output": sink.topic or None,
        "producerConfig": producer_json(sink.producer_spec or ProducerSpec()),
        "outputSchemaType": sink.schema_type or None,
        "outputSerdeClassName": sink.ser_de_class_name or None,
        "logTopic": function.log_topic or None,
        "processingGuarantees": window["processingGuarantees"] if window else function.processing_guarantees.name,
        "retainOrdering": function.retain_ordering,
        "retainKeyOrdering": function.retain_key_ordering,
        "forwardSourceMessageProperty": sink.forward_source_message_property,
        "userConfig": {key: value for key, value in function.user_config.items() if key != USER_CONFIG_KEY},
        "secrets": dict(function.secrets_map) or None,
        "runtime": function.language.name,
        "autoAck": function.auto_ack,
        "maxMessageRetries": None if retries is None else retries.max_message_retries,
        "deadLetterTopic": None if retries is None else retries.dead_letter_topic or None,
        "subName": source.subscription_name or None,
        "parallelism": function.parallelism,
        "resources": {"cpu": resources.cpu, "ram": resources.ram, "disk": resources.disk},
        "windowConfig": dict(window) if window else None,
        "timeoutMs": source.timeout_ms or None,
        "cleanupSubscription": source.cleanup_subscription,
        "runtimeFlags": function.runtime_flags or None,
        "customRuntimeOptions": function.custom_runtime_options or None,
        "subscriptionPosition": position_name(source.subscription_position),
    }
    return {key: value for key, value in config.items() if value is not None}


def position_name(position: SubscriptionPosition) -> str:
    """A subscription's first position as configs spell it."""
    return position.name.capitalize()


def consumer_json(spec: ConsumerSpec) -> dict[str, Any]:
    """``ConsumerConfig`` of one input."""
    config = {
        "schemaType": spec.schema_type or None,
        "serdeClassName": spec.serde_class_name or None,
        "schemaProperties": dict(spec.schema_properties),
        "consumerProperties": dict(spec.consumer_properties),
        "receiverQueueSize": spec.receiver_queue_size,
        "cryptoConfig": None if spec.crypto_spec is None else _crypto(spec.crypto_spec),
        "poolMessages": spec.pool_messages,
        "regexPattern": spec.is_regex_pattern,
    }
    return {key: value for key, value in config.items() if value is not None}


def producer_json(spec: ProducerSpec) -> dict[str, Any]:
    """``ProducerConfig``."""
    config = {
        "maxPendingMessages": spec.max_pending_messages or None,
        "maxPendingMessagesAcrossPartitions": spec.max_pending_messages_across_partitions or None,
        "useThreadLocalProducers": spec.use_thread_local_producers,
        "cryptoConfig": None if spec.crypto_spec is None else _crypto(spec.crypto_spec),
        "batchBuilder": spec.batch_builder,
        "compressionType": spec.compression_type.name,
    }
    return {key: value for key, value in config.items() if value is not None}


def _crypto(spec: CryptoSpec) -> dict[str, Any]:
    return {
        "cryptoKeyReaderClassName": spec.crypto_key_reader_class_name,
        "cryptoKeyReaderConfig": dict(spec.crypto_key_reader_config),
        "encryptionKeys": list(spec.producer_encryption_key_name),
        "producerCryptoFailureAction": spec.producer_crypto_failure_action.name,
        "consumerCryptoFailureAction": spec.consumer_crypto_failure_action.name,
    }
