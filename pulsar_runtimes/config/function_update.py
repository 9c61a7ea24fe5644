"""What an update may change of a function: the config that is there, with the members that are given in their place.

Source: ``FunctionConfigUtils#validateUpdate`` of Apache Pulsar 4.0.8, and its messages as recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.names import full_topic

from .section import Section

_FIXED = {
    "outputSerdeClassName": "Output Serde mismatch",
    "outputSchemaType": "Output Schema mismatch",
    "processingGuarantees": "Processing Guarantees cannot be altered",
    "retainOrdering": "Retain Ordering cannot be altered",
    "retainKeyOrdering": "Retain Key Ordering cannot be altered",
    "runtime": "Runtime cannot be altered",
    "autoAck": "AutoAck cannot be altered",
    "subName": "Subscription Name cannot be altered",
}
"""Members that may be given only as they are, and what is said otherwise."""

_DEFAULTS: Mapping[str, Any] = {"retainOrdering": False, "retainKeyOrdering": False, "autoAck": True}
_REPLACED = (
    "className",
    "logTopic",
    "output",
    "userConfig",
    "secrets",
    "maxMessageRetries",
    "deadLetterTopic",
    "parallelism",
    "windowConfig",
    "timeoutMs",
    "cleanupSubscription",
    "runtimeFlags",
    "customRuntimeOptions",
    "producerConfig",
)
_SAME_OR_LATER = ("tenant", "namespace", "name", "fqfn", "jar", "py", "go", "inputs", "topicsPattern")
"""Members that say which function it is, where its code is, and inputs, which are looked at apart."""

_SENT_ANYWAY: Mapping[str, Any] = {"subscriptionPosition": "Latest", "forwardSourceMessageProperty": True}
"""What pulsar-admin sends with each update, given or not: these values say nothing."""

_INPUTS = ("inputSpecs", "customSerdeInputs", "customSchemaInputs")


def merge_update(existing: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The function config after the update. Both are plain data.

    A member of ``given`` that is ``None``, or an empty text, is not given. ``ConfigError`` with every member that must
    not change, or that no update reads.
    """
    merged = dict(existing)
    problems: list[Problem] = []
    changes = {key: value for key, value in given.items() if value not in (None, "", _SENT_ANYWAY.get(key))}
    for key, message in _FIXED.items():
        if key in changes and not _is_same(key, changes[key], existing):
            problems.append(Problem("", message))
    for key in _REPLACED:
        if key in changes:
            merged[key] = changes[key]
    resources = changes.get("resources", {})
    if isinstance(resources, dict):
        given_resources = {name: value for name, value in resources.items() if value is not None}
        merged["resources"] = {**existing.get("resources", {}), **given_resources}
    else:
        merged["resources"] = resources  # whoever reads it says what is wrong with it
    merged["inputSpecs"], wrong = _merge_inputs(existing.get("inputSpecs", {}), changes)
    problems += wrong
    known = {*_FIXED, *_REPLACED, *_SAME_OR_LATER, *_INPUTS, "resources"}
    for key in changes.keys() - known:
        if changes[key] != existing.get(key) and changes[key] not in ({}, [], False):
            problems.append(Problem(key, "cannot be changed by an update; delete the function and create it anew"))
    if problems:
        raise ConfigError(problems)
    return merged


def _is_same(key: str, value: Any, existing: Mapping[str, Any]) -> bool:
    before = existing.get(key, _DEFAULTS.get(key, ""))
    return value == before or (isinstance(value, str) and value.upper() == str(before).upper())


def _merge_inputs(existing: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The input specs after the update: each topic that is given must be there, and stay a pattern or a name."""
    given = Section(changes)
    merged, found = dict(existing), _given_inputs(given)
    problems = list(given.problems)
    for topic, spec, is_pattern in found:
        same = (name for name in existing if full_topic(name) == full_topic(topic))
        name = topic if is_pattern else next(same, topic)
        if name not in existing:
            problems.append(Problem("", "Input Topics cannot be altered"))
        elif bool(existing[name].get("regexPattern")) is not is_pattern:
            problems.append(Problem("", f"isRegexPattern for input topic {topic} cannot be altered"))
        elif spec is not None:
            merged[name] = spec
    return merged, problems


def _given_inputs(given: Section) -> list[tuple[str, Mapping[str, Any] | None, bool]]:
    """Topic, its spec if one is given, and whether it is a pattern. Another shape is a problem of ``given``."""
    found: list[tuple[str, Mapping[str, Any] | None, bool]] = [(topic, None, False) for topic in given.texts("inputs")]
    if pattern := given.text("topicsPattern"):
        found.append((pattern, None, True))
    for topic, serde in given.text_mapping("customSerdeInputs").items():
        found.append((topic, {"serdeClassName": serde}, False))
    for topic in given.section("customSchemaInputs") or ():
        found.append((topic, None, False))
    specs = given.section("inputSpecs")
    for topic in specs or ():
        assert specs is not None
        spec = specs.section(topic)
        is_pattern = spec is not None and (spec.boolean("isRegexPattern") or spec.boolean("regexPattern"))
        found.append((topic, {} if spec is None else spec.values, is_pattern))
    return found
