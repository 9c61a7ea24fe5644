"""Sink and source configs against what Apache Pulsar's own classes made of them, as recorded in ``connectors.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.connector_update import merge_sink_update, merge_source_update
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.sink import parse_sink_config
from pulsar_runtimes.config.sink_json import build_sink_config
from pulsar_runtimes.config.source import parse_source_config
from pulsar_runtimes.config.source_json import build_source_config
from pulsar_runtimes.model.details import build_details
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.model.function import FunctionSpec

RECORDED = json.loads(Path(__file__).with_name("connectors.json").read_text())
TEXTS = {"configs", "userConfig", "secretsMap", "__BATCHSOURCECONFIGS__", "cryptoKeyReaderConfig"}
"""Members that hold JSON as text, which may be written in more than one way."""

Config = dict[str, Any]


def parse(config: Config, java_type: str = "java.lang.Object", *, is_sink: bool) -> FunctionSpec:
    """The function of a config, with the type that an archive would tell."""
    spec = (parse_sink_config if is_sink else parse_source_config)(Section(config))
    return replace(
        spec,
        source=replace(spec.source, type_class_name=java_type),
        sink=replace(spec.sink, type_class_name=java_type),
    )


def meaning(value: Any, name: str = "") -> Any:
    """``value`` without what is not to be told apart: the spelling of JSON in text, and an empty object there."""
    if name in TEXTS and isinstance(value, str):
        return meaning(json.loads(value))
    if isinstance(value, Mapping):
        members = {key: meaning(item, key) for key, item in value.items()}
        return {key: item for key, item in members.items() if not (key in TEXTS and item == {})}
    return value


@pytest.mark.parametrize("case", RECORDED, ids=range(len(RECORDED)))
def test_a_connector_becomes_what_it_becomes_in_pulsar(case: Config) -> None:
    question, answer = case["question"], case["answer"]
    is_sink = "sink" in question
    given, java_type = question["sink" if is_sink else "source"], question.get("type", "java.lang.Object")
    build = build_sink_config if is_sink else build_source_config
    spec = parse(given, java_type, is_sink=is_sink)
    if "update" in question:
        merge = merge_sink_update if is_sink else merge_source_update
        try:
            merged = merge(build(spec), question["update"])
        except ConfigError as error:
            assert [problem.message for problem in error.problems] == [answer["error"]]
            return
        spec = parse({"archive": "a.nar", **merged}, java_type, is_sink=is_sink)
    assert meaning(build_details(spec)) == meaning(answer["details"])
    told = build(spec)
    assert meaning(told) == meaning(answer["told"])
    order = [key for key in answer["told"] if key in told]
    assert list(told) == order


def problems(config: Config, *, is_sink: bool = True) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(config, is_sink=is_sink)
    return [str(problem) for problem in caught.value.problems]


def test_all_problems_of_a_sink_come_at_once() -> None:
    assert problems(
        {
            "sinkType": "x",
            "archive": "y.nar",
            "parallelism": 0,
            "processingGuarantees": "ATMOST_ONCE",
            "autoAck": False,
            "deadLetterTopic": "dlq",
            "transformFunctionClassName": "a.T",
            "transformFunctionConfig": "[1]",
            "bogus": 1,
        }
    ) == [
        "name: must be given",
        "sinkType: cannot be given together with archive",
        "transformFunctionClassName: needs a transformFunction, the package that the class is in",
        "transformFunctionConfig: needs a transformFunction, the package that the class is in",
        "transformFunctionConfig: must be the text of a JSON object",
        "parallelism: must be from 1 to 2147483647 (got 0)",
        "deadLetterTopic: needs maxMessageRetries above 0, else no message ever gets there",
        "has no input: give one of inputs, topicsPattern, topicToSerdeClassName, topicToSchemaType, inputSpecs",
        "autoAck: cannot be false with processingGuarantees ATMOST_ONCE",
        "bogus: is not a known key",
    ]


SINK = {"name": "s", "archive": "s.nar", "inputs": ["in"]}
SOURCE = {"name": "s", "archive": "s.nar", "topicName": "out"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"archive": None}, "has no package: archive or sinkType must say where the connector is"),
        ({"archive": "builtin://"}, "archive: must have a name after builtin://"),
        ({"transformFunction": "builtin://"}, "transformFunction: must have a name after builtin://"),
        ({"inputs": ["persistent://x"]}, "inputs[0]: must be"),
        ({"inputSpecs": {"a": {"schemaType": "JSON", "serdeClassName": "x"}}}, "inputSpecs.a: may have a schemaType"),
        ({"inputSpecs": {"a": {"bogus": 1}}}, "inputSpecs.a.bogus: is not a known key"),
        ({"retainOrdering": True, "retainKeyOrdering": True}, "retainKeyOrdering: cannot be combined with retainOrd"),
        (
            {"retainKeyOrdering": True, "processingGuarantees": "EFFECTIVELY_ONCE"},
            "retainKeyOrdering: cannot be combined with processingGuarantees EFFECTIVELY_ONCE",
        ),
        ({"timeoutMs": -1}, "timeoutMs: must be at least 0 (got -1)"),
        ({"configs": {"x": float("inf")}}, "configs: must hold only finite numbers"),
    ],
)
def test_what_no_sink_can_be_is_refused(changes: Config, problem: str) -> None:
    assert problems(SINK | changes)[0].startswith(problem)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"archive": None}, "has no package: archive or sourceType must say where the connector is"),
        ({"topicName": "persistent://x"}, "topicName: must be"),
        ({"schemaType": "JSON", "serdeClassName": "x"}, "serdeClassName: cannot be given together with schemaType"),
        ({"batchSourceConfig": {}}, "batchSourceConfig.discoveryTriggererClassName: must be given"),
        ({"batchSourceConfig": {"x": 1, "discoveryTriggererClassName": "t"}}, "batchSourceConfig.x: is not a known"),
        ({"configs": {"__BATCHSOURCECLASSNAME__": "x"}}, "configs.__BATCHSOURCECLASSNAME__: is the worker's own"),
        ({"inputs": ["in"]}, "inputs: is not a known key"),
    ],
)
def test_what_no_source_can_be_is_refused(changes: Config, problem: str) -> None:
    assert problems(SOURCE | changes, is_sink=False)[0].startswith(problem)


def test_a_type_is_a_builtin_archive() -> None:
    assert parse({**SINK, "archive": None, "sinkType": "jdbc"}, is_sink=True).sink.builtin == "jdbc"
    spec = parse({**SOURCE, "archive": None, "sourceType": "gen"}, is_sink=False)
    assert (spec.source.builtin, spec.package) == ("gen", "builtin://gen")


def test_what_has_no_effect_warns() -> None:
    section = Section(
        {**SINK, "topicToSchemaProperties": {"in": "{}"}, "inputSpecs": {"b": {"schemaProperties": {"a": "b"}}}}
    )
    parse_sink_config(section)
    assert [str(warning).partition(": ")[0] for warning in section.warnings] == [
        "inputSpecs.b.schemaProperties",
        "topicToSchemaProperties",
    ]


def test_what_an_update_does_not_read_is_refused_and_the_rest_stays() -> None:
    told = build_sink_config(parse({**SINK, "sourceSubscriptionPosition": "Earliest"}, is_sink=True))
    assert merge_sink_update(told, {"parallelism": 2})["sourceSubscriptionPosition"] == "Earliest"
    assert merge_sink_update(told, {"inputs": ["in"], "sinkType": "other"})["archive"] == "builtin://other"
    with pytest.raises(ConfigError, match="maxMessageRetries: cannot be changed by an update"):
        merge_sink_update(told, {"maxMessageRetries": 3})
    batch = {**SOURCE, "batchSourceConfig": {"discoveryTriggererClassName": "t"}}
    told = build_source_config(parse(batch, is_sink=False))
    assert merge_source_update(told, {"parallelism": 2})["batchSourceConfig"] == batch["batchSourceConfig"]
