"""Between the records of the state of record and the bytes that Apache Pulsar's workers keep in its topics.

``FunctionSpec.package`` is no part of them: what a record has of the code is ``Registration.package``.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from pulsar_runtimes.model.details import build_details, parse_details
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.registration import FunctionAuth, PackageLocation, Registration

from . import function_proto as proto
from .records import Assignment, RequestKind, ServiceRequest, UnreadableRegistration
from .unknown_fields import restore_unknown_fields, unknown_fields

_RUNNING, _STOPPED = 0, 1

# Registration


def encode_registration(registration: Registration) -> bytes:
    """``FunctionMetaData`` of ``registration``. ``MetadataError`` when a number does not fit its field."""
    return _bytes(_build(registration))


def decode_registration(data: bytes) -> Registration | UnreadableRegistration:
    """The function of ``FunctionMetaData``; unknown fields are kept, an unknown enum number makes it unreadable.

    ``MetadataError`` when ``data`` is no such message at all, or has no name of a function.
    """
    return _read(_parse(proto.FunctionMetaData, data))


# Service requests


def encode_request(request: ServiceRequest) -> bytes:
    """``ServiceRequest`` of ``request``, whose registration must be readable. ``MetadataError`` as above."""
    message = proto.ServiceRequest(
        serviceRequestType=request.kind.value,
        requestId=request.request_id,
        functionMetaData=_build(_readable(request.registration)),
        workerId=request.worker_id,
    )
    return _bytes(message)


def decode_request(data: bytes) -> ServiceRequest:
    """The request in ``data``; ``MetadataError`` when it is none, or of a kind that this version does not know."""
    message = _parse(proto.ServiceRequest, data)
    try:
        kind = RequestKind(message.serviceRequestType)
    except ValueError:
        raise MetadataError(f"a request of the unknown kind {message.serviceRequestType}") from None
    return ServiceRequest(kind, _read(message.functionMetaData), message.requestId, message.workerId)


# Assignments


def encode_assignment(assignment: Assignment) -> bytes:
    """``Assignment`` of ``assignment``, whose registration must be readable. ``MetadataError`` as above."""
    metadata = _build(_readable(assignment.registration))
    message = proto.Assignment(workerId=assignment.worker_id)
    message.instance.instanceId = assignment.instance_id
    message.instance.functionMetaData.CopyFrom(metadata)
    return _bytes(message)


def decode_assignment(data: bytes) -> Assignment:
    """The assignment in ``data``; ``MetadataError`` as :func:`decode_registration` has it."""
    message = _parse(proto.Assignment, data)
    return Assignment(_read(message.instance.functionMetaData), message.instance.instanceId, message.workerId)


# Both ways


def _build(registration: Registration) -> Any:
    message = proto.FunctionMetaData()
    try:
        json_format.ParseDict(build_details(registration.function), message.functionDetails)
        message.version = registration.version
        message.createTime = registration.created_ms
        for number, stopped in registration.stopped.items():
            message.instanceStates[number] = _STOPPED if stopped else _RUNNING
    except (json_format.ParseError, ValueError, TypeError) as error:
        raise MetadataError(f"{registration.key}: cannot be written: {error}") from None
    _write_package(message.packageLocation, registration.package)
    _write_package(message.transformFunctionPackageLocation, registration.transform_package)
    if registration.auth is not None:
        message.functionAuthSpec.data = registration.auth.data
        message.functionAuthSpec.provider = registration.auth.provider
        message.functionAuthSpec.SetInParent()
    restore_unknown_fields(message, registration.unknown)
    return message


def _write_package(message: Any, package: PackageLocation) -> None:
    if package != PackageLocation():
        message.packagePath = package.path
        message.originalFileName = package.original_file_name


def _read(message: Any) -> Registration | UnreadableRegistration:
    details = message.functionDetails
    key = FunctionKey(details.tenant, details.namespace, details.name)
    if not all((key.tenant, key.namespace, key.name)):
        raise MetadataError(f"a record of a function without a full name (got '{key}')")
    try:
        function = parse_details(json_format.MessageToJson(details, indent=None))
        stopped = {number: _is_stopped(number, state) for number, state in message.instanceStates.items()}
    except ValueError as error:
        return UnreadableRegistration(key, message.version, str(error))
    auth = message.functionAuthSpec
    return Registration(
        function,
        _read_package(message.packageLocation),
        _read_package(message.transformFunctionPackageLocation),
        message.version,
        message.createTime,
        stopped,
        FunctionAuth(auth.data, auth.provider) if message.HasField("functionAuthSpec") else None,
        unknown_fields(message),
    )


def _read_package(message: Any) -> PackageLocation:
    return PackageLocation(message.packagePath, message.originalFileName)


def _is_stopped(instance_id: int, state: int) -> bool:
    if state not in (_RUNNING, _STOPPED):
        raise ValueError(f"instanceStates.{instance_id}: cannot be read (got {state})")
    return state == _STOPPED


def _readable(registration: Registration | UnreadableRegistration) -> Registration:
    if isinstance(registration, UnreadableRegistration):
        raise MetadataError(f"{registration.key}: cannot be written, as it cannot be read: {registration.reason}")
    return registration


def _parse(message_class: Any, data: bytes) -> Any:
    try:
        return message_class.FromString(data)
    except DecodeError as error:
        raise MetadataError(f"{len(data)} bytes that are no {message_class.DESCRIPTOR.name}: {error}") from None


def _bytes(message: Any) -> bytes:
    data: bytes = message.SerializeToString(deterministic=True)
    return data
