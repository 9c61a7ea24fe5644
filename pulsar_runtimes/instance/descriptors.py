"""Protobuf messages made at run time from a table, rather than from generated code.

That makes pfrun independent of which protobuf release would have generated it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Proto = descriptor_pb2.FieldDescriptorProto

_SCALARS = {
    "double": _Proto.TYPE_DOUBLE,
    "int32": _Proto.TYPE_INT32,
    "int64": _Proto.TYPE_INT64,
    "uint64": _Proto.TYPE_UINT64,
    "bool": _Proto.TYPE_BOOL,
    "string": _Proto.TYPE_STRING,
    "bytes": _Proto.TYPE_BYTES,
}
_MAP = re.compile(r"map<(\w+), ([\w.]+)>")

Fields = Sequence[tuple[str, int, str]]
"""Of one message: name, number, and type as a proto file has it, such as ``repeated string``, ``map<string, int32>``.

A message or an enum is named by its full name without the package: ``Outer.Inner``.
"""


def build_messages(
    file: str, messages: Mapping[str, Fields], enums: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, Any]:
    """The classes of ``messages``, proto3 in the package ``proto``, by their names in the table.

    A message or enum ``Outer.Inner`` is declared within ``Outer``, which stands before it. JSON has the names as they
    are. ``file`` is any name; each call has a pool of its own.
    """
    proto = descriptor_pb2.FileDescriptorProto(name=f"pulsar_runtimes/{file}", package="proto", syntax="proto3")
    made: dict[str, Any] = {}
    for name, fields in messages.items():
        outer, _, own = name.rpartition(".")
        message = made[outer].nested_type.add(name=own) if outer else proto.message_type.add(name=own)
        made[name] = message
        for field, number, kind in fields:
            _add_field(message, name, field, number, kind, enums or {})
    for name, values in (enums or {}).items():
        outer, _, own = name.rpartition(".")
        enum = (made[outer] if outer else proto).enum_type.add(name=own)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(proto)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"proto.{name}")) for name in messages}


def _add_field(message: Any, path: str, name: str, number: int, kind: str, enums: Mapping[str, object]) -> None:
    field = message.field.add(name=name, number=number, json_name=name, label=_Proto.LABEL_OPTIONAL)
    if of := _MAP.fullmatch(kind):
        entry = message.nested_type.add(name=f"{name[0].upper()}{name[1:]}Entry")
        entry.options.map_entry = True
        for part, (key, type_name) in enumerate((("key", of[1]), ("value", of[2])), start=1):
            _add_field(entry, "", key, part, type_name, enums)
        kind = f"repeated {path}.{entry.name}"
    if kind.startswith("repeated "):
        kind, field.label = kind.removeprefix("repeated "), _Proto.LABEL_REPEATED
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Proto.TYPE_ENUM if kind in enums else _Proto.TYPE_MESSAGE
        field.type_name = f".proto.{kind}"
