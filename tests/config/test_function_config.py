"""A function config to a ``FunctionSpec``: defaults, inference, and the checks that need no look into the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.function import load_function_config, parse_function_config, read_function_config
from pulsar_runtimes.model.details import build_details
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.model.function import (
    DEFAULT_RESOURCES,
    ComponentType,
    CompressionType,
    ConsumerSpec,
    CryptoFailureAction,
    CryptoSpec,
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

PYTHON = "py: f.py\nclassName: m.Fn\n"
JAVA = "jar: f.jar\nclassName: com.example.Fn\n"
GO = "go: f\nname: fn\n"
IN = "inputs: [in]\n"
FULL_IN = "persistent://public/default/in"


def parse(text: str) -> FunctionSpec:
    return parse_function_config(parse_document(text, "f.yml"))


def warnings_of(text: str) -> list[str]:
    section = parse_document(text, "f.yml")
    parse_function_config(section)
    return [str(warning) for warning in section.warnings]


def test_the_promised_defaults() -> None:
    assert parse(PYTHON + IN) == FunctionSpec(
        tenant="public",
        namespace="default",
        name="Fn",
        class_name="m.Fn",
        processing_guarantees=ProcessingGuarantees.ATLEAST_ONCE,
        language=Language.PYTHON,
        auto_ack=True,
        parallelism=1,
        source=SourceSpec(
            subscription_type=SubscriptionType.SHARED,
            input_specs={FULL_IN: ConsumerSpec()},
            cleanup_subscription=True,
            subscription_position=SubscriptionPosition.LATEST,
        ),
        sink=SinkSpec(forward_source_message_property=True),
        resources=DEFAULT_RESOURCES,
        component_type=ComponentType.FUNCTION,
        package="f.py",
    )


def test_a_full_config_gives_the_details_that_the_reference_makes_of_it() -> None:
    text = """
        {"tenant": "t", "namespace": "n", "name": "f", "className": "com.example.Fn", "jar": "f.jar",
         "inputSpecs": {"persistent://public/default/inf": {"receiverQueueSize": 17, "regexPattern": false}},
         "output": "persistent://public/default/outf", "logTopic": "logf", "subName": "mysub",
         "maxMessageRetries": 3, "deadLetterTopic": "dlqf", "timeoutMs": 10000, "userConfig": {"k": "v"},
         "resources": {"cpu": 0.5, "ram": 536870912}, "secrets": {"pw": {"path": "a", "key": "b"}},
         "subscriptionPosition": "Earliest", "customRuntimeOptions": "{}", "runtimeFlags": "-Da=b",
         "producerConfig": {"maxPendingMessages": 5, "compressionType": "ZSTD"}, "batchBuilder": "KEY_BASED"}
    """
    assert build_details(parse(text)) == {
        "tenant": "t",
        "namespace": "n",
        "name": "f",
        "className": "com.example.Fn",
        "logTopic": "persistent://public/default/logf",
        "userConfig": '{"k":"v"}',
        "autoAck": True,
        "parallelism": 1,
        "source": {
            "inputSpecs": {"persistent://public/default/inf": {"receiverQueueSize": {"value": 17}}},
            "timeoutMs": "10000",
            "negativeAckRedeliveryDelayMs": "10000",
            "subscriptionName": "mysub",
            "cleanupSubscription": True,
            "subscriptionPosition": "EARLIEST",
        },
        "sink": {
            "topic": "persistent://public/default/outf",
            "forwardSourceMessageProperty": True,
            "producerSpec": {"maxPendingMessages": 5, "batchBuilder": "KEY_BASED", "compressionType": "ZSTD"},
        },
        "resources": {"cpu": 0.5, "ram": "536870912", "disk": "10737418240"},
        "retryDetails": {"maxMessageRetries": 3, "deadLetterTopic": "persistent://public/default/dlqf"},
        "secretsMap": '{"pw":{"path":"a","key":"b"}}',
        "runtimeFlags": "-Da=b",
        "componentType": "FUNCTION",
        "customRuntimeOptions": "{}",
    }


@pytest.mark.parametrize(
    ("text", "attribute", "value"),
    [
        ("fqfn: t/n/f", "key", "t/n/f"),
        ("fqfn: t/n/f\ntenant: t", "key", "t/n/f"),
        ("name: 007", "key", "public/default/007"),
        ("autoAck:", "auto_ack", True),
        ("parallelism: '3'", "parallelism", 3),
        ("processingGuarantees: effectively_once\njar: f.jar\npy:", "processing_guarantees.name", "EFFECTIVELY_ONCE"),
        ("processingGuarantees: MANUAL", "processing_guarantees.name", "MANUAL"),
        ("retainOrdering: true", "source.subscription_type", SubscriptionType.FAILOVER),
        ("retainKeyOrdering: 'TRUE'", "source.subscription_type", SubscriptionType.KEY_SHARED),
        (
            "processingGuarantees: EFFECTIVELY_ONCE\njar: f.jar\npy:",
            "source.subscription_type",
            SubscriptionType.FAILOVER,
        ),
        ("subscriptionPosition: earliest", "source.subscription_position", SubscriptionPosition.EARLIEST),
        ("skipToLatest: true", "source.skip_to_latest", True),
        ("cleanupSubscription: false", "source.cleanup_subscription", False),
        ("inputTypeClassName: a.B", "source.type_class_name", "a.B"),
        ("outputTypeClassName: a.B", "sink.type_class_name", "a.B"),
        ("output: t/n/o", "sink.topic", "persistent://t/n/o"),
        ("outputSchemaType: json", "sink.schema_type", "json"),
        ("outputSerdeClassName: a.B", "sink.ser_de_class_name", "a.B"),
        ("forwardSourceMessageProperty: false", "sink.forward_source_message_property", False),
        ("maxMessageRetries: -1", "retry_details", None),
        ("maxMessageRetries: 0\njar: f.jar\npy:", "retry_details", RetrySpec(0, "")),
        ("resources: {cpu: 2, ram: }", "resources", Resources(2.0, 1 << 30, 10 << 30)),
        ("producerConfig: {}", "sink.producer_spec", ProducerSpec(compression_type=CompressionType.LZ4)),
        ("batchBuilder: KEY_BASED", "sink.producer_spec", ProducerSpec(batch_builder="KEY_BASED")),
        ("jar: builtin://exclaim\npy:", "builtin", "exclaim"),
        ("go: f\npy:", "language", Language.GO),
        ("runtime: python", "language", Language.PYTHON),
        (
            'output: o\ncustomSchemaOutputs: {o: \'{"schemaProperties": {"a": 1}}\'}',
            "sink.schema_properties",
            {"a": "1"},
        ),
    ],
)
def test_a_setting_lands_in_the_spec(text: str, attribute: str, value: Any) -> None:
    section = parse_document(PYTHON + IN)
    for key, given in parse_document(text).values.items():
        section = section.with_value((key,), given, "test")
    if "007" in text:
        section = parse_document(PYTHON + IN + text)
    found: Any = parse_function_config(section)
    for name in attribute.split("."):
        found = getattr(found, name)
    assert (str(found) if attribute == "key" else found) == value


def test_the_five_ways_to_name_inputs_are_merged_and_the_later_wins() -> None:
    spec = parse(
        PYTHON
        + """
