"""The command line of a Go instance: the function's own program, and one JSON object with everything.

Source: ``RuntimeUtils#getGoInstanceCmd`` and ``GoInstanceConfig`` of Apache Pulsar 4.0.8. Pure.
"""

from __future__ import annotations

from typing import Any

from pulsar_runtimes.model.details import build_details, html_safe_json, message_json
from pulsar_runtimes.model.function import InstanceSpec, Language

SECRET_KEYS = ("secretsMap", "userConfig", "clientAuthenticationParameters", "functionDetails")
"""Keys whose values may hold secrets: function details carry ``secretsMap`` in clear text."""


def go_command(spec: InstanceSpec) -> list[str]:
    """The whole command line; flags of the function have no place in it, as in the reference."""
    return [spec.code_file, "-instance-conf", html_safe_json(go_config(spec))]


def go_config(spec: InstanceSpec) -> dict[str, Any]:
    """The members of ``-instance-conf``, all of them always there, in the order of the reference.

    ``subscriptionType`` is always 0 there, and ``regexPatternSubscription`` has a name that the Go side does not
    read. What holds JSON is text.
    """
    function, auth = spec.function, spec.auth
    source, sink = function.source, function.sink
    details = build_details(function)
    resources, retry = function.resources, function.retry_details
    proven = auth is not None and auth.plugin.strip() and auth.params.strip()
    return {
        "pulsarServiceURL": spec.service_url,
        "stateStorageServiceUrl": spec.state_storage_url,
        "pulsarWebServiceUrl": spec.web_service_url if spec.expose_admin else "",
        "instanceID": spec.instance_id,
        "funcID": spec.function_id,
        "funcVersion": spec.function_version,
        "maxBufTuples": spec.max_buffered_tuples,
        "port": spec.port,
        "clusterName": spec.cluster_name,
        "killAfterIdleMs": 0,
        "expectedHealthCheckInterval": 0,
        "tenant": function.tenant,
        "nameSpace": function.namespace,
        "name": function.name,
        "className": "",
        "logTopic": function.log_topic,
        "processingGuarantees": function.processing_guarantees.value,
        "secretsMap": details.get("secretsMap", ""),
        "userConfig": details.get("userConfig", ""),
        "clientAuthenticationPlugin": auth.plugin if auth is not None and proven else "",
        "clientAuthenticationParameters": auth.params if auth is not None and proven else "",
        "tlsTrustCertsFilePath": auth.tls_trust_certs_file if auth is not None else "",
        "tlsHostnameVerificationEnable": auth is not None and auth.tls_hostname_verification,
        "tlsAllowInsecureConnection": auth is not None and auth.tls_allow_insecure,
        "runtime": Language.GO.value,
        "autoAck": function.auto_ack,
        "parallelism": function.parallelism,
        "subscriptionType": 0,
        "timeoutMs": source.timeout_ms,
        "subscriptionName": source.subscription_name,
        "cleanupSubscription": source.cleanup_subscription,
        "subscriptionPosition": source.subscription_position.value,
        "sourceInputSpecs": {topic: message_json(consumer) for topic, consumer in source.input_specs.items()},
        "sourceSpecsTopic": next(reversed(list(source.input_specs)), ""),
        "sourceSchemaType": "",
        "receiverQueueSize": 0,
        "sinkSpecsTopic": sink.topic,
        "sinkSchemaType": "",
        "cpu": resources.cpu if resources is not None else 0,
        "ram": resources.ram if resources is not None else 0,
        "disk": resources.disk if resources is not None else 0,
        "maxMessageRetries": retry.max_message_retries if retry is not None else 0,
        "deadLetterTopic": retry.dead_letter_topic if retry is not None else "",
        "metricsPort": spec.metrics_port,
        "functionDetails": html_safe_json(details),
        "regexPatternSubscription": False,
    }
