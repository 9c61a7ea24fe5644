"""The messages of the control service, number by number as in ``InstanceCommunication.proto`` of 4.0.8."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import empty_pb2

from pulsar_runtimes.instance import messages

NUMBERS = {
    "FunctionStatus": {
        "running": 1,
        "failureException": 2,
        "numRestarts": 3,
        "numSuccessfullyProcessed": 5,
        "numUserExceptions": 6,
        "latestUserExceptions": 7,
        "numSystemExceptions": 8,
        "latestSystemExceptions": 9,
        "averageLatency": 12,
        "lastInvocationTime": 13,
        "instanceId": 14,
        "workerId": 16,
        "numReceived": 17,
        "numSourceExceptions": 18,
        "latestSourceExceptions": 19,
        "numSinkExceptions": 20,
        "latestSinkExceptions": 21,
    },
    "MetricsData": {
        "receivedTotal": 2,
        "processedSuccessfullyTotal": 4,
        "systemExceptionsTotal": 5,
        "userExceptionsTotal": 6,
        "avgProcessLatency": 7,
        "lastInvocation": 8,
        "userMetrics": 9,
        "receivedTotal_1min": 10,
        "processedSuccessfullyTotal_1min": 12,
        "systemExceptionsTotal_1min": 13,
        "userExceptionsTotal_1min": 14,
        "avgProcessLatency_1min": 15,
    },
    "HealthCheckResult": {"success": 1},
    "Empty": {},
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_message_has_the_reference_s_fields(name: str) -> None:
    descriptor: Any = getattr(messages, name).DESCRIPTOR
    assert {field.name: field.number for field in descriptor.fields} == NUMBERS[name]
    assert descriptor.full_name == f"proto.{name}"


def test_the_bytes_are_those_of_the_protocol() -> None:
    """Field number and wire type, then the value; written by hand from the protobuf encoding."""
    info = messages.FunctionStatus.ExceptionInformation(exceptionString="x", msSinceEpoch=5)
    status = messages.FunctionStatus(running=True, numReceived=300, latestUserExceptions=[info], averageLatency=1.0)
    assert status.SerializeToString() == (b"\x08\x01\x3a\x05\x0a\x01x\x10\x05\x61\0\0\0\0\0\0\xf0\x3f\x88\x01\xac\x02")
    metrics = messages.MetricsData(userMetrics={"a": 1.0})
    assert metrics.SerializeToString() == b"\x4a\x0c\x0a\x01a\x11\0\0\0\0\0\0\xf0\x3f"


def test_empty_is_what_protobuf_means_by_it() -> None:
    assert messages.Empty().SerializeToString() == empty_pb2.Empty().SerializeToString() == b""