inputs: [a, b]
topicsPattern: persistent://public/default/x-.*
customSerdeInputs: {b: s.Serde, c: s.Serde}
customSchemaInputs: {c: '{"schemaType": "avro", "consumerProperties": {"k": "v"}}'}
inputSpecs:
  t/n/d: {schemaType: json, poolMessages: true}
  y-.*: {isRegexPattern: true}
  z-.*: {regexPattern: true}
  e:
"""
    )
    assert spec.source.input_specs == {
        "persistent://public/default/a": ConsumerSpec(),
        "persistent://public/default/b": ConsumerSpec(serde_class_name="s.Serde"),
        "persistent://public/default/x-.*": ConsumerSpec(is_regex_pattern=True),
        "persistent://public/default/c": ConsumerSpec(schema_type="avro", consumer_properties={"k": "v"}),
        "persistent://t/n/d": ConsumerSpec(schema_type="json", pool_messages=True),
        "y-.*": ConsumerSpec(is_regex_pattern=True),
        "z-.*": ConsumerSpec(is_regex_pattern=True),
        "persistent://public/default/e": ConsumerSpec(),
    }


def test_encryption_is_read_for_consumers_and_producers() -> None:
    crypto = "cryptoConfig: {cryptoKeyReaderClassName: a.B, cryptoKeyReaderConfig: {k: 1}, encryptionKeys: [x], "
    spec = parse(
        JAVA
        + f"inputSpecs: {{in: {{{crypto} consumerCryptoFailureAction: consume}}}}}}\n"
        + f"producerConfig: {{{crypto} producerCryptoFailureAction: SEND}}}}\n"
    )
    read = CryptoSpec("a.B", {"k": 1}, ("x",), CryptoFailureAction.FAIL, CryptoFailureAction.CONSUME)
    written = CryptoSpec("a.B", {"k": 1}, ("x",), CryptoFailureAction.SEND, CryptoFailureAction.FAIL)
    assert spec.source.input_specs[FULL_IN].crypto_spec == read
    assert spec.sink.producer_spec is not None
    assert spec.sink.producer_spec.crypto_spec == written


def test_windows_move_into_the_user_config_as_the_reference_stores_them() -> None:
    spec = parse(
        JAVA + IN + "userConfig: {k: v}\nprocessingGuarantees: ATMOST_ONCE\n"
        "windowConfig: {windowLengthCount: 10, timestampExtractorClassName: a.T, lateDataTopic: late}\n"
    )
    assert spec.class_name == "org.apache.pulsar.functions.windowing.WindowFunctionExecutor"
    assert spec.processing_guarantees is ProcessingGuarantees.MANUAL
    assert spec.auto_ack is False
    assert spec.name == "Fn"
    assert spec.user_config == {
        "k": "v",
        "__WINDOWCONFIGS__": {
            "windowLengthCount": 10,
            "slidingIntervalCount": 10,
            "lateDataTopic": "late",
            "maxLagMs": 0,
            "watermarkEmitIntervalMs": 1000,
            "timestampExtractorClassName": "a.T",
            "actualWindowFunctionClassName": "com.example.Fn",
            "processingGuarantees": "ATMOST_ONCE",
        },
    }


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (PYTHON, ["f.yml: has no input: give inputs, topicsPattern or inputSpecs"]),
        (IN + "className: m.Fn", ["f.yml: has no package: jar, py or go must say where the code is"]),
        (
            IN + "py: f.py",
            [
                "f.yml: name: must be given, as there is no className to take it from",
                "f.yml: className: must be given for a Python function",
            ],
        ),
        (PYTHON + IN + "jar: x", ["f.yml:1: py: cannot be given together with jar"]),
        (PYTHON + IN + "runtime: JAVA", ["f.yml:4: runtime: is JAVA, but py names a package of PYTHON"]),
        (PYTHON + IN + "runtime: COBOL", ["f.yml:4: runtime: must be one of JAVA, PYTHON, GO (got 'COBOL')"]),
        (PYTHON + IN + "tenant: a/b", ["f.yml:4: tenant: must not hold '/' (got 'a/b')"]),
        (PYTHON + IN + "name: ..", ["f.yml:4: name: must be a name (got '..')"]),
        (PYTHON + IN + "fqfn: a/b", ["f.yml:4: fqfn: must be tenant/namespace/name (got 'a/b')"]),
        (PYTHON + IN + "fqfn: a/b/c\nname: d", ["f.yml:4: fqfn: has the name 'c', but name is 'd'"]),
        (PYTHON + "inputs: in", ["f.yml:3: inputs: must be a list (got 'in'); write it as ['in']"]),
        (
            PYTHON + "inputs:\n  - a\n  - b c",
            ["f.yml:5: inputs[1]: may only hold letters, digits and -=:._ when it is a"],
        ),
        (PYTHON + IN + "output: a/b", ["f.yml:4: output: must be [persistent://]tenant/namespace/topic (got 'a/b')"]),
        (PYTHON + IN + "logTopic: a/b", ["f.yml:4: logTopic: must be [persistent://]tenant/namespace/topic"]),
        (PYTHON + IN + "output: " + FULL_IN, [f"f.yml:4: output: must not be an input as well (got '{FULL_IN}')"]),
        (PYTHON + IN + "parallelism: 0", ["f.yml:4: parallelism: must be from 1 to 2147483647 (got 0)"]),
        (PYTHON + IN + "resources: {cpu: 0}", ["f.yml:4: resources.cpu: must be above 0 (got 0)"]),
        (PYTHON + IN + "resources: {ram: 0}", ["f.yml:4: resources.ram: must be at least 1 (got 0)"]),
        (PYTHON + IN + "resources: {mem: 1}", ["f.yml:4: resources.mem: is not a known key"]),
        (PYTHON + IN + "timeoutMs: 0", ["f.yml:4: timeoutMs: must be at least 1 (got 0)"]),
        (
            PYTHON + IN + "timeoutMs: 1\nprocessingGuarantees: MANUAL",
            ["f.yml:4: timeoutMs: cannot be combined with processingGuarantees MANUAL"],
        ),
        (
            PYTHON + IN + "autoAck: false\nprocessingGuarantees: ATMOST_ONCE",
            ["f.yml:4: autoAck: cannot be false with processingGuarantees ATMOST_ONCE"],
        ),
        (
            JAVA + IN + "maxMessageRetries: 0\nprocessingGuarantees: EFFECTIVELY_ONCE",
            ["f.yml:4: maxMessageRetries: cannot be combined with processingGuarantees EFFECTIVELY_ONCE"],
        ),
        (
            PYTHON + IN + "deadLetterTopic: d",
            ["f.yml:4: deadLetterTopic: needs maxMessageRetries of 0 or more, else no message ever gets there"],
        ),
        (
            JAVA + IN + "retainKeyOrdering: true\nprocessingGuarantees: EFFECTIVELY_ONCE",
            ["f.yml:4: retainKeyOrdering: cannot be combined with processingGuarantees EFFECTIVELY_ONCE"],
        ),
        (
            PYTHON + IN + "retainOrdering: true\nretainKeyOrdering: true",
            ["f.yml:5: retainKeyOrdering: cannot be combined with retainOrdering"],
        ),
        (
            PYTHON + IN + "processingGuarantees: EFFECTIVELY_ONCE",
            ["f.yml:4: processingGuarantees: EFFECTIVELY_ONCE is not supported for PYTHON functions"],
        ),
        (
            PYTHON + IN + "maxMessageRetries: 1\nwindowConfig: {windowLengthCount: 1}",
            [
                "f.yml:5: windowConfig: is not supported for PYTHON functions",
                "f.yml:4: maxMessageRetries: is not supported for PYTHON functions",
            ],
        ),
        (GO + IN + "retainKeyOrdering: true", ["f.yml:4: retainKeyOrdering: is not supported for GO functions"]),
        (
            JAVA + IN + "windowConfig: {windowLengthCount: 1, windowLengthDurationMs: 1}",
            ["f.yml:4: windowConfig: must have exactly one of windowLengthCount and windowLengthDurationMs"],
        ),
        (
            JAVA + IN + "windowConfig: {windowLengthCount: 0}",
            ["f.yml:4: windowConfig.windowLengthCount: must be at least 1 (got 0)"],
        ),
        (
            JAVA + IN + "windowConfig: {windowLengthCount: 1}\nprocessingGuarantees: MANUAL",
            ["f.yml:4: windowConfig: cannot be combined with processingGuarantees MANUAL"],
        ),
        (
            PYTHON + "inputSpecs: {in: {receiverQueueSize: -1}}",
            ["f.yml:3: inputSpecs.in.receiverQueueSize: must be from 0 to 2147483647 (got -1)"],
        ),
        (
            PYTHON + "inputSpecs:\n  in:\n    schematype: x",
            ["f.yml:5: inputSpecs.in.schematype: is not a known key; did you mean 'schemaType'?"],
        ),
        (
            PYTHON + "inputSpecs: {in: {isRegexPattern: true, regexPattern: false}}",
            ["f.yml:3: inputSpecs.in.regexPattern: contradicts isRegexPattern, which is the same setting"],
        ),
        (
            JAVA + "inputSpecs: {in: {schemaType: a, serdeClassName: b}}",
            ["f.yml:3: inputSpecs.in: may have a schemaType or a serdeClassName, not both"],
        ),
        (
            JAVA + "inputSpecs: {in: {cryptoConfig: {producerCryptoFailureAction: DISCARD}}}",
            [
                (
                    "f.yml:3: inputSpecs.in.cryptoConfig.producerCryptoFailureAction: "
                    "must be one of FAIL, SEND (got DISCARD)"
                ),
                "f.yml:3: inputSpecs.in.cryptoConfig.cryptoKeyReaderClassName: must be given",
            ],
        ),
        (
            JAVA + IN + "producerConfig: {cryptoConfig: {cryptoKeyReaderClassName: a.B}}",
            ["f.yml:4: producerConfig.cryptoConfig.encryptionKeys: must name a key at least"],
        ),
        (
            JAVA + IN + "producerConfig: {compressionType: GZIP}",
            [("f.yml:4: producerConfig.compressionType: must be one of LZ4, NONE, ZLIB, ZSTD, SNAPPY (got 'GZIP')")],
        ),
        (
            PYTHON + "customSchemaInputs: {in: '{'}",
            ["f.yml:3: customSchemaInputs.in: must be the JSON text of a consumer configuration (Expecting property"],
        ),
        (
            PYTHON + "customSchemaInputs: {in: {schemaType: x}}",
            ["f.yml:3: customSchemaInputs.in: must be the JSON text of a consumer configuration (got a mapping)"],
        ),
        (
            PYTHON + "customSchemaInputs: {in: '" + "[" * 100000 + "'}",
            ["f.yml:3: customSchemaInputs.in: must be the JSON text of a consumer configuration ("],
        ),
        (PYTHON + IN + "userConfig: {a: [.nan]}", ["f.yml:4: userConfig: must hold only finite numbers"]),
        (PYTHON + IN + "paralelism: 1", ["f.yml:4: paralelism: is not a known key; did you mean 'parallelism'?"]),
        (PYTHON + IN + "secrets: hunter2", ["f.yml:4: secrets: must be a mapping (got ***)"]),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    found = [str(problem) for problem in caught.value.problems]
    assert [line[: len(start)] for line, start in zip(found, messages, strict=True)] == messages


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (PYTHON + IN + "functionType: x", ["f.yml:4: functionType: has no effect: Apache Pulsar's worker does not"]),
        (PYTHON + IN + "maxPendingAsyncRequests: 5", ["f.yml:4: maxPendingAsyncRequests: has no effect: the worker's"]),
        (PYTHON + IN + "exposePulsarAdminClientEnabled: true", ["f.yml:4: exposePulsarAdminClientEnabled: has no"]),
        (PYTHON + IN + "functionType:", []),
        (PYTHON + IN + "autoAck: false", ["f.yml:4: autoAck: is deprecated; write processingGuarantees: MANUAL"]),
        (
            JAVA + IN + "autoAck: true\nwindowConfig: {windowLengthCount: 1}",
            ["f.yml:4: autoAck: has no effect, as windows acknowledge their messages themselves"],
        ),
        (
            PYTHON + "inputSpecs: {in: {schemaType: a, serdeClassName: b}}",
            ["f.yml:3: inputSpecs.in.serdeClassName: has no effect beside a schemaType"],
        ),
        (
            PYTHON + IN + "output: o\ncustomSchemaOutputs: {p: '{}'}",
            ["f.yml:5: customSchemaOutputs.p: has no effect, as it is not the output topic"],
        ),
    ],
)
def test_what_has_no_effect_is_a_warning(text: str, messages: list[str]) -> None:
    found = warnings_of(text)
    assert [line[: len(start)] for line, start in zip(found, messages, strict=True)] == messages


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f.yml"
    path.write_text(PYTHON + IN + "parallelism: 2\nuserConfig: {a: 1}\n")
    spec = load_function_config(path, {"parallelism": 3, "inputs": ("x", "y"), "name": None, "userConfig": {"b": True}})
    assert (spec.parallelism, spec.name, spec.user_config) == (3, "Fn", {"b": True})
    assert list(spec.source.input_specs) == ["persistent://public/default/x", "persistent://public/default/y"]


def test_a_wrong_override_is_told_as_one(tmp_path: Path) -> None:
    path = tmp_path / "f.yml"
    path.write_text(PYTHON + IN + "resources: {cpu: 1}\n")
    with pytest.raises(ConfigError) as caught:
        load_function_config(path, {"parallelism": 0, "resources": {"cpu": 0}})
    assert str(caught.value).splitlines() == [
        "command line: parallelism: must be from 1 to 2147483647 (got 0)",
        "command line: resources.cpu: must be above 0 (got 0)",
    ]


def test_the_command_line_alone_is_enough() -> None:
    section = read_function_config(None, {"py": "f.py", "className": "m.Fn", "inputs": ["in"]})
    assert parse_function_config(section) == parse(PYTHON + IN)
    assert section.warnings == []
