"""The messages of Apache Pulsar's ``InstanceCommunication.proto``, by the numbers and names of 4.0.8."""

from __future__ import annotations

from .descriptors import Fields, build_messages

SERVICE = "proto.InstanceControl"

_EXCEPTIONS = "repeated FunctionStatus.ExceptionInformation"

_TABLE: dict[str, Fields] = {
    "FunctionStatus": [
        ("running", 1, "bool"),
        ("failureException", 2, "string"),
        ("numRestarts", 3, "int64"),
        ("numSuccessfullyProcessed", 5, "int64"),
        ("numUserExceptions", 6, "int64"),
        ("latestUserExceptions", 7, _EXCEPTIONS),
        ("numSystemExceptions", 8, "int64"),
        ("latestSystemExceptions", 9, _EXCEPTIONS),
        ("averageLatency", 12, "double"),
        ("lastInvocationTime", 13, "int64"),
        ("instanceId", 14, "string"),
        ("workerId", 16, "string"),
        ("numReceived", 17, "int64"),
        ("numSourceExceptions", 18, "int64"),
        ("latestSourceExceptions", 19, _EXCEPTIONS),
        ("numSinkExceptions", 20, "int64"),
        ("latestSinkExceptions", 21, _EXCEPTIONS),
    ],
    "FunctionStatus.ExceptionInformation": [("exceptionString", 1, "string"), ("msSinceEpoch", 2, "int64")],
    "MetricsData": [
        ("receivedTotal", 2, "int64"),
        ("processedSuccessfullyTotal", 4, "int64"),
        ("systemExceptionsTotal", 5, "int64"),
        ("userExceptionsTotal", 6, "int64"),
        ("avgProcessLatency", 7, "double"),
        ("lastInvocation", 8, "int64"),
        ("userMetrics", 9, "map<string, double>"),
        ("receivedTotal_1min", 10, "int64"),
        ("processedSuccessfullyTotal_1min", 12, "int64"),
        ("systemExceptionsTotal_1min", 13, "int64"),
        ("userExceptionsTotal_1min", 14, "int64"),
        ("avgProcessLatency_1min", 15, "double"),
    ],
    "HealthCheckResult": [("success", 1, "bool")],
    "Empty": [],
}

_classes = build_messages("InstanceCommunication.proto", _TABLE)

FunctionStatus = _classes["FunctionStatus"]
MetricsData = _classes["MetricsData"]
HealthCheckResult = _classes["HealthCheckResult"]
Empty = _classes["Empty"]
"""Stands for ``google.protobuf.Empty``: both are no bytes at all."""
