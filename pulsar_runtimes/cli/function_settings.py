"""The settings of one function beside the table of what pfrun's Python instance makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pulsar_runtimes.config.function_input import INPUT_KEYS
from pulsar_runtimes.config.section import Section
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


def warn_without_effect(spec: FunctionSpec, section: Section) -> None:
    """A warning in ``section`` for each setting of a Python function that it sets and that does nothing."""
    if spec.language is not Language.PYTHON:
        return
    for row, key in set_by(spec, section):
        if row.treatment is Treatment.NO_EFFECT:
            path = row.key if row.key.startswith(f"{key}.") else key
            section.warn(path, f"has no effect: {row.note}")
