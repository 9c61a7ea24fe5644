"""A function told as the config that makes it again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.function import parse_function_config
from pulsar_runtimes.config.function_json import build_function_config
from pulsar_runtimes.model.function import FunctionSpec

JAVA = {"className": "a.B", "jar": "f.jar", "inputs": ["in"]}
PYTHON = {"className": "a.B", "py": "f.py", "inputs": ["in"]}


def parse(config: dict[str, Any]) -> FunctionSpec:
    return parse_function_config(parse_document(json.dumps(config)))


def test_members_and_order_are_those_that_were_recorded() -> None:
    """Apache Pulsar 4.0.8's answer to a config with about everything in it."""
    topic = "persistent://public/default/"
    given = {
        "tenant": "public",
        "namespace": "default",
        "name": "full",
        "className": "org.apache.pulsar.functions.api.examples.ExclamationFunction",
        "inputSpecs": {f"{topic}inf": {"receiverQueueSize": 17}},
        "output": f"{topic}outf",
        "logTopic": f"{topic}logf",
        "subName": "mysub",
        "maxMessageRetries": 3,
        "deadLetterTopic": f"{topic}dlqf",
        "timeoutMs": 10000,
        "resources": {"cpu": 0.5, "ram": 536870912, "disk": 1073741824},
        "secrets": {"pw": {"path": "a", "key": "b"}},
        "runtime": "JAVA",
        "subscriptionPosition": "Earliest",
        "cleanupSubscription": True,
        "customRuntimeOptions": "{}",
        "jar": "api-examples.jar",
    }
    recorded = (
        '{"tenant":"public","namespace":"default","name":"full","className":"org.apache.pulsar.functions.api.examples.'
        'ExclamationFunction","inputSpecs":{"persistent://public/default/inf":{"schemaProperties":{},'
        '"consumerProperties":{},"receiverQueueSize":17,"poolMessages":false,"regexPattern":false}},"output":'
        '"persistent://public/default/outf","producerConfig":{"useThreadLocalProducers":false,"batchBuilder":"",'
        '"compressionType":"LZ4"},"logTopic":"persistent://public/default/logf","processingGuarantees":"ATLEAST_ONCE",'
        '"retainOrdering":false,"retainKeyOrdering":false,"forwardSourceMessageProperty":true,"userConfig":{},'
        '"secrets":{"pw":{"path":"a","key":"b"}},"runtime":"JAVA","autoAck":true,"maxMessageRetries":3,'
        '"deadLetterTopic":"persistent://public/default/dlqf","subName":"mysub","parallelism":1,"resources":'
        '{"cpu":0.5,"ram":536870912,"disk":1073741824},"timeoutMs":10000,"cleanupSubscription":true,'
        '"customRuntimeOptions":"{}","subscriptionPosition":"Earliest"}'
    )
    assert json.dumps(build_function_config(parse(given)), separators=(",", ":")) == recorded


@pytest.mark.parametrize(
    "config",
    [
        PYTHON,
        PYTHON | {"topicsPattern": "persistent://public/default/.*", "inputs": None},
        PYTHON | {"processingGuarantees": "MANUAL", "autoAck": False, "retainOrdering": True},
        PYTHON | {"inputSpecs": {"x": {"schemaType": "string", "consumerProperties": {"a": "b"}}}},
        PYTHON | {"runtimeFlags": "-X dev", "resources": {"cpu": 0.25, "ram": 1 << 26}},
        PYTHON | {"output": "out", "outputSchemaType": "string", "batchBuilder": "KEY_BASED"},
        JAVA | {"windowConfig": {"windowLengthCount": 10}},
        JAVA | {"processingGuarantees": "ATMOST_ONCE", "windowConfig": {"windowLengthDurationMs": 10}},
        JAVA | {"customSerdeInputs": {"y": "a.Serde"}, "output": "out", "outputSerdeClassName": "a.Serde"},
        JAVA
        | {
            "producerConfig": {
                "maxPendingMessages": 5,
                "compressionType": "ZSTD",
                "cryptoConfig": {"cryptoKeyReaderClassName": "a.K", "encryptionKeys": ["k"]},
            }
        },
    ],
)
def test_what_is_told_makes_the_same_function(config: dict[str, Any]) -> None:
    function = parse(config)
    told = build_function_config(function)
    code = {key: value for key, value in config.items() if key in ("jar", "py")}
    again = parse(told | code)
    usual = function.sink.producer_spec or again.sink.producer_spec  # told even where nobody set it
    assert again == replace(function, sink=replace(function.sink, producer_spec=usual))
    assert build_function_config(again) == told
