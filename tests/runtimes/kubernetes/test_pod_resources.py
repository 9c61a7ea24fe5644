"""Limits and requests of a pod are rounded as by the reference."""

from __future__ import annotations

from typing import Any

import pytest

from pulsar_runtimes.model.function import Resources
from pulsar_runtimes.runtimes.kubernetes.config import KubernetesConfig
from pulsar_runtimes.runtimes.kubernetes.pod_resources import build_pod_resources

GIB = 1 << 30


def _resources(asked: Resources | None, **config: Any) -> tuple[str, str, str, str]:
    found = build_pod_resources(asked, KubernetesConfig(**config))
    limits, requests = found["limits"], found["requests"]
    return limits["cpu"], limits["memory"], requests["cpu"], requests["memory"]


@pytest.mark.parametrize(
    ("cpu", "cores"),
    [(1, "1"), (0.5, "500m"), (1.2345, "1235m"), (2.0005, "2001m"), (0.3335, "334m"), (16, "16"), (0.0005, "1m")],
)
def test_cpu_is_rounded_to_thousandths(cpu: float, cores: str) -> None:
    assert _resources(Resources(cpu, GIB))[0] == cores


def test_cpu_is_never_rounded_to_no_limit() -> None:
    assert _resources(Resources(0.0004, GIB))[0] == "1m"
    assert _resources(Resources(0.0004, GIB), strict_reference=True)[0] == "0"


def test_padding_and_ratios_are_applied() -> None:
    values = {"percent_memory_padding": 10, "cpu_over_commit_ratio": 2.0, "memory_over_commit_ratio": 1.5}
    assert _resources(Resources(1, GIB), **values) == ("1", "1181116006", "500m", "787410670")
    odd = {"percent_memory_padding": 7, "cpu_over_commit_ratio": 3.0, "memory_over_commit_ratio": 1.7}
    assert _resources(Resources(0.3335, GIB + 3), **odd) == ("334m", "1148903755", "111m", "675825738")


def test_halves_of_a_byte_are_rounded_up() -> None:
    assert _resources(Resources(1, 50), percent_memory_padding=1)[1] == "51"
    assert _resources(Resources(1, 49), percent_memory_padding=1)[1] == "49"


def test_what_a_function_does_not_say_is_one_core_and_one_gibibyte() -> None:
    usual = ("1", str(GIB), "1", str(GIB))
    assert _resources(None) == usual
    assert _resources(Resources()) == usual


def test_a_ratio_of_zero_is_as_large_as_java_makes_it() -> None:
    strange = _resources(Resources(1, GIB), memory_over_commit_ratio=0.0, cpu_over_commit_ratio=0.0)
    assert strange[3] == str(2**63 - 1)
