"""``windowConfig`` of a Java function: what it may say, and how it is stored in the function's details."""

from __future__ import annotations

from typing import Any

from pulsar_runtimes.model.function import ProcessingGuarantees

from .section import Section

EXECUTOR_CLASS = "org.apache.pulsar.functions.windowing.WindowFunctionExecutor"
"""Runs in place of the function's own class, which the window configuration names."""

USER_CONFIG_KEY = "__WINDOWCONFIGS__"

_COUNTS = ("windowLengthCount", "windowLengthDurationMs", "slidingIntervalCount", "slidingIntervalDurationMs")
_DEFAULT_WATERMARK_INTERVAL_MS = 1000


def read_window(section: Section, class_name: str, guarantees: ProcessingGuarantees) -> dict[str, Any]:
    """The configuration as the executor expects it: what is not set is left out, a sliding interval is filled in.

    ``guarantees`` are those of the function; windows know only two of them.
    """
    window: dict[str, Any] = {key: section.optional_integer(key, minimum=1) for key in _COUNTS}
    extractor = section.text("timestampExtractorClassName")
    window["lateDataTopic"] = section.text("lateDataTopic") or None
    window["maxLagMs"] = section.optional_integer("maxLagMs", minimum=0)
    window["watermarkEmitIntervalMs"] = section.optional_integer("watermarkEmitIntervalMs", minimum=1)
    window["timestampExtractorClassName"] = extractor or None
    for derived in ("actualWindowFunctionClassName", "processingGuarantees"):  # a config read back has them
        section.raw(derived)
    section.refuse_unread()
    _check(section, window)
    if guarantees in (ProcessingGuarantees.EFFECTIVELY_ONCE, ProcessingGuarantees.MANUAL):
        section.problem("", f"cannot be combined with processingGuarantees {guarantees.name}")
    _fill(window, has_extractor=bool(extractor))
    window["actualWindowFunctionClassName"] = class_name or None
    window["processingGuarantees"] = guarantees.name
    return {key: value for key, value in window.items() if value is not None}


def _check(section: Section, window: dict[str, Any]) -> None:
    given = [key for key in _COUNTS[:2] if key in section and section.values[key] is not None]
    if len(given) != 1:
        section.problem("", "must have exactly one of windowLengthCount and windowLengthDurationMs")
    if window["lateDataTopic"] and not window["timestampExtractorClassName"]:
        section.problem("lateDataTopic", "can only be used with a timestampExtractorClassName")


def _fill(window: dict[str, Any], *, has_extractor: bool) -> None:
    if window["slidingIntervalCount"] is None and window["slidingIntervalDurationMs"] is None:
        window["slidingIntervalCount"] = window["windowLengthCount"]
        window["slidingIntervalDurationMs"] = window["windowLengthDurationMs"]
    if has_extractor:
        window["maxLagMs"] = window["maxLagMs"] or 0
        window["watermarkEmitIntervalMs"] = window["watermarkEmitIntervalMs"] or _DEFAULT_WATERMARK_INTERVAL_MS
