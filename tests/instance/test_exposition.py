"""An instance's metrics page, under the reference's names and labels."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pulsar_runtimes.instance.exposition import build_registry, serve_metrics
from pulsar_runtimes.instance.stats import Stats
from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.testing import instance_spec

LABELS = {
    "tenant": "public",
    "namespace": "public/default",
    "name": "exclaim",
    "instance_id": "3",
    "cluster": "standalone",
    "fqfn": "public/default/exclaim",
}
SPEC = instance_spec(instance_id=3)
ALWAYS = {
    "pulsar_function_received_total": 5,
    "pulsar_function_received_1min_total": 5,
    "pulsar_function_processed_successfully_total": 4,
    "pulsar_function_processed_successfully_1min_total": 4,
    "pulsar_function_system_exceptions_total": 0,
    "pulsar_function_system_exceptions_1min_total": 0,
    "pulsar_function_user_exceptions_total": 1,
    "pulsar_function_user_exceptions_1min_total": 1,
    "pulsar_function_process_latency_ms_count": 4,
    "pulsar_function_process_latency_ms_sum": 500,
    "pulsar_function_process_latency_ms_1min_count": 4,
    "pulsar_function_process_latency_ms_1min_sum": 500,
    "pulsar_function_last_invocation": 1_700_000_000_123,
}
"""The sample names that the reference's Python instance has."""


def some_stats() -> Stats:
    stats = Stats()
    stats.received, stats.processed = 5, 4
    stats.latency_seconds, stats.latency_count = 0.5, 4
    stats.last_invocation = 1_700_000_000.123
    stats.record_user_exception(ValueError('a "bad" \\ one\nin two lines'))
    stats.record_metric("size", 2.5)
    stats.record_metric("size", 1.0)
    return stats


def samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def page(stats: Stats) -> dict[str, list[tuple[dict[str, str], float]]]:
    return samples(generate_latest(build_registry(stats, SPEC)).decode())


def test_names_labels_and_values_are_the_reference_s() -> None:
    shown = page(some_stats())
    assert {name: shown[name] for name in ALWAYS} == {name: [(LABELS, value)] for name, value in ALWAYS.items()}


def test_there_is_nothing_that_the_reference_does_not_have() -> None:
    shown = {name for name in page(some_stats()) if not name.endswith("_created")}
    own = {"pulsar_function_user_metric_count", "pulsar_function_user_metric_sum", "pulsar_function_user_exception"}
    assert shown == ALWAYS.keys() | own


def test_a_metric_of_the_function_has_its_name_as_a_label() -> None:
    shown = page(some_stats())
    assert shown["pulsar_function_user_metric_count"] == [(LABELS | {"metric": "size"}, 2)]
    assert shown["pulsar_function_user_metric_sum"] == [(LABELS | {"metric": "size"}, 3.5)]


@pytest.mark.parametrize("kind", ["user", "system"])
def test_an_exception_is_a_gauge_with_its_last_line(kind: str) -> None:
    stats = Stats()
    record = stats.record_user_exception if kind == "user" else stats.record_system_exception
    for text in ("one", "one", "two"):
        record(ValueError(text))
    shown = page(stats)[f"pulsar_function_{kind}_exception"]
    assert shown == [(LABELS | {"error": f"ValueError: {text}"}, 1) for text in ("one", "two")]


def test_an_exception_with_difficult_characters_does_not_break_the_page() -> None:
    assert page(some_stats())["pulsar_function_user_exception"] == [(LABELS | {"error": "in two lines"}, 1)]


def test_each_scrape_tells_the_numbers_of_the_moment() -> None:
    stats = Stats()
    registry = build_registry(stats, SPEC)
    seen = []
    for stats.received in (1, 2):
        seen.append(samples(generate_latest(registry).decode())["pulsar_function_received_total"][0][1])
    assert seen == [1, 2]


@contextmanager
def served(port: int = 0) -> Iterator[int]:
    spec = instance_spec(instance_id=3, metrics_port=port)
    server, bound = serve_metrics(some_stats(), spec, "127.0.0.1")
    yield bound
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_the_page_is_served_on_a_free_port(path: str) -> None:
    with served() as port, urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        assert "pulsar_function_received_total" in samples(answer.read().decode())


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = rf"^the metrics server cannot listen on 127.0.0.1:{port}: Address already in use$"
        with pytest.raises(LaunchError, match=message), served(port):
            pass
