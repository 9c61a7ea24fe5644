"""One page of the metrics of all instances."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from pulsar_runtimes.service.metrics import merge_pages

PAGE = """# HELP pulsar_function_received_total Messages received
# TYPE pulsar_function_received_total counter
pulsar_function_received_total{{instance_id="{0}"}} {0}.0
# TYPE jvm_threads gauge
jvm_threads 7.0
# HELP pulsar_function_process_latency_ms Time
# TYPE pulsar_function_process_latency_ms summary
pulsar_function_process_latency_ms_count{{instance_id="{0}"}} 1.0
pulsar_function_process_latency_ms_sum{{instance_id="{0}"}} 2.0
"""


def test_families_stand_together_and_are_told_once() -> None:
    merged = merge_pages([PAGE.format(0), "", PAGE.format(1)])
    assert merged.count("# TYPE") == 2
    assert merged.count("# HELP") == 2
    families = {family.name: family.samples for family in text_string_to_metric_families(merged)}
    assert [sample.labels["instance_id"] for sample in families["pulsar_function_received"]] == ["0", "1"]
    assert len(families["pulsar_function_process_latency_ms"]) == 4


def test_what_has_no_label_of_an_instance_is_left_out() -> None:
    assert "jvm" not in merge_pages([PAGE.format(0)])


def test_no_page_is_an_empty_page() -> None:
    assert merge_pages(["", ""]) == ""
