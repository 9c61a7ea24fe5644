"""What an update may change of a sink or source: the config that is there, with what is given in its place.

Source: ``SinkConfigUtils#validateUpdate`` and ``SourceConfigUtils#validateUpdate`` of Apache Pulsar 4.0.8, and their
messages. Unlike there, a member that no update reads is refused; a sink whose update does not name
``sourceSubscriptionPosition`` keeps it, and a batch source whose update does not name ``batchSourceConfig``, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulsar_runtimes.model.component import BUILTIN
from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.names import full_topic

_SINK_FIXED = {
    "sourceSubscriptionName": "Subscription Name cannot be altered",
    "processingGuarantees": "Processing Guarantees cannot be altered",
    "retainOrdering": "Retain Ordering cannot be altered",
    "retainKeyOrdering": "Retain Key Ordering cannot be altered",
    "autoAck": "AutoAck cannot be altered",
}
_SOURCE_FIXED = {"processingGuarantees": "Processing Guarantees cannot be altered"}
"""Members that may be given only as they are, and what is said otherwise."""

_REPLACED = (
    "className",
    "configs",
    "secrets",
    "parallelism",
    "archive",
    "runtimeFlags",
    "customRuntimeOptions",
    "logTopic",
)
_SINK_REPLACED = (
    *_REPLACED,
    "timeoutMs",
    "cleanupSubscription",
    "transformFunction",
    "transformFunctionClassName",
    "transformFunctionConfig",
    "sourceSubscriptionPosition",
)
_SOURCE_REPLACED = (*_REPLACED, "topicName", "serdeClassName", "schemaType", "producerConfig", "batchSourceConfig")
_NAMES = ("tenant", "namespace", "name")
_SINK_INPUTS = ("inputs", "topicsPattern", "topicToSerdeClassName", "topicToSchemaType", "inputSpecs")


def merge_sink_update(existing: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The sink config after the update. Both are plain data; a member of ``given`` that is ``None`` is not given.

    ``ConfigError`` with every member that must not change, or that no update reads.
    """
    changes = _named_type(given, "sinkType")
    problems = _fixed(existing, changes, _SINK_FIXED)
    merged = _replaced(existing, changes, _SINK_REPLACED)
    specs, wrong = _merge_inputs(existing.get("inputSpecs", {}), changes)
    merged["inputSpecs"] = specs
    known = (*_SINK_FIXED, *_SINK_REPLACED, *_SINK_INPUTS)
    return _without_problems(merged, [*problems, *wrong, *_unread(existing, changes, known)])


def merge_source_update(existing: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The source config after the update; else as :func:`merge_sink_update`."""
    changes = _named_type(given, "sourceType")
    problems = _fixed(existing, changes, _SOURCE_FIXED)
    before, after = existing.get("batchSourceConfig"), changes.get("batchSourceConfig")
    if after is not None and before is None:
        problems.append(Problem("", "Sources cannot be update between regular sources and batchsource"))
    elif isinstance(after, dict) and before is not None:
        triggerer = "discoveryTriggererClassName"
        if after.get(triggerer) != before.get(triggerer):
            problems.append(Problem("", "DiscoverTriggerer class cannot be updated for batchsources"))
    merged = _replaced(existing, changes, _SOURCE_REPLACED)
    return _without_problems(merged, [*problems, *_unread(existing, changes, (*_SOURCE_FIXED, *_SOURCE_REPLACED))])


def _named_type(given: Mapping[str, Any], type_key: str) -> dict[str, Any]:
    """What is given, with the type of a built-in connector as its archive."""
    changes = {key: value for key, value in given.items() if value is not None}
    kind = changes.pop(type_key, "")
    return changes | {"archive": f"{BUILTIN}{kind}"} if kind else changes


def _fixed(existing: Mapping[str, Any], changes: Mapping[str, Any], fixed: Mapping[str, str]) -> list[Problem]:
    return [
        Problem("", message)
        for key, message in fixed.items()
        if key in changes and changes[key] not in (existing.get(key, ""), "")
    ]


def _replaced(existing: Mapping[str, Any], changes: Mapping[str, Any], replaced: Sequence[str]) -> dict[str, Any]:
    merged = dict(existing)
    for key in replaced:
        if changes.get(key, "") != "":
            merged[key] = changes[key]
    if isinstance(changes.get("resources"), dict):
        given = {name: value for name, value in changes["resources"].items() if value is not None}
        merged["resources"] = {**existing.get("resources", {}), **given}
    return merged


def _unread(existing: Mapping[str, Any], changes: Mapping[str, Any], known: Sequence[str]) -> list[Problem]:
    return [
        Problem(key, "cannot be changed by an update; delete it and create it anew")
        for key in changes
        if key not in (*known, *_NAMES, "resources")
        and changes[key] != existing.get(key)
        and changes[key] not in ({}, [], "", False)
    ]


def _without_problems(merged: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    if problems:
        raise ConfigError(problems)
    merged.pop("inputs", None)  # the input specs have them
    return merged


def _merge_inputs(existing: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The inputs after the update: each that is given must be there, and stay a pattern or a name."""
    merged, problems = dict(existing), []
    for topic, spec in _given_inputs(changes).items():
        is_pattern = bool(spec.get("isRegexPattern") or spec.get("regexPattern"))
        same = (name for name in existing if full_topic(name) == full_topic(topic))
        name = topic if is_pattern else next(same, topic)
        if name not in existing:
            problems.append(Problem("", "Input Topics cannot be altered"))
        elif bool(existing[name].get("regexPattern")) is not is_pattern:
            problems.append(Problem("", f"isRegexPattern for input topic {topic} cannot be altered"))
        elif spec:
            merged[name] = spec
    return merged, problems


def _given_inputs(changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each input with what is said of it, which is nothing for a plain name."""
    specs = {topic: dict(spec or {}) for topic, spec in (changes.get("inputSpecs") or {}).items()}
    for topic in changes.get("inputs") or ():
        specs.setdefault(topic, {})
    if changes.get("topicsPattern"):
        specs[changes["topicsPattern"]] = {"isRegexPattern": True}
    for topic, serde in (changes.get("topicToSerdeClassName") or {}).items():
        specs[topic] = {"serdeClassName": serde}
    for topic, schema in (changes.get("topicToSchemaType") or {}).items():
        specs[topic] = {"schemaType": schema}
    return specs
