"""The instance control service (gRPC ``InstanceControl``): status, metrics, health. The only door to ``grpc``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.observation import InstanceStats, MinuteStats

from . import messages
from .stats import ExceptionInfo, Stats

_RPC_SECONDS = 5.0
"""The deadline of every call, as the reference's worker has it."""


def build_status(stats: Stats, *, running: bool, instance_id: int) -> Any:
    """``FunctionStatus`` of an instance. Source and sink failures count as system exceptions, as in the reference."""
    total = stats.total()
    return messages.FunctionStatus(
        running=running,
        numReceived=total.received,
        numSuccessfullyProcessed=total.processed,
        numUserExceptions=total.user_exceptions,
        latestUserExceptions=[_exception(info) for info in tuple(stats.latest_user_exceptions)],
        numSystemExceptions=total.system_exceptions,
        latestSystemExceptions=[_exception(info) for info in tuple(stats.latest_system_exceptions)],
        averageLatency=total.average_latency_ms,
        lastInvocationTime=int(stats.last_invocation * 1000),
        instanceId=str(instance_id),
    )


def _exception(info: ExceptionInfo) -> Any:
    return messages.FunctionStatus.ExceptionInformation(exceptionString=info.text, msSinceEpoch=info.ms_since_epoch)


def build_metrics(stats: Stats) -> Any:
    """``MetricsData`` of an instance."""
    total, minute = stats.total(), stats.last_minute()
    data = messages.MetricsData(
        receivedTotal=total.received,
        processedSuccessfullyTotal=total.processed,
        systemExceptionsTotal=total.system_exceptions,
        userExceptionsTotal=total.user_exceptions,
        avgProcessLatency=total.average_latency_ms,
        lastInvocation=int(stats.last_invocation * 1000),
        receivedTotal_1min=minute.received,
        processedSuccessfullyTotal_1min=minute.processed,
        systemExceptionsTotal_1min=minute.system_exceptions,
        userExceptionsTotal_1min=minute.user_exceptions,
        avgProcessLatency_1min=minute.average_latency_ms,
    )
    data.userMetrics.update(stats.named_metrics())
    return data


class ControlServer:
    """Serves one instance. ``last_health_check`` is when somebody last asked (monotonic seconds)."""

    def __init__(self, stats: Stats, is_running: Callable[[], bool], instance_id: int) -> None:
        self._stats = stats
        self._is_running = is_running
        self._instance_id = instance_id
        self.last_health_check = time.monotonic()
        self._server: Any = None

    def start(self, address: str, port: int) -> int:
        """Serve on ``address``; port 0 takes a free one. Answers the port. ``LaunchError`` when it is taken."""
        self._server = grpc.server(ThreadPoolExecutor(2, "control"), options=(("grpc.so_reuseport", 0),))
        calls = {
            "GetFunctionStatus": self._status,
            "GetAndResetMetrics": self._get_and_reset_metrics,
            "ResetMetrics": self._reset_metrics,
            "GetMetrics": lambda request, context: build_metrics(self._stats),
            "HealthCheck": self._health_check,
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                call, messages.Empty.FromString, lambda reply: reply.SerializeToString()
            )
            for name, call in calls.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(messages.SERVICE, handlers),))
        try:
            bound: int = self._server.add_insecure_port(f"{address}:{port}")
        except RuntimeError as error:
            raise LaunchError(f"the control service cannot listen on {address}:{port}: {error}") from None
        self._server.start()
        return bound

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0)

    def _status(self, request: Any, context: Any) -> Any:
        return build_status(self._stats, running=self._is_running(), instance_id=self._instance_id)

    def _get_and_reset_metrics(self, request: Any, context: Any) -> Any:
        data = build_metrics(self._stats)
        self._stats.reset()
        return data

    def _reset_metrics(self, request: Any, context: Any) -> Any:
        self._stats.reset()
        return messages.Empty()

    def _health_check(self, request: Any, context: Any) -> Any:
        self.last_health_check = time.monotonic()
        return messages.HealthCheckResult(success=True)


def fetch_stats(port: int, *, host: str = "127.0.0.1", seconds: float = _RPC_SECONDS) -> InstanceStats:
    """What a running instance has counted. ``TimeoutError`` or ``ConnectionError`` when it does not answer."""
    target = f"{host}:{port}"
    with grpc.insecure_channel(target) as channel:
        status = _call(channel, target, "GetFunctionStatus", messages.FunctionStatus, seconds)
        try:
            metrics = _call(channel, target, "GetMetrics", messages.MetricsData, seconds)
        except (TimeoutError, ConnectionError):  # a program that counts, but serves no metrics
            metrics = messages.MetricsData()
    system = (*status.latestSystemExceptions, *status.latestSourceExceptions, *status.latestSinkExceptions)
    return InstanceStats(
        received=status.numReceived,
        processed=status.numSuccessfullyProcessed,
        user_exceptions=status.numUserExceptions,
        system_exceptions=status.numSystemExceptions + status.numSourceExceptions + status.numSinkExceptions,
        average_latency_ms=status.averageLatency,
        last_invocation_ms=status.lastInvocationTime,
        latest_user_exceptions=_infos(status.latestUserExceptions),
        latest_system_exceptions=_infos(system),
        last_minute=MinuteStats(
            metrics.receivedTotal_1min,
            metrics.processedSuccessfullyTotal_1min,
            metrics.userExceptionsTotal_1min,
            metrics.systemExceptionsTotal_1min,
            metrics.avgProcessLatency_1min,
        ),
        user_metrics={name: value for name, value in metrics.userMetrics.items() if not math.isnan(value)},
        source_exceptions=status.numSourceExceptions,
        sink_exceptions=status.numSinkExceptions,
        latest_source_exceptions=_infos(status.latestSourceExceptions),
        latest_sink_exceptions=_infos(status.latestSinkExceptions),
    )


def _infos(exceptions: Any) -> tuple[tuple[str, int], ...]:
    return tuple((info.exceptionString, info.msSinceEpoch) for info in exceptions)


def check_health(port: int, *, host: str = "127.0.0.1", seconds: float = _RPC_SECONDS) -> bool:
    """Whether the instance answers a health check in time."""
    try:
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            reply = _call(channel, f"{host}:{port}", "HealthCheck", messages.HealthCheckResult, seconds)
        return bool(reply.success)
    except (TimeoutError, ConnectionError):
        return False


class HealthLine:
    """A lasting connection to one instance, for whoever asks it again and again."""

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        # An instance that is not up yet must be found soon after it is.
        backoff = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))
        # All lines to one port would share one connection otherwise, whoever listens there now.
        options = (*backoff, ("grpc.use_local_subchannel_pool", 1))
        self._channel = grpc.insecure_channel(f"{host}:{port}", options=options)
        self._check: Any = self._channel.unary_unary(
            f"/{messages.SERVICE}/HealthCheck",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=messages.HealthCheckResult.FromString,
        )

    def ask(self, seconds: float) -> Any:
        """A future of ``HealthCheckResult``, or of the failure when there is no answer in time. Does not wait."""
        return self._check.future(messages.Empty(), timeout=seconds)

    def close(self) -> None:
        self._channel.close()


def _call(channel: Any, target: str, method: str, reply: Any, seconds: float) -> Any:
    call: Any = channel.unary_unary(
        f"/{messages.SERVICE}/{method}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=reply.FromString,
    )
    try:
        return call(messages.Empty(), timeout=seconds)
    except grpc.RpcError as error:
        code = error.code()
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise TimeoutError(f"{target} did not answer {method} within {seconds:g} s") from None
        raise ConnectionError(f"{target}: {method}: {code.name}") from None
