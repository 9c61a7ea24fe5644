"""The shapes of the admin API's bodies, as OpenAPI's schemas: what goes in, and what is told. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulsar_runtimes.model.function import (
    CompressionType,
    CryptoFailureAction,
    Language,
    ProcessingGuarantees,
    SubscriptionPosition,
)
from pulsar_runtimes.model.status import State
from pulsar_runtimes.service.package_inventory import Place, Use

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number", "minimum": 0}
TIME_MS: Schema = {"type": "integer", "minimum": 0, "description": "Milliseconds since the epoch; 0 for never."}
BYTES: Schema = {"type": "string", "format": "binary"}
_POSITIVE: Schema = {"type": "integer", "minimum": 1}
_ANYTHING: Schema = {"type": "object"}


def ref(name: str) -> Schema:
    """What is called ``name`` in :func:`schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def by_name(values: Schema) -> Schema:
    """An object with names that nobody knows beforehand."""
    return {"type": "object", "additionalProperties": values}


def optional(schema: Schema) -> Schema:
    """``schema``, or ``null``."""
    return {"anyOf": [schema, {"type": "null"}]}


def _object(required: Mapping[str, Schema], /, **more: Schema) -> Schema:
    """An object of exactly these members; those in ``more`` may be missing."""
    return {
        "type": "object",
        "properties": {**required, **more},
        "required": list(required),
        "additionalProperties": False,
    }


def _one_of(names: Any) -> Schema:
    return {"type": "string", "enum": [each.name for each in names]}


def schemas() -> dict[str, Schema]:
    """All shapes by their names."""
    return {
        "Error": _object({"reason": {"type": "string", "description": "What is wrong, and what would be right."}}),
        "WorkerInfo": _object({"workerId": TEXT, "workerHostname": TEXT, "port": COUNT}),
        "UpdateOptions": {"type": "object", "properties": {"updateAuthData": FLAG}},
        **_config_schemas(),
        **_connector_config_schemas(),
        **_status_schemas(),
        **_connector_status_schemas(),
        **_stats_schemas(),
        **_overview_schemas(),
        **_package_schemas(),
    }


def _package_schemas() -> dict[str, Schema]:
    return {
        "KeptPackage": _object(
            {
                "place": {"type": "string", "enum": [each.value for each in Place]},
                "name": {"type": "string", "description": "A path on the worker, or the name that the brokers know."},
                "sha256": TEXT,
                "fileName": TEXT,
                "sizeBytes": COUNT,
                "keptSinceMs": TIME_MS,
                "functions": many(TEXT),
                "use": {"type": "string", "enum": [each.value for each in Use]},
            }
        ),
        "PackageRemoval": _object(
            {"dryRun": FLAG, "removed": many(ref("KeptPackage")), "tooNew": COUNT, "problems": many(TEXT)}
        ),
    }


def _config_schemas() -> dict[str, Schema]:
    texts = by_name(TEXT)
    return {
        "FunctionConfig": {
            "type": "object",
            "description": "A function. Tenant, namespace and name are those of the path; other names are refused.",
            "properties": {
                "tenant": TEXT,
                "namespace": TEXT,
                "name": TEXT,
                "className": TEXT,
                "runtime": _one_of(Language),
                "inputs": many(TEXT),
                "topicsPattern": TEXT,
                "customSerdeInputs": texts,
                "customSchemaInputs": texts,
                "customSchemaOutputs": texts,
                "inputSpecs": by_name(ref("ConsumerConfig")),
                "inputTypeClassName": TEXT,
                "output": TEXT,
                "outputSchemaType": TEXT,
                "outputSerdeClassName": TEXT,
                "outputTypeClassName": TEXT,
                "producerConfig": ref("ProducerConfig"),
                "logTopic": TEXT,
                "processingGuarantees": _one_of(ProcessingGuarantees),
                "retainOrdering": FLAG,
                "retainKeyOrdering": FLAG,
                "batchBuilder": TEXT,
                "forwardSourceMessageProperty": FLAG,
                "userConfig": _ANYTHING,
                "secrets": _ANYTHING,
                "autoAck": FLAG,
                "maxMessageRetries": {"type": "integer"},
                "deadLetterTopic": TEXT,
                "subName": TEXT,
                "subscriptionPosition": {
                    "type": "string",
                    "enum": [position.name.capitalize() for position in SubscriptionPosition],
                },
                "skipToLatest": FLAG,
                "cleanupSubscription": FLAG,
                "parallelism": _POSITIVE,
                "resources": ref("Resources"),
                "windowConfig": ref("WindowConfig"),
                "timeoutMs": _POSITIVE,
                "runtimeFlags": TEXT,
                "customRuntimeOptions": TEXT,
                "jar": TEXT,
                "py": TEXT,
                "go": TEXT,
            },
        },
        "ConsumerConfig": {
            "type": "object",
            "description": "How one topic is read.",
            "properties": {
                "schemaType": TEXT,
                "serdeClassName": TEXT,
                "isRegexPattern": FLAG,
                "regexPattern": FLAG,
                "receiverQueueSize": COUNT,
                "schemaProperties": texts,
                "consumerProperties": texts,
                "cryptoConfig": ref("CryptoConfig"),
                "poolMessages": FLAG,
            },
        },
        "ProducerConfig": {
            "type": "object",
            "description": "How the output topic is written.",
            "properties": {
                "maxPendingMessages": COUNT,
                "maxPendingMessagesAcrossPartitions": COUNT,
                "useThreadLocalProducers": FLAG,
                "cryptoConfig": ref("CryptoConfig"),
                "batchBuilder": TEXT,
                "compressionType": _one_of(CompressionType),
            },
        },
        "CryptoConfig": {
            "type": "object",
            "properties": {
                "cryptoKeyReaderClassName": TEXT,
                "cryptoKeyReaderConfig": _ANYTHING,
                "encryptionKeys": many(TEXT),
                "producerCryptoFailureAction": _one_of(CryptoFailureAction),
                "consumerCryptoFailureAction": _one_of(CryptoFailureAction),
            },
        },
        "Resources": {
            "type": "object",
            "description": "Of each instance: cores, bytes of memory, bytes of disk.",
            "properties": {"cpu": {"type": "number", "exclusiveMinimum": 0}, "ram": _POSITIVE, "disk": _POSITIVE},
        },
        "WindowConfig": {
            "type": "object",
            "properties": {
                "windowLengthCount": _POSITIVE,
                "windowLengthDurationMs": _POSITIVE,
                "slidingIntervalCount": _POSITIVE,
                "slidingIntervalDurationMs": _POSITIVE,
                "lateDataTopic": TEXT,
                "maxLagMs": COUNT,
                "watermarkEmitIntervalMs": _POSITIVE,
                "timestampExtractorClassName": TEXT,
                "actualWindowFunctionClassName": TEXT,
                "processingGuarantees": _one_of(ProcessingGuarantees),
            },
        },
    }


def _connector_config_schemas() -> dict[str, Schema]:
    texts = by_name(TEXT)
    common: dict[str, Schema] = {
        "tenant": TEXT,
        "namespace": TEXT,
        "name": TEXT,
        "className": TEXT,
        "configs": _ANYTHING,
        "secrets": _ANYTHING,
        "parallelism": _POSITIVE,
        "processingGuarantees": _one_of(ProcessingGuarantees),
        "resources": ref("Resources"),
        "archive": TEXT,
        "runtimeFlags": TEXT,
        "customRuntimeOptions": TEXT,
        "logTopic": TEXT,
    }
    sink: dict[str, Schema] = {
        "sinkType": TEXT,
        "inputs": many(TEXT),
        "topicsPattern": TEXT,
        "topicToSerdeClassName": texts,
        "topicToSchemaType": texts,
        "topicToSchemaProperties": texts,
        "inputSpecs": by_name(ref("ConsumerConfig")),
        "sourceSubscriptionName": TEXT,
        "sourceSubscriptionPosition": {
            "type": "string",
            "enum": [position.name.capitalize() for position in SubscriptionPosition],
        },
        "maxMessageRetries": {"type": "integer"},
        "deadLetterTopic": TEXT,
        "retainOrdering": FLAG,
        "retainKeyOrdering": FLAG,
        "autoAck": FLAG,
        "timeoutMs": COUNT,
        "negativeAckRedeliveryDelayMs": COUNT,
        "cleanupSubscription": FLAG,
        "transformFunction": TEXT,
        "transformFunctionClassName": TEXT,
        "transformFunctionConfig": {"type": "string", "description": "The text of a JSON object."},
    }
    source: dict[str, Schema] = {
        "sourceType": TEXT,
        "topicName": TEXT,
        "producerConfig": ref("ProducerConfig"),
        "serdeClassName": TEXT,
        "schemaType": TEXT,
        "batchSourceConfig": {
            "type": "object",
            "properties": {"discoveryTriggererClassName": TEXT, "discoveryTriggererConfig": _ANYTHING},
        },
    }
    return {
        f"{title}Config": {
            "type": "object",
            "description": f"A {title.lower()}. Tenant, namespace and name are those of the path.",
            "properties": {**common, **own},
        }
        for title, own in (("Sink", sink), ("Source", source))
    }


def _connector_status_schemas() -> dict[str, Schema]:
    return {
        **_connector_status("Sink", "numReadFromPulsar", "numWrittenToSink"),
        **_connector_status("Source", "numReceivedFromSource", "numWritten"),
    }


def _connector_status(title: str, taken: str, given: str) -> dict[str, Schema]:
    exceptions = many(ref("Exception"))
    instance = _object(
        {
            "running": FLAG,
            "error": {"type": "string", "description": "Why it does not run; empty when it does."},
            "numRestarts": COUNT,
            taken: COUNT,
            "numSystemExceptions": COUNT,
            f"num{title}Exceptions": COUNT,
            given: COUNT,
            "lastReceivedTime": TIME_MS,
            "workerId": TEXT,
        },
        latestSystemExceptions=exceptions,
        ends=many(ref("End")),
        **{f"latest{title}Exceptions": exceptions},
    )
    instances = many(_object({"instanceId": COUNT, "status": ref(f"{title}InstanceStatus")}))
    return {
        f"{title}InstanceStatus": instance,
        f"{title}Status": _object({"numInstances": COUNT, "numRunning": COUNT, "instances": instances}),
    }


def _status_schemas() -> dict[str, Schema]:
    exceptions = many(ref("Exception"))
    return {
        "FunctionStatus": _object(
            {
                "numInstances": COUNT,
                "numRunning": COUNT,
                "instances": many(_object({"instanceId": COUNT, "status": ref("FunctionInstanceStatus")})),
            }
        ),
        "FunctionInstanceStatus": _object(
            {
                "running": FLAG,
                "error": {"type": "string", "description": "Why it does not run; empty when it does."},
                "numRestarts": COUNT,
                "numReceived": COUNT,
                "numSuccessfullyProcessed": COUNT,
                "numUserExceptions": COUNT,
                "numSystemExceptions": COUNT,
                "averageLatency": NUMBER,
                "lastInvocationTime": TIME_MS,
                "workerId": TEXT,
            },
            latestUserExceptions=exceptions,
            latestSystemExceptions=exceptions,
            ends=many(ref("End")),
        ),
        "Exception": _object({"exceptionString": TEXT, "timestampMs": TIME_MS}),
        "End": _object(
            {
                "timestampMs": TIME_MS,
                "reason": TEXT,
                "exitCode": optional({"type": "integer", "description": "Negative for a signal."}),
                "lastMessages": many(TEXT),
                "lastLines": many(TEXT),
            }
        )
        | {"description": "How a life of an instance ended by itself; the last ten are told, oldest first."},
    }


def _stats_schemas() -> dict[str, Schema]:
    counted = {
        "receivedTotal": COUNT,
        "processedSuccessfullyTotal": COUNT,
        "systemExceptionsTotal": COUNT,
        "userExceptionsTotal": COUNT,
        "avgProcessLatency": optional(NUMBER),
    }
    all_time = {**counted, "1min": ref("MinuteStats"), "lastInvocation": optional(TIME_MS)}
    return {
        "MinuteStats": _object(counted) | {"description": "The same of the running minute."},
        "FunctionInstanceStats": _object({**all_time, "userMetrics": by_name({"type": "number"})}),
        "FunctionStats": _object(
            {
                **all_time,
                "instances": many(_object({"instanceId": COUNT, "metrics": ref("FunctionInstanceStats")})),
            }
        ),
        "InstanceMetrics": _object({"name": TEXT, "metrics": ref("FunctionInstanceStats")}),
    }


def _overview_schemas() -> dict[str, Schema]:
    state = {"type": "string", "enum": [*(state.value for state in State), "stopped", "unknown"]}
    exit_code = optional({"type": "integer"})
    end = _object({"timestampMs": TIME_MS, "reason": TEXT, "exitCode": exit_code, "lastMessages": many(TEXT)})
    worker = _object({"workerId": TEXT, "version": TEXT, "runtime": TEXT, "broker": TEXT, "startedMs": TIME_MS})
    return {
        "Overview": _object(
            {"timestampMs": TIME_MS, "worker": worker, "functions": many(ref("FunctionOverview"))},
            workers=many(_object({"workerId": TEXT, "leads": FLAG, "problem": TEXT})),
        ),
        "FunctionOverview": _object(
            {
                "tenant": TEXT,
                "namespace": TEXT,
                "name": TEXT,
                "runtime": _one_of(Language),
                "updating": FLAG,
                "updateFailure": {"type": "string", "description": "Why the last update failed, if it did."},
                "instances": many(ref("InstanceOverview")),
            },
            backlog=optional({"type": "integer", "description": "Messages that wait, as the brokers count them."}),
            registered={"type": "boolean", "description": "False for one of the worker's command line."},
        ),
        "InstanceOverview": _object(
            {"instanceId": COUNT, "workerId": TEXT, "state": state},
            sinceMs=TIME_MS,
            reason=TEXT,
            restarts=COUNT,
            ends=many(end),
            lastLines=many(TEXT),
            figures=optional(ref("Figures")),
        ),
        "Figures": _object(
            {
                "countedMs": TIME_MS,
                "received": COUNT,
                "processed": COUNT,
                "userExceptions": COUNT,
                "systemExceptions": COUNT,
                "latencyMs": {"type": "number", "description": "The mean of the running minute, if there is one."},
                "lastInvocationMs": TIME_MS,
                "memoryBytes": optional(COUNT),
                "lastException": optional(ref("Exception")),
            }
        ),
    }
