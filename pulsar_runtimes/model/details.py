"""``FunctionDetails`` as JSON, the way Apache Pulsar's worker writes it on an instance's command line.

Protobuf JSON: lowerCamelCase names, defaults left out, 64-bit integers as text, enums by name. The text is
HTML-safe (``= ' < > &`` become ``\\u003d`` ...), hence it never holds a raw single quote and can stand between
two of them. Source: ``RuntimeUtils#getCmd`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

from .function import FunctionSpec

_HTML_SAFE = {ord(c): f"\\u{ord(c):04x}" for c in "='<>&"}


def html_safe_json(value: object) -> str:
    """``value`` as one line of JSON that holds none of ``= ' < > &`` in the raw."""
    return _compact_json(value).translate(_HTML_SAFE)


def _compact_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class JsonText(dict[str, Any]):
    """The object that a text of JSON holds, with the text, which is passed on as it was given.

    Nothing else would bring back ``{}``, or ``[]``, which stands for it here as it does for the reference.
    """

    def __init__(self, text: str) -> None:
        value = json.loads(text)
        if not isinstance(value, dict) and value != []:
            raise ValueError("must hold a JSON object")
        super().__init__(value)
        self.text = text


def build_details(spec: FunctionSpec) -> dict[str, Any]:
    """``FunctionDetails`` of ``spec`` as plain data, defaults left out."""
    return _encode(spec)


def details_json(spec: FunctionSpec) -> str:
    """``FunctionDetails`` of ``spec`` as the text that ``--function_details`` carries, without the quotes."""
    return message_json(spec)


def message_json(message: Any) -> str:
    """A part of a function, such as a ``ConsumerSpec``, as text in the same form."""
    return html_safe_json(_encode(message))


def parse_details(text: str) -> FunctionSpec:
    """Read ``--function_details``: protobuf JSON, with or without one pair of single quotes around it.

    Unknown members are passed over, as newer workers may send more than this version knows. ``ValueError``
    says which member is wrong.
    """
    if len(text) >= 2 and text[0] == text[-1] == "'":
        text = text[1:-1]
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError(f"function details must be a JSON object (got {type(data).__name__})")
    spec = _decode(FunctionSpec, data, "")
    assert isinstance(spec, FunctionSpec)
    return spec


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


@functools.cache
def _members(cls: Any) -> tuple[tuple[str, str, Any, Mapping[str, Any]], ...]:
    """(attribute, JSON name, type, metadata) of each field that is part of the JSON."""
    hints = typing.get_type_hints(cls)
    return tuple(
        (f.name, f.metadata.get("name") or _camel(f.name), hints[f.name], f.metadata)
        for f in dataclasses.fields(cls)
        if not f.metadata.get("outside")
    )


def _encode(spec: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    cls: Any = type(spec)
    for attribute, name, _, metadata in _members(cls):
        value = getattr(spec, attribute)
        encoded = _encode_value(value, metadata)
        present = value is not None if _is_message(value) or metadata.get("wrapped") else bool(encoded)
        if present:
            out[name] = encoded
    return out


def _is_message(value: object) -> bool:
    return dataclasses.is_dataclass(value) or value is None


def _encode_value(value: Any, metadata: Mapping[str, Any]) -> Any:
    if value is None:
        return None
    if dataclasses.is_dataclass(value):
        return _encode(value)
    if isinstance(value, enum.Enum):
        return value.name if value.value else ""
    if metadata.get("text"):
        return value.text if isinstance(value, JsonText) else _compact_json(dict(value)) if value else ""
    if metadata.get("wrapped"):
        return {"value": value} if value else {}
    if metadata.get("int64"):
        return str(value) if value else ""
    if isinstance(value, Mapping):
        return {key: _encode(item) if dataclasses.is_dataclass(item) else item for key, item in value.items()}
    if isinstance(value, tuple):
        return list(value)
    return value


def _decode(cls: Any, data: Mapping[str, Any], path: str) -> Any:
    arguments = {}
    for attribute, name, hint, metadata in _members(cls):
        raw = data.get(name, data.get(attribute))
        if raw is None:
            continue
        where = f"{path}.{name}" if path else name
        try:
            arguments[attribute] = _decode_value(hint, raw, metadata, where)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            if isinstance(error, _MemberError):
                raise
            # JSON kept as text may hold secrets.
            shown = "no JSON object" if metadata.get("text") else repr(raw)
            raise _MemberError(f"{where}: cannot be read (got {shown})") from error
    return cls(**arguments)


class _MemberError(ValueError):
    """A ``ValueError`` that already names its member."""


def _decode_value(hint: Any, raw: Any, metadata: Mapping[str, Any], path: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
        origin = typing.get_origin(hint)
    if metadata.get("wrapped"):
        return _scalar(int, raw.get("value", 0) if isinstance(raw, dict) else raw)
    if metadata.get("text"):
        return _json_object(raw)
    if dataclasses.is_dataclass(hint):
        return _decode(typing.cast(type[Any], hint), raw, path)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint[raw] if isinstance(raw, str) else hint(_scalar(int, raw))
    if origin is not None and issubclass(origin, Mapping):
        item = typing.get_args(hint)[1]
        return {str(k): _decode_value(item, v, {}, f"{path}.{k}") for k, v in raw.items()}
    if origin is tuple:
        if not isinstance(raw, list):
            raise TypeError("must be a list")
        return tuple(_scalar(str, item) for item in raw)
    return _scalar(hint, raw)


def _scalar(kind: Any, raw: Any) -> Any:
    """``raw`` as protobuf JSON allows it for a scalar: text of numbers and booleans, and numbers without a fraction."""
    if isinstance(raw, bool) or kind is bool:
        if kind is not bool or raw not in (True, False, "true", "false"):
            raise TypeError(f"must not be {raw!r}")
        return raw in (True, "true")
    if not isinstance(raw, str | int | float) or (kind is int and isinstance(raw, float) and not raw.is_integer()):
        raise TypeError(f"must not be {raw!r}")
    return kind(raw)


def _json_object(raw: Any) -> Mapping[str, Any]:
    if isinstance(raw, str) and raw:
        return JsonText(raw)
    if not isinstance(raw or {}, dict):
        raise ValueError("must hold a JSON object")
    return raw or {}
