"""An instance's counters as Prometheus metrics, under the reference's names and labels.

Collected when somebody scrapes; the message path only adds to plain numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import InstanceSpec

from .stats import Stats

_LABELS = ("tenant", "namespace", "name", "instance_id", "cluster", "fqfn")


class StatsCollector:
    """Yields one instance's metrics at each scrape."""

    def __init__(self, stats: Stats, spec: InstanceSpec) -> None:
        function = spec.function
        self._stats = stats
        self._labels = (
            function.tenant,
            f"{function.tenant}/{function.namespace}",
            function.name,
            str(spec.instance_id),
            spec.cluster_name,
            str(function.key),
        )

    def collect(self) -> Iterator[Any]:
        stats, total, minute = self._stats, self._stats.total(), self._stats.last_minute()
        counters = (
            ("received", "received", total.received, minute.received),
            ("processed_successfully", "processed successfully", total.processed, minute.processed),
            ("system_exceptions", "system exceptions", total.system_exceptions, minute.system_exceptions),
            ("user_exceptions", "user exceptions", total.user_exceptions, minute.user_exceptions),
        )
        for name, words, count, recent in counters:
            yield self._counter(name, f"Messages {words}" if "exc" not in name else f"Number of {words}", count)
            yield self._counter(f"{name}_1min", f"The same of the running minute: {words}", recent)
        yield self._summary("process_latency_ms", total.latency_count, total.latency_ms)
        yield self._summary("process_latency_ms_1min", minute.latency_count, minute.latency_ms)
        last = GaugeMetricFamily("pulsar_function_last_invocation", "When the function was last called", labels=_LABELS)
        last.add_metric(self._labels, stats.last_invocation * 1000)
        yield last
        yield self._exceptions("user_exception", stats.shown_exceptions(stats.latest_user_exceptions))
        yield self._exceptions("system_exception", stats.shown_exceptions(stats.latest_system_exceptions))
        own = SummaryMetricFamily(
            "pulsar_function_user_metric", "Metrics the function records itself", labels=(*_LABELS, "metric")
        )
        for metric, (value, observations) in tuple(stats.user_metrics.items()):
            own.add_metric((*self._labels, metric), count_value=observations, sum_value=value)
        yield own

    def _counter(self, name: str, words: str, value: int) -> Any:
        family = CounterMetricFamily(f"pulsar_function_{name}", words, labels=_LABELS)
        family.add_metric(self._labels, value, created=self._stats.started)
        return family

    def _summary(self, name: str, count: int, total: float) -> Any:
        family = SummaryMetricFamily(f"pulsar_function_{name}", "Time spent in the function", labels=_LABELS)
        family.add_metric(self._labels, count_value=count, sum_value=total)
        return family

    def _exceptions(self, name: str, infos: Any) -> Any:
        family = GaugeMetricFamily(
            f"pulsar_function_{name}", "Exceptions of the last minute, five at most", labels=(*_LABELS, "error")
        )
        for error in {info.text.strip().splitlines()[-1]: None for info in infos if info.text.strip()}:
            family.add_metric((*self._labels, error), 1)
        return family


def build_registry(stats: Stats, spec: InstanceSpec) -> CollectorRegistry:
    """A registry that holds nothing but this instance's metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatsCollector(stats, spec))
    return registry


def metrics_text(stats: Stats, spec: InstanceSpec) -> str:
    """The metrics as the text that a scrape would get."""
    return generate_latest(build_registry(stats, spec)).decode()


def serve_metrics(stats: Stats, spec: InstanceSpec, address: str) -> tuple[Any, int]:
    """Serve the metrics over HTTP on ``spec.metrics_port`` (0: a free one); the server and its port.

    ``LaunchError`` when the port is taken.
    """
    try:
        server, _ = start_http_server(spec.metrics_port, address, build_registry(stats, spec))
    except OSError as error:
        place = f"{address}:{spec.metrics_port}"
        raise LaunchError(f"the metrics server cannot listen on {place}: {error.strerror}") from None
    return server, int(server.server_port)
