"""How input bytes become what the function sees, and what it returns becomes output bytes.

Rules of the reference's Python instance: a schema decides when one is named; otherwise a SerDe class; without
either the client library's ``IdentitySerDe``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pulsar_runtimes.model.errors import LaunchError

from .client import IdentitySerDe, schema
from .code import UserCode

Decoder = Callable[[Any], Any]
"""From a raw message of the client to the value the function gets."""
Encoder = Callable[[Any], bytes]
"""From what the function returned to the bytes that are published."""

IDENTITY_SERDE = "serde.IdentitySerDe"
_DEFAULT_SERDES = ("", IDENTITY_SERDE, "org.apache.pulsar.functions.api.utils.DefaultSerDe")
# A text that begins with one of these is no Python number literal in any of IdentitySerDe's readings
# (``int``, ``float``, ``complex``), so the three failing conversions can be skipped.
_NEVER_A_NUMBER = frozenset("abcdefghklmopqrstuvwxyzABCDEFGHKLMOPQRSTUVWXYZ{}[]<>\"'`/\\|#$%&*=,:;!?@~^")

_identity = IdentitySerDe()


def build_schema(kind: str, properties: Mapping[str, str], type_class: str, code: UserCode) -> Any:
    """The Pulsar schema that ``schemaType`` names, or ``None`` for plain bytes.

    ``string``, ``json`` and ``avro`` in any case, the latter two over the record class ``type_class`` of the
    user's code; anything else is a schema class of the user's own. ``LaunchError`` when a class is missing.
    """
    wanted = kind.lower()
    if wanted in ("", "bytes", "none"):
        return None
    if wanted in ("json", "avro") and not type_class:
        raise LaunchError(f"the schema {kind!r} needs a record class in typeClassName")
    try:
        return _schema(kind, properties, type_class, code)
    except LaunchError:
        raise
    except Exception as error:
        raise LaunchError(f"the schema {kind!r} cannot be made: {type(error).__name__}: {error}") from error


def _schema(kind: str, properties: Mapping[str, str], type_class: str, code: UserCode) -> Any:
    match kind.lower():
        case "string":
            return schema.StringSchema()
        case "json":
            return schema.JsonSchema(code.find_class(type_class))
        case "avro":
            return schema.AvroSchema(code.find_class(type_class))
    cls = code.find_class(kind)
    arity = len(inspect.signature(cls.__init__).parameters)
    record = code.find_class(type_class) if type_class else None
    if arity <= 1:
        return cls()
    if arity == 2:
        return cls(record if record is not None else dict(properties))
    return cls(record, dict(properties))


def build_decoder(serde_class_name: str, topic_schema: Any, code: UserCode) -> Decoder:
    """The decoder for one input topic."""
    if topic_schema is not None:
        decode = topic_schema.decode
        return lambda message: decode(message.data())
    if serde_class_name in _DEFAULT_SERDES:
        return lambda message: identity_value(message.data())
    deserialize = _serde(serde_class_name, "deserialize", code)
    return lambda message: deserialize(message.data())


def build_encoder(serde_class_name: str, topic_schema: Any, code: UserCode) -> Encoder:
    """The encoder for the output topic."""
    if topic_schema is not None:
        encode: Encoder = topic_schema.encode
        return encode
    if serde_class_name in _DEFAULT_SERDES:
        return identity_bytes
    serialize: Encoder = _serde(serde_class_name, "serialize", code)
    return serialize


def identity_value(data: bytes) -> Any:
    """What ``IdentitySerDe.deserialize`` makes of ``data``: int, float, complex, text or bytes, tried in turn."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data
    if text[:1] in _NEVER_A_NUMBER:
        return text
    return _identity.deserialize(data)


def identity_bytes(value: Any) -> bytes:
    """What ``IdentitySerDe.serialize`` makes of ``value``."""
    if type(value) is str:
        return value.encode("utf-8")
    if type(value) is bytes:
        return value
    data: bytes = _identity.serialize(value)
    return data


def _serde(class_name: str, method: str, code: UserCode) -> Any:
    try:
        made = code.find_class(class_name)()
    except LaunchError:
        raise
    except Exception as error:
        raise LaunchError(f"the SerDe {class_name!r} cannot be made: {type(error).__name__}: {error}") from error
    if not callable(getattr(made, method, None)):
        raise LaunchError(f"the SerDe {class_name!r} has no method {method}")
    return getattr(made, method)
