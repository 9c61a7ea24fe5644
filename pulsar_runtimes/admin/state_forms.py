"""State as the admin API shows and takes it. Source: ``FunctionState`` and ``ComponentImpl`` of Apache Pulsar 4.0.8."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from pulsar_runtimes.service.errors import RefusedError
from pulsar_runtimes.state.base import LEAST_COUNTER, MOST_COUNTER, StateValue, counter_bytes

_KNOWN = ("key", "stringValue", "byteValue", "numberValue", "version")


def state_form(key: str, found: StateValue) -> dict[str, Any]:
    """A counter is a number only. Anything else is text if it can be, else bytes, and a number if it has 8 bytes."""
    form: dict[str, Any] = {"key": key}
    if not found.is_counter:
        try:
            form["stringValue"] = found.value.decode()
        except UnicodeDecodeError:
            form["byteValue"] = base64.b64encode(found.value).decode()
    if found.number is not None:
        form["numberValue"] = found.number
    return {**form, "version": found.version}


def parse_state(text: str | None, key: str) -> bytes:
    """The value of a put: ``byteValue`` unless it is empty, else ``stringValue``, else ``numberValue``.

    ``RefusedError`` when there is none, when it is not of the kind that its name says, or when it is for another
    key. ``version`` is not looked at, so that what was read can be put back.
    """
    if text is None:
        raise RefusedError("Function state is not provided")
    try:
        form = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"state: is not valid JSON ({error})") from None
    if not isinstance(form, dict):
        raise RefusedError("state: must be a JSON object")
    if unknown := sorted(form.keys() - set(_KNOWN)):
        raise RefusedError(f"state: {unknown[0]} is not a known key; there are {', '.join(_KNOWN)}")
    if form.get("key") != key:
        raise RefusedError("Path key doesn't match key in json")
    raw, string, number = (form.get(name) for name in ("byteValue", "stringValue", "numberValue"))
    if raw:
        return _parse_bytes(raw)
    if string is not None:
        return _parse_string(string)
    if number is not None:
        return _parse_number(number)
    raise RefusedError("Invalid state value")


def _parse_bytes(value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError("state: byteValue: must be text in base64") from None


def _parse_string(value: object) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
    except UnicodeEncodeError:
        pass
    raise RefusedError("state: stringValue: must be text")


def _parse_number(value: object) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int) or not LEAST_COUNTER <= value <= MOST_COUNTER:
        raise RefusedError("state: numberValue: must be an integer of 64 bits")
    return counter_bytes(value)
