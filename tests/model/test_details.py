"""``FunctionDetails`` as JSON, against texts that the reference's worker wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.model.details import build_details, details_json, html_safe_json, parse_details
from pulsar_runtimes.model.function import (
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
from pulsar_runtimes.testing import function_spec

_GOLDEN = (
    '{"tenant":"public","namespace":"default","name":"f1",%s,"autoAck":true,"parallelism":1,'
    '"source":{"inputSpecs":{"persistent://public/default/in":{}},"cleanupSubscription":true},'
    '"sink":{"topic":"persistent://public/default/out"},'
    '"resources":{"cpu":1.0,"ram":"1073741824","disk":"10737418240"},'
    r'"runtimeFlags":"-Dfoo\u003d\"a b\" -Dbar\u003d1","componentType":"FUNCTION"}'
)
GOLDEN = {
    Language.JAVA: _GOLDEN % '"className":"com.ex.Fn"',
    Language.PYTHON: _GOLDEN % '"className":"fn.Fn","runtime":"PYTHON"',
    Language.GO: _GOLDEN % '"className":"fn.Fn","runtime":"GO"',
}
"""What Apache Pulsar 4.0.8 put on the command lines of its three runtimes."""

FULL = FunctionSpec(
    tenant="société",
    namespace="Team_A",
    name="函数",
    class_name="a.B",
    log_topic="logs",
    processing_guarantees=ProcessingGuarantees.MANUAL,
    user_config={"html": "<b>&'\"</b>", "n": 3, "list": [1.5, None, True]},
    language=Language.GO,
    auto_ack=True,
    parallelism=7,
    source=SourceSpec(
        class_name="S",
        configs={"q": "a='b'"},
        subscription_type=SubscriptionType.KEY_SHARED,
        topics_to_ser_de_class_name={"old": "serde"},
        type_class_name="byte[]",
        timeout_ms=1 << 62,
        topics_pattern="p.*",
        builtin="b",
        subscription_name="sub 'one'",
        input_specs={
            "in": ConsumerSpec(
                schema_type="AVRO",
                serde_class_name="x.Y",
                is_regex_pattern=True,
                receiver_queue_size=100,
                schema_properties={"a": "b"},
                consumer_properties={"c": "d"},
                crypto_spec=CryptoSpec(
                    crypto_key_reader_class_name="K",
                    crypto_key_reader_config={"k": 1},
                    producer_encryption_key_name=("one", "two"),
                    producer_crypto_failure_action=CryptoFailureAction.SEND,
                    consumer_crypto_failure_action=CryptoFailureAction.DISCARD,
                ),
                pool_messages=True,
            )
        },
        cleanup_subscription=True,
        subscription_position=SubscriptionPosition.EARLIEST,
        negative_ack_redelivery_delay_ms=60000,
        skip_to_latest=True,
    ),
    sink=SinkSpec(
        class_name="T",
        configs={"u": "=&"},
        topic="out",
        ser_de_class_name="s.D",
        type_class_name="t",
        builtin="jdbc",
        schema_type="JSON",
        forward_source_message_property=True,
        schema_properties={"e": "f"},
        consumer_properties={"g": "h"},
        producer_spec=ProducerSpec(1, 2, True, CryptoSpec(), "KEY_BASED", CompressionType.ZSTD),
    ),
    resources=Resources(0.25, 1, 2),
    package_url="http://x",
    retry_details=RetrySpec(3, "dlq"),
    secrets_map={"S": {"path": "p"}},
    runtime_flags="-Dx=1",
    component_type=ComponentType.FUNCTION,
    custom_runtime_options='{"jobName": "x"}',
    builtin="bb",
    retain_ordering=True,
    retain_key_ordering=True,
    subscription_position=SubscriptionPosition.EARLIEST,
)

CASES = Path(__file__).resolve().parents[1] / "oracle" / "cases"


@pytest.mark.parametrize("language", GOLDEN, ids=lambda language: language.name)
def test_the_references_text_comes_out_as_it_went_in(language: Language) -> None:
    spec = parse_details(GOLDEN[language])

    assert spec.language is language
    assert details_json(spec) == GOLDEN[language]


def test_one_pair_of_single_quotes_is_taken_off() -> None:
    assert parse_details(f"'{GOLDEN[Language.JAVA]}'") == parse_details(GOLDEN[Language.JAVA])


def test_every_member_survives_the_way_there_and_back() -> None:
    assert parse_details(details_json(FULL)) == FULL


def test_a_function_that_says_nothing_is_two_empty_messages() -> None:
    assert build_details(FunctionSpec()) == {"source": {}, "sink": {}}
    assert parse_details("{}") == FunctionSpec()


def test_the_package_is_no_part_of_the_details() -> None:
    assert "package" not in build_details(function_spec(package="secret/place.py"))


def test_the_text_holds_no_character_that_ends_a_quoting() -> None:
    text = details_json(FULL)

    assert not set("='<>&\n") & set(text)
    assert parse_details(text).user_config == FULL.user_config


def test_escaped_text_is_the_same_json() -> None:
    value = {"k'": ["<a href='x'>", "a=b&c", "é\u2028\\'", 1, None, True]}

    assert json.loads(html_safe_json(value)) == value


@pytest.mark.parametrize("raw", ['"1073741824"', "1073741824", "1073741824.0"])
def test_a_64_bit_integer_may_be_text_or_a_number(raw: str) -> None:
    spec = parse_details(f'{{"resources":{{"ram":{raw}}}}}')

    assert spec.resources == Resources(ram=1 << 30)
    assert '"ram":"1073741824"' in details_json(spec)


@pytest.mark.parametrize("raw", ['"MANUAL"', "3"])
def test_an_enum_may_be_a_name_or_a_number(raw: str) -> None:
    spec = parse_details(f'{{"processingGuarantees":{raw}}}')

    assert spec.processing_guarantees is ProcessingGuarantees.MANUAL


def test_a_member_may_have_its_name_in_the_proto_file() -> None:
    assert parse_details('{"log_topic":"logs"}').log_topic == "logs"


@pytest.mark.parametrize("text", ["{}", "[]", '{"a": 1.0, "b":1e3}', ' {"k": "\\u003d"}'])
def test_text_that_holds_json_is_passed_on_as_it_was_given(text: str) -> None:
    function = parse_details(json.dumps({"userConfig": text}))
    assert json.loads(details_json(function))["userConfig"] == text
    assert function.user_config == (json.loads(text) or {})


def test_null_is_an_unset_member() -> None:
    assert parse_details('{"source":null,"tenant":null,"resources":null}') == FunctionSpec()


def test_unknown_members_are_passed_over() -> None:
    text = '{"tenant":"t","newThing":{"a":[1]},"source":{"newer":1,"inputSpecs":{"in":{"newest":true}}}}'

    spec = parse_details(text)

    assert spec == FunctionSpec(tenant="t", source=SourceSpec(input_specs={"in": ConsumerSpec()}))


def test_a_message_without_values_stays_present() -> None:
    spec = parse_details('{"retryDetails":{},"source":{"inputSpecs":{"in":{"receiverQueueSize":{}}}}}')

    assert spec.retry_details == RetrySpec()
    assert spec.source.input_specs["in"].receiver_queue_size == 0
    assert json.loads(details_json(spec))["retryDetails"] == {}
    assert parse_details(details_json(spec)) == spec


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ('{"parallelism":"many"}', "parallelism"),
        ('{"parallelism":1.5}', "parallelism"),
        ('{"parallelism":true}', "parallelism"),
        ('{"parallelism":Infinity}', "parallelism"),
        ('{"parallelism":[]}', "parallelism"),
        ('{"tenant":{"a":1}}', "tenant"),
        ('{"tenant":["a"]}', "tenant"),
        ('{"autoAck":"yes"}', "autoAck"),
        ('{"autoAck":2}', "autoAck"),
        ('{"runtime":"COBOL"}', "runtime"),
        ('{"runtime":2}', "runtime"),
        ('{"runtime":true}', "runtime"),
        ('{"runtime":{}}', "runtime"),
        ('{"source":3}', "source"),
        ('{"source":[]}', "source"),
        ('{"source":"text"}', "source"),
        ('{"source":{"timeoutMs":"soon"}}', "source.timeoutMs"),
        ('{"source":{"inputSpecs":["in"]}}', "source.inputSpecs"),
        ('{"source":{"inputSpecs":{"in":{"poolMessages":"x"}}}}', "source.inputSpecs.in.poolMessages"),
        ('{"source":{"inputSpecs":{"in":{"receiverQueueSize":{"value":"x"}}}}}', "in.receiverQueueSize"),
        (
            '{"sink":{"producerSpec":{"cryptoSpec":{"producerEncryptionKeyName":"one"}}}}',
            "sink.producerSpec.cryptoSpec.producerEncryptionKeyName",
        ),
        ('{"resources":{"cpu":"lots"}}', "resources.cpu"),
        ('{"userConfig":"[1]"}', "userConfig"),
        ('{"userConfig":"{"}', "userConfig"),
    ],
)
def test_a_member_that_cannot_be_read_is_named(text: str, member: str) -> None:
    with pytest.raises(ValueError, match=rf"{member}: cannot be read"):
        parse_details(text)


@pytest.mark.parametrize("text", ["", "'", "''", "[]", '"x"', "null", "{", "nothing"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_details(text)


@pytest.mark.parametrize("text", ['{"secretsMap":"hunter2"}', '{"secretsMap":["hunter2"]}'])
def test_an_error_never_shows_a_secret(text: str) -> None:
    with pytest.raises(ValueError, match="secretsMap") as caught:
        parse_details(text)

    assert "hunter2" not in str(caught.value)


def _cases() -> list[Any]:
    found = ((path.stem, json.loads(path.read_text()).get("functionDetails")) for path in sorted(CASES.glob("*.json")))
    return [pytest.param(details, id=name) for name, details in found if details is not None]


@pytest.mark.parametrize("details", _cases())
def test_the_details_of_an_oracle_case_keep_their_meaning(details: dict[str, Any]) -> None:
    spec = parse_details(json.dumps(details))

    assert _meaning(json.loads(details_json(spec))) == _meaning(details)


_MAPS = ("inputSpecs", "topicsToSerDeClassName", "schemaProperties", "consumerProperties")
"""An empty one is the same as none; an empty message is not."""


def _meaning(value: Any, name: str = "") -> Any:
    """``value`` with JSON texts parsed, 64-bit integers as numbers, and members that hold their default left out."""
    if isinstance(value, dict):
        members = {key: _meaning(item, key) for key, item in value.items()}
        return {
            key: item
            for key, item in members.items()
            if item not in ("", 0, False, [], "JAVA", "UNKNOWN") and not (item == {} and key in _MAPS)
        }
    if name in ("ram", "disk", "timeoutMs", "negativeAckRedeliveryDelayMs"):
        return int(value)
    if name in ("userConfig", "secretsMap", "configs"):
        return json.loads(value)
    return value
