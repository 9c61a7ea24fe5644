"""The settings of one function beside the table of what becomes of them in its language, on its worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pulsar_runtimes.config.function_input import INPUT_KEYS
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.setting import Setting, Use, display
from pulsar_runtimes.instance.support import SettingSupport, Treatment
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.runtimes.language_support import Surroundings, read_surroundings
from pulsar_runtimes.worker.worker import Worker

_SPELLINGS = {
    "inputSpecs": INPUT_KEYS,
    "inputSpecs.serdeClassName": ("inputSpecs", "customSerdeInputs", "customSchemaInputs"),
    "producerConfig.batchBuilder": ("batchBuilder", "producerConfig"),
    "maxMessageRetries, deadLetterTopic": ("maxMessageRetries", "deadLetterTopic"),
}
"""Where a setting of a table may stand in a function config, when that is not under its own name."""

_USES = {Treatment.HONOURED: Use.HONOURED, Treatment.REFUSED: Use.REFUSED, Treatment.NO_EFFECT: Use.WARNED}


def surroundings_of(worker: Worker) -> Surroundings:
    """What of ``worker`` decides what becomes of the settings of its functions."""
    return read_surroundings(worker.factory.name, worker.config.runtime_section, worker.environment)


def list_function_settings(spec: FunctionSpec, section: Section, around: Surroundings) -> Iterator[Setting]:
    """What ``section`` says of a function, in its order, and what its instances make of each."""
    warned = {warning.path: warning.message for warning in section.warnings}
    rows: dict[str, list[SettingSupport]] = {}
    for row, key in _set_by(spec, section, around):
        rows.setdefault(key, []).append(row)
    for key in section:
        if section.values[key] is None:
            continue
        for row in rows.get(key, ()):
            yield _placed(_path(row, key), key, section, _USES[row.treatment], row.note)
        if key not in rows:
            note = warned.get(key, "").removeprefix("has no effect: ")
            yield _placed(key, key, section, Use.WARNED if key in warned else Use.HONOURED, note)


def default_function_settings(spec: FunctionSpec, section: Section, around: Surroundings) -> Iterator[Setting]:
    """The rows of the table that a function says nothing of."""
    stated = {row.key for row, _ in _set_by(spec, section, around)}
    for row in around.settings(spec.language):
        if row.key not in stated and _stated_key(row, section) != row.key:
            yield Setting(row.key, "", "default", _USES[row.treatment], row.note)


def warn_without_effect(spec: FunctionSpec, section: Section, worker: Worker | None = None) -> None:
    """A warning in ``section`` for each setting of a function that it sets and that does nothing.

    Without a ``worker`` it is one with the process runtime and its defaults.
    """
    for row, key in _set_by(spec, section, Surroundings() if worker is None else surroundings_of(worker)):
        if row.treatment is Treatment.NO_EFFECT:
            section.warn(_path(row, key), f"has no effect: {row.note}")


def _set_by(spec: FunctionSpec, section: Section, around: Surroundings) -> Iterator[tuple[SettingSupport, str]]:
    """Each row of the table that the function itself sets, with the key it stands at in ``section``."""
    for row in around.settings(spec.language):
        key = _stated_key(row, section)
        if key and row.is_set(spec):
            yield row, key


def _stated_key(row: SettingSupport, section: Section) -> str:
    name = row.key.partition(":")[0]
    top, _, member = name.partition(".")
    usual = ("inputSpecs", "customSchemaInputs") if top == "inputSpecs" else (top,)
    for key in _SPELLINGS.get(name, usual):
        value = section.values.get(key)
        if value is not None and (not member or _holds(key, value, member)):
            return key
    return ""


def _holds(key: str, value: Any, member: str) -> bool:
    """Whether the mapping at ``key``, in which topics may stand between, has a ``member``."""
    if key in ("batchBuilder", "customSerdeInputs"):  # it is the member itself
        return True
    return f'"{member}' in json.dumps(value, default=str).replace("\\", "")


def _path(row: SettingSupport, key: str) -> str:
    member = row.key.partition(":")[0].partition(".")[2]
    return f"{key}.{member}" if member and key != member else key


def _placed(path: str, key: str, section: Section, use: Use, note: str) -> Setting:
    """The setting at ``path``, which may be one below ``key``, with its value and origin."""
    value: Any = section.values[key]
    inner = path.removeprefix(f"{key}.")
    if isinstance(value, dict) and inner in value:
        return Setting(path, display(path, value[inner]), section.inner(key, value).origin(inner), use, note)
    return Setting(path, display(key, value), section.origin(key), use, note)
