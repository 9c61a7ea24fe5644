"""The fields of a message that this version does not know, so that rewriting a record does not lose them.

Protobuf keeps them in a parsed message, while pfrun's own classes have no place for them.
"""

from __future__ import annotations

from typing import Any


def unknown_fields(message: Any) -> bytes:
    """``message`` with nothing but its unknown fields, those of the messages within it included; mostly empty."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    if known.ByteSize() == message.ByteSize():
        return b""
    rest = type(message)()
    rest.CopyFrom(message)
    _drop_known(rest)
    data: bytes = rest.SerializeToString(deterministic=True)
    return data


def restore_unknown_fields(message: Any, fields: bytes) -> None:
    """Put ``fields``, as :func:`unknown_fields` gave them, into ``message``, so far as their places exist in it."""
    if fields:
        _merge(message, type(message).FromString(fields))


def _drop_known(message: Any) -> None:
    for field, value in message.ListFields():
        if _is_map_of_messages(field):
            for key in list(value):
                _drop_known(value[key])
                if not value[key].ByteSize():
                    del value[key]
        elif _is_one_message(field):
            _drop_known(value)
            if not value.ByteSize():
                message.ClearField(field.name)
        else:
            message.ClearField(field.name)


def _merge(target: Any, rest: Any) -> None:
    for field, value in rest.ListFields():
        own = getattr(target, field.name)
        if _is_map_of_messages(field):
            for key in value:
                if key in own:
                    _merge(own[key], value[key])
        elif target.HasField(field.name):
            _merge(own, value)
        rest.ClearField(field.name)
    target.MergeFrom(rest)


def _is_map_of_messages(field: Any) -> bool:
    if field.type != field.TYPE_MESSAGE or field.has_presence:
        return False
    value = field.message_type.fields_by_name.get("value")
    return bool(field.message_type.GetOptions().map_entry and value.type == value.TYPE_MESSAGE)


def _is_one_message(field: Any) -> bool:
    return bool(field.type == field.TYPE_MESSAGE and field.has_presence)
