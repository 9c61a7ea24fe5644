"""Labels are the reference's values, fit for Kubernetes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pulsar_runtimes.model.function import ComponentType, SinkSpec, SourceSpec
from pulsar_runtimes.runtimes.kubernetes.labels import build_labels, clean_label, component_of, is_label_value
from pulsar_runtimes.testing import function_spec

LONG = "x" * 62


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Default", "default"),
        ("My Team!", "my-team0"),
        ("a_b.c", "a_b.c"),
        ("n:x", "n-x"),
        ("-abc-", "0abc0"),
        ("函数", "00"),
        ("__x__", "0_x_0"),
        ("ÀÉ", "00"),
        ("--x--", "0-x-0"),
        ("", ""),
        ("-", "0"),
        ("\U0001f600a", "0a"),
    ],
)
def test_a_label_is_cleaned_as_by_the_reference(text: str, label: str) -> None:
    assert clean_label(text, strict=True) == label
    assert clean_label(text) == label


def test_a_label_that_is_cut_off_does_not_end_in_a_dash() -> None:
    assert clean_label(f"{LONG}-y", strict=True) == f"{LONG}-"
    assert clean_label(f"{LONG}-y") == f"{LONG}0"


def test_any_text_becomes_a_label_that_kubernetes_takes() -> None:
    draw = random.Random(7)
    for _ in range(3000):
        text = "".join(draw.choices("aZ0-_.: é函\u0130\n\U0001f600", k=draw.randint(0, 80)))
        assert is_label_value(clean_label(text)), text
        assert clean_label(clean_label(text)) == clean_label(text)


@pytest.mark.parametrize(
    ("changes", "component"),
    [
        ({}, "function"),
        ({"component_type": ComponentType.SOURCE}, "source"),
        ({"component_type": ComponentType.UNKNOWN}, "function"),
        ({"component_type": ComponentType.UNKNOWN, "source": SourceSpec()}, "source"),
        ({"component_type": ComponentType.UNKNOWN, "sink": SinkSpec(builtin="kafka")}, "sink"),
        ({"component_type": ComponentType.UNKNOWN, "sink": SinkSpec(class_name="com.example.Sink")}, "sink"),
        (
            {
                "component_type": ComponentType.UNKNOWN,
                "sink": SinkSpec(class_name="org.apache.pulsar.functions.sink.PulsarSink"),
            },
            "function",
        ),
    ],
)
def test_the_component_follows_from_the_details(changes: dict[str, Any], component: str) -> None:
    assert component_of(function_spec(**changes)) == component


def test_labels_of_the_operator_are_cleaned_and_win() -> None:
    labels = build_labels(function_spec(name="F_1"), {"team": "My Team!", "tenant": "Other"})
    assert labels == {
        "component": "function",
        "tenant": "other",
        "namespace": "default",
        "name": "f_1",
        "team": "my-team0",
    }
