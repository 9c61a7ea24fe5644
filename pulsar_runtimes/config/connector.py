"""What the configs of sinks and sources have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pulsar_runtimes.model.component import BUILTIN
from pulsar_runtimes.model.names import FunctionKey, path_problem

from .section import Section


def read_connector_key(section: Section) -> FunctionKey:
    """Tenant and namespace, by default public and default, and the name, which has no default."""
    key = FunctionKey(section.text("tenant") or "public", section.text("namespace") or "default", section.text("name"))
    for part, text in (("tenant", key.tenant), ("namespace", key.namespace), ("name", key.name)):
        if not text:
            section.problem(part, "must be given")
        elif problem := path_problem(text):
            section.problem(part, problem)
    return key


def read_archive(section: Section, type_key: str) -> tuple[str, str]:
    """Where the connector's package is, and its name when it is built in.

    ``type_key`` names a built-in connector as well, as pulsar-admin has it.
    """
    archive, kind = section.text("archive").strip(), section.text(type_key).strip()
    if kind and archive:
        section.problem(type_key, "cannot be given together with archive")
    if kind:
        archive = BUILTIN + kind
    if not archive:
        section.problem("", f"has no package: archive or {type_key} must say where the connector is")
    return archive, builtin_name(section, "archive", archive)


def builtin_name(section: Section, key: str, package: str) -> str:
    """The name of a built-in package, empty when ``package`` is of another kind."""
    if not package.startswith(BUILTIN):
        return ""
    name = package.removeprefix(BUILTIN)
    if not name:
        section.problem(key, f"must have a name after {BUILTIN}")
    return name


def read_json_object(section: Section, key: str) -> Mapping[str, Any]:
    """A JSON object that is given as text; empty when there is none."""
    text = section.text(key)
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    section.problem(key, "must be the text of a JSON object")
    return {}
