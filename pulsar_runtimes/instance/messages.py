"""The messages of Apache Pulsar's ``InstanceCommunication.proto``, made at run time from a table.

Numbers and names are those of the proto file of 4.0.8. Building the descriptors here rather than keeping
generated code makes pfrun independent of which protobuf release generated it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "proto.InstanceControl"

_DOUBLE = descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE
_INT64 = descriptor_pb2.FieldDescriptorProto.TYPE_INT64
_INT32 = descriptor_pb2.FieldDescriptorProto.TYPE_INT32
_BOOL = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE

_EXCEPTION = ".proto.FunctionStatus.ExceptionInformation"

_MESSAGES: dict[str, list[tuple[str, int, Any]]] = {
    "FunctionStatus": [
        ("running", 1, _BOOL),
        ("failureException", 2, _STRING),
        ("numRestarts", 3, _INT64),
        ("numSuccessfullyProcessed", 5, _INT64),
        ("numUserExceptions", 6, _INT64),
        ("latestUserExceptions", 7, _EXCEPTION),
        ("numSystemExceptions", 8, _INT64),
        ("latestSystemExceptions", 9, _EXCEPTION),
        ("averageLatency", 12, _DOUBLE),
        ("lastInvocationTime", 13, _INT64),
        ("instanceId", 14, _STRING),
        ("workerId", 16, _STRING),
        ("numReceived", 17, _INT64),
        ("numSourceExceptions", 18, _INT64),
        ("latestSourceExceptions", 19, _EXCEPTION),
        ("numSinkExceptions", 20, _INT64),
        ("latestSinkExceptions", 21, _EXCEPTION),
    ],
    "MetricsData": [
        ("receivedTotal", 2, _INT64),
        ("processedSuccessfullyTotal", 4, _INT64),
        ("systemExceptionsTotal", 5, _INT64),
        ("userExceptionsTotal", 6, _INT64),
        ("avgProcessLatency", 7, _DOUBLE),
        ("lastInvocation", 8, _INT64),
        ("userMetrics", 9, "map"),
        ("receivedTotal_1min", 10, _INT64),
        ("processedSuccessfullyTotal_1min", 12, _INT64),
        ("systemExceptionsTotal_1min", 13, _INT64),
        ("userExceptionsTotal_1min", 14, _INT64),
        ("avgProcessLatency_1min", 15, _DOUBLE),
    ],
    "HealthCheckResult": [("success", 1, _BOOL)],
    "Empty": [],
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="pulsar_runtimes/InstanceCommunication.proto", package="proto", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            _add_field(message, field, number, kind)
    nested = file.message_type[0].nested_type.add(name="ExceptionInformation")
    _add_field(nested, "exceptionString", 1, _STRING)
    _add_field(nested, "msSinceEpoch", 2, _INT64)
    return file


def _add_field(message: Any, name: str, number: int, kind: Any) -> None:
    field = message.field.add(name=name, number=number, json_name=name, label=1)
    if kind == "map":
        entry = message.nested_type.add(name=f"{name[0].upper()}{name[1:]}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, _STRING)
        _add_field(entry, "value", 2, _DOUBLE)
        kind = f".proto.{message.name}.{entry.name}"
    if isinstance(kind, str):
        field.type, field.type_name, field.label = _MESSAGE, kind, 3
    else:
        field.type = kind


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"proto.{name}"))


FunctionStatus = _class("FunctionStatus")
MetricsData = _class("MetricsData")
HealthCheckResult = _class("HealthCheckResult")
Empty = _class("Empty")
"""Stands for ``google.protobuf.Empty``: both are no bytes at all."""
