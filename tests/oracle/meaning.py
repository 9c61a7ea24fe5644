"""Whether two results of a launch case mean the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

NAMED = {"containers", "env", "ports", "volumes", "volumeMounts"}
SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
INT64 = {"ram", "disk", "timeoutMs", "negativeAckRedeliveryDelayMs"}
DEFAULTS = ("", 0, False, "JAVA", "UNKNOWN", "ATLEAST_ONCE", "SHARED", "LATEST", "LZ4", "FAIL")


def assert_same(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """An error where the reference has one, whatever it says; else the same launch, but for what is ``ignored``."""
    for error in ("startError", "admissionError"):
        assert (error in actual) == (error in expected), actual
        if error in expected:
            return
    assert actual.get("clientMemoryLimit") == expected.get("clientMemoryLimit")
    assert actual.get("processEnv", {}) == expected.get("processEnv", {})
    assert meaning(actual.get("processCommand", [])) == meaning(expected.get("processCommand", []))
    assert actual.get("secretNamespace") == expected.get("secretNamespace")
    ignored = {entry["pointer"].rpartition("/")[2] for entry in expected.get("ignored", [])}
    for part in ("statefulSet", "service", "secret"):
        assert manifest(actual.get(part), ignored) == manifest(expected.get(part), ignored), part


def manifest(value: Any, ignored: set[str], name: str = "") -> Any:
    """A manifest as the API server would take it: what says nothing left out, quantities by their value."""
    if isinstance(value, dict):
        members = {key: manifest(item, ignored, key) for key, item in value.items() if key not in ignored}
        kept = {key: item for key, item in members.items() if item not in (None, {}, [])}
        if "apiVersion" in kept:  # what the recorded ones leave to the client
            del kept["apiVersion"], kept["kind"]
            if value["kind"] == "Secret":
                del kept["metadata"]["namespace"]
        return kept
    if isinstance(value, list):
        if name == "command":
            return meaning([*value[:2], *shlex.split(value[2])])
        items = [manifest(item, ignored, name) for item in value]
        return sorted(items, key=lambda item: item["name"]) if name in NAMED else items
    if name in ("cpu", "memory"):
        number = value.rstrip("".join(SUFFIXES))
        return Decimal(number) * Decimal(str(SUFFIXES.get(value.removeprefix(number), 1)))
    return value


def meaning(value: Any, name: str = "") -> Any:
    """``value`` with JSON texts parsed, and members that hold a default of protobuf left out."""
    if isinstance(value, list):
        return [meaning(item) for item in value]
    if isinstance(value, dict):
        members = {key: meaning(item, key) for key, item in value.items()}
        return {key: item for key, item in members.items() if item == {} or item not in DEFAULTS}
    if isinstance(value, str) and name in INT64:
        return int(value)
    if isinstance(value, str) and value.strip("'")[:1] == "{":
        try:
            return meaning(json.loads(value[1:-1] if value[0] == "'" else value))
        except ValueError:  # customRuntimeOptions may hold comments
            return value
    return value
