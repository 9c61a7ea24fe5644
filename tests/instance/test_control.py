"""The control service of a running instance, over gRPC."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from pulsar_runtimes.instance import messages
from pulsar_runtimes.instance.control import ControlServer, check_health, fetch_stats
from pulsar_runtimes.instance.stats import Stats
from pulsar_runtimes.model.errors import LaunchError
from tests.instance.workbench import Served, Workbench
from tests.waiting import until

Call = Callable[..., Any]


def caller(port: int) -> tuple[Call, grpc.Channel]:
    """Calls of the service as the reference's worker makes them: ``Empty`` in, a message out."""
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def call(method: str, reply: Any) -> Any:
        do: Any = channel.unary_unary(
            f"/proto.InstanceControl/{method}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        return do(messages.Empty(), timeout=5)

    return call, channel


def process(value: str, context: Any) -> str:
    if value == "bad":
        raise ValueError("cannot take bad")
    context.record_metric("length", len(value))
    return value


@pytest.fixture
def running(workbench: Workbench) -> Iterator[tuple[Served, Call, int]]:
    """An instance that has handled two messages well and failed at one, and its control service."""
    spec = workbench.spec(source={"negative_ack_redelivery_delay_ms": 60_000})
    served = workbench.serve(spec, process)
    control = ControlServer(served.instance.stats, lambda: served.instance.running, 3)
    port = control.start("127.0.0.1", 0)
    call, channel = caller(port)
    workbench.publish("good", "bad", "better")
    assert workbench.outputs(2) == ["good", "better"]
    yield served, call, port
    channel.close()
    control.stop()


@pytest.mark.broker
def test_status_tells_what_was_counted(running: tuple[Served, Call, int]) -> None:
    served, call, _ = running
    before = time.time() * 1000
    status = call("GetFunctionStatus", messages.FunctionStatus)
    assert status.running
    assert (status.numReceived, status.numSuccessfullyProcessed) == (3, 2)
    assert (status.numUserExceptions, status.numSystemExceptions) == (1, 0)
    assert status.instanceId == "3"
    assert 0 < status.averageLatency < 1000
    assert before - 60_000 < status.lastInvocationTime <= before
    (info,) = status.latestUserExceptions
    assert info.exceptionString.endswith("ValueError: cannot take bad\n")
    assert before - 60_000 < info.msSinceEpoch <= before
    served.stop()
    assert not call("GetFunctionStatus", messages.FunctionStatus).running


@pytest.mark.broker
def test_metrics_tell_the_total_and_the_running_minute(running: tuple[Served, Call, int]) -> None:
    _, call, _ = running
    data = call("GetMetrics", messages.MetricsData)
    assert (data.receivedTotal, data.processedSuccessfullyTotal, data.userExceptionsTotal) == (3, 2, 1)
    assert (data.receivedTotal_1min, data.processedSuccessfullyTotal_1min, data.userExceptionsTotal_1min) == (3, 2, 1)
    assert data.systemExceptionsTotal == data.systemExceptionsTotal_1min == 0
    assert data.avgProcessLatency == data.avgProcessLatency_1min > 0
    assert dict(data.userMetrics) == {"user_metric_length_sum": 10.0, "user_metric_length_count": 2.0}


@pytest.mark.broker
@pytest.mark.parametrize(("method", "shows"), [("GetAndResetMetrics", 3), ("ResetMetrics", 0)])
def test_a_reset_begins_the_minute_anew(method: str, shows: int, running: tuple[Served, Call, int]) -> None:
    _, call, _ = running
    kind = messages.MetricsData if method == "GetAndResetMetrics" else messages.Empty
    answer = call(method, kind)
    assert getattr(answer, "receivedTotal_1min", 0) == shows
    after = call("GetMetrics", messages.MetricsData)
    assert (after.receivedTotal_1min, after.avgProcessLatency_1min, after.receivedTotal) == (0, 0.0, 3)


@pytest.mark.broker
def test_the_launcher_s_side_reads_the_same(running: tuple[Served, Call, int]) -> None:
    served, _, port = running
    assert fetch_stats(port) == served.instance.stats.snapshot()
    assert check_health(port)


def test_a_health_check_is_answered_and_remembered() -> None:
    control = ControlServer(Stats(), lambda: True, 0)
    port = control.start("127.0.0.1", 0)
    control.last_health_check = 0.0
    call, channel = caller(port)
    assert call("HealthCheck", messages.HealthCheckResult).success
    assert time.monotonic() - control.last_health_check < 60
    channel.close()
    control.stop()


def test_a_method_nobody_knows_is_unimplemented() -> None:
    control = ControlServer(Stats(), lambda: True, 0)
    call, channel = caller(control.start("127.0.0.1", 0))
    with pytest.raises(grpc.RpcError) as caught:
        call("Restart", messages.Empty)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    channel.close()
    control.stop()


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError, match=rf"^the control service cannot listen on 127.0.0.1:{port}: "):
            ControlServer(Stats(), lambda: True, 0).start("127.0.0.1", port)


def test_nobody_answering_is_told_from_a_late_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionError, match="GetFunctionStatus: UNAVAILABLE"):
            fetch_stats(free.getsockname()[1])
        assert not check_health(free.getsockname()[1])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(TimeoutError, match=r"did not answer GetFunctionStatus within 0.2 s"):
            fetch_stats(silent.getsockname()[1], seconds=0.2)
        assert not check_health(silent.getsockname()[1], seconds=0.2)


def test_a_server_that_was_stopped_does_not_answer() -> None:
    control = ControlServer(Stats(), lambda: True, 0)
    control.stop()
    port = control.start("127.0.0.1", 0)
    assert check_health(port)
    control.stop()
    until(lambda: not check_health(port, seconds=1))
