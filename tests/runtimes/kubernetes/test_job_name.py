"""Job names are the reference's, and what Kubernetes would refuse is told."""

from __future__ import annotations

import random
import re

import pytest

from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.runtimes.kubernetes.job_name import build_job_name, job_name_problems


@pytest.mark.parametrize(
    ("key", "override", "name"),
    [
        (("public", "default", "f1"), "", "pf-public-default-f1"),
        (("public", "default", "F1"), "", "pf-public-default-f1-f356d786"),
        (("Public", "default", "f1"), "", "pf-public-default-f1-749dd62e"),
        (("t", "n", "my_func"), "", "pf-t-n-my-func-bcd8d0ac"),
        (("t", "n", "a.b"), "", "pf-t-n-a.b"),
        (("t", "n:x", "f"), "", "pf-t-n-x-f-fad0263b"),
        (("t", "n", "函数"), "", "pf-t-n----cb642c0b"),
        (("t", "n", "f-"), "", "pf-t-n-f-"),
        (("public", "default", "f1"), "MyJob_1", "myjob-1-c95670b5"),
        (("public", "default", "F1"), "MyJob_1", "myjob-1-c2c08898"),
        (("t", "n", "f-"), "MyJob_1", "myjob-1-d5182636"),
    ],
)
def test_a_job_is_named_as_by_the_reference(key: tuple[str, str, str], override: str, name: str) -> None:
    assert build_job_name(FunctionKey(*key), override) == name


def test_lower_case_is_that_of_unicode() -> None:
    """The Kelvin sign is a plain k then, and a dotted capital I two characters."""
    assert build_job_name(FunctionKey("t", "n", "\u212a")).startswith("pf-t-n-k-")
    assert build_job_name(FunctionKey("t", "n", "\u0130x")).startswith("pf-t-n-i-x-")


@pytest.mark.parametrize(
    ("name", "refused", "strictly"),
    [
        ("pf-t-n-f", False, False),
        ("pf-t-n-f-", True, True),
        ("pf-t-n-f.-x", True, True),
        ("pf-t-n-a.b", True, False),
        ("1st-c95670b5", True, False),
        ("p" * 53, False, False),
        ("p" * 54, True, True),
    ],
)
def test_a_name_that_kubernetes_refuses_is_refused(name: str, refused: bool, strictly: bool) -> None:
    assert bool(list(job_name_problems(name))) is refused
    assert bool(list(job_name_problems(name, strict=True))) is strictly


def test_all_that_is_wrong_with_a_name_is_told() -> None:
    assert len(list(job_name_problems("p" * 60 + "-"))) == 2


def test_any_name_becomes_one_that_differs_only_where_it_may() -> None:
    draw = random.Random(7)
    letters = "aZ09-_.: '$(é函\u0130\U0001f600"
    seen: dict[str, tuple[str, str, str]] = {}
    for _ in range(2000):
        tenant, namespace, function = ("".join(draw.choices(letters, k=draw.randint(1, 8))) for _ in range(3))
        name = build_job_name(FunctionKey(tenant, namespace, function))
        assert re.fullmatch(r"pf-[a-z0-9.-]+", name)
        base = (tenant, namespace, function)
        other = seen.setdefault(name, base)
        assert "-".join(other) == "-".join(base)
