"""What an update of a function may name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.function import parse_function_config
from pulsar_runtimes.config.function_json import build_function_config
from pulsar_runtimes.config.function_update import merge_update
from pulsar_runtimes.model.errors import ConfigError

TOPIC = "persistent://public/default/in"


@pytest.fixture
def existing() -> dict[str, Any]:
    config = {
        "className": "a.B",
        "py": "f.py",
        "inputSpecs": {TOPIC: {"receiverQueueSize": 5}, "t/n/.*": {"isRegexPattern": True}},
        "output": "out",
        "userConfig": {"a": 1, "b": 2},
        "resources": {"cpu": 0.5, "ram": 1 << 26},
        "subName": "mine",
    }
    return build_function_config(parse_function_config(parse_document(json.dumps(config))))


def test_nothing_given_changes_nothing(existing: dict[str, Any]) -> None:
    assert merge_update(existing, {"parallelism": None}) == existing
    assert merge_update(existing, existing) == existing


def test_what_is_given_replaces_and_resources_are_taken_one_by_one(existing: dict[str, Any]) -> None:
    merged = merge_update(existing, {"userConfig": {"c": 3}, "resources": {"cpu": 2.0, "ram": None}, "parallelism": 4})
    assert merged["userConfig"] == {"c": 3}
    assert merged["resources"] == {"cpu": 2.0, "ram": 1 << 26, "disk": existing["resources"]["disk"]}
    assert merged["parallelism"] == 4


@pytest.mark.parametrize("given", [{"inputs": ["in"]}, {"inputs": [TOPIC]}, {"topicsPattern": "t/n/.*"}])
def test_inputs_that_are_there_may_be_named_in_any_way(given: dict[str, Any], existing: dict[str, Any]) -> None:
    assert merge_update(existing, given) == existing


def test_how_an_input_is_read_may_change(existing: dict[str, Any]) -> None:
    merged = merge_update(existing, {"inputSpecs": {"in": {"receiverQueueSize": 7}}})
    assert merged["inputSpecs"][TOPIC] == {"receiverQueueSize": 7}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"inputs": ["other"]}, "Input Topics cannot be altered"),
        (
            {"inputSpecs": {TOPIC: {"isRegexPattern": True}}},
            f"isRegexPattern for input topic {TOPIC} cannot be altered",
        ),
        ({"processingGuarantees": "ATMOST_ONCE"}, "Processing Guarantees cannot be altered"),
        ({"retainOrdering": True}, "Retain Ordering cannot be altered"),
        ({"retainKeyOrdering": True}, "Retain Key Ordering cannot be altered"),
        ({"runtime": "JAVA"}, "Runtime cannot be altered"),
        ({"autoAck": False}, "AutoAck cannot be altered"),
        ({"subName": "other"}, "Subscription Name cannot be altered"),
        ({"skipToLatest": True}, "skipToLatest: cannot be changed by an update"),
        ({"subscriptionPosition": "Earliest"}, "subscriptionPosition: cannot be changed by an update"),
    ],
)
def test_what_must_not_change_is_refused(given: dict[str, Any], complaint: str, existing: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        merge_update(existing, given)
    assert complaint in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(existing: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        merge_update(existing, {"autoAck": False, "retainOrdering": True, "inputs": ["other"]})
    assert len(caught.value.problems) == 3
