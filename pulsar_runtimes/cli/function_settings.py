"""The settings of one function beside the table of what pfrun's Python instance makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pulsar_runtimes.config.function_input import INPUT_KEYS
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.setting import Setting, Use, display
from pulsar_runtimes.instance.support import PYTHON_SETTINGS, SettingSupport, Treatment
from pulsar_runtimes.model.function import FunctionSpec, Language

_SPELLINGS = {"inputSpecs": INPUT_KEYS, "producerConfig": ("producerConfig", "batchBuilder")}
"""Where a setting of the table may stand in a function config, when that is not under its own name."""


def set_by(spec: FunctionSpec, section: Section) -> Iterator[tuple[SettingSupport, str]]:
    """Each row of the table that the function itself sets, with the key it stands at in ``section``."""
    for row in PYTHON_SETTINGS:
        key = _stated_key(row, section)
        if key and row.is_set(spec):
            yield row, key


def _stated_key(row: SettingSupport, section: Section) -> str:
    for name in re.split(r"[.:,]\s*", row.key):
        for key in _SPELLINGS.get(name, (name,)):
            if section.values.get(key) is not None:
                return key
    return ""


_USES = {Treatment.HONOURED: Use.HONOURED, Treatment.REFUSED: Use.REFUSED, Treatment.NO_EFFECT: Use.WARNED}


def list_function_settings(spec: FunctionSpec, section: Section) -> Iterator[Setting]:
    """What ``section`` says of a Python function, in its order, and what pfrun's own instance makes of each."""
    warned = {warning.path: warning.message for warning in section.warnings}
    rows: dict[str, list[SettingSupport]] = {}
    for row, key in _stated(spec, section):
        rows.setdefault(key, []).append(row)
    for key in section:
        if section.values[key] is None:
            continue
        for row in rows.get(key, ()):
            yield _placed(row.key if "." in row.key else key, key, section, _USES[row.treatment], row.note)
        if key not in rows:
            note = warned.get(key, "").removeprefix("has no effect: ")
            yield _placed(key, key, section, Use.WARNED if key in warned else Use.HONOURED, note)


def default_function_settings(spec: FunctionSpec, section: Section) -> Iterator[Setting]:
    """The rows of the table that a Python function says nothing of."""
    stated = {row.key for row, _ in _stated(spec, section)}
    for row in PYTHON_SETTINGS:
        if row.key not in stated and _stated_key(row, section) != row.key:
            yield Setting(row.key, "", "default", _USES[row.treatment], row.note)


def _stated(spec: FunctionSpec, section: Section) -> Iterator[tuple[SettingSupport, str]]:
    """:func:`set_by` without what is set only because something else in ``producerConfig`` is."""
    for row, key in set_by(spec, section):
        if key != "producerConfig" or _member(row.key, key) in section.values[key]:
            yield row, key


def _member(path: str, key: str) -> str:
    return path.removeprefix(f"{key}.")


def _placed(path: str, key: str, section: Section, use: Use, note: str) -> Setting:
    """The setting at ``path``, which may be one below ``key``, with its value and origin."""
    value: Any = section.values[key]
    inner = _member(path, key)
    if isinstance(value, dict) and inner in value:
        return Setting(path, display(path, value[inner]), section.inner(key, value).origin(inner), use, note)
    return Setting(path, display(key, value), section.origin(key), use, note)


def warn_without_effect(spec: FunctionSpec, section: Section) -> None:
    """A warning in ``section`` for each setting of a Python function that it sets and that does nothing."""
    if spec.language is not Language.PYTHON:
        return
    for row, key in set_by(spec, section):
        if row.treatment is Treatment.NO_EFFECT:
            path = row.key if row.key.startswith(f"{key}.") else key
            section.warn(path, f"has no effect: {row.note}")
