"""``pfrun factories``: what is installed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pulsar_runtimes.runtimes.registry import Plugin, PlugPoint
from tests.cli.daemon import Ran

Pfrun = Callable[..., Ran]


def test_the_built_in_runtimes_and_the_one_of_a_third_party_are_listed(pfrun: Pfrun) -> None:
    ran = pfrun("factories", "--output", "json")
    told = json.loads(ran.out)
    found = {row["name"]: row for row in told["runtime_factories"]}
    assert (ran.code, ran.err) == (0, "")
    assert set(found) >= {"kubernetes", "process", "thread", "subprocess"}
    assert found["subprocess"]["distribution"] == "pfrun-subprocess"
    assert found["process"]["languages"] == ["GO", "JAVA", "PYTHON"]
    assert [row["error"] for row in found.values()] == [None] * len(found)
    assert [row["name"] for row in told["brokers"]] == ["pulsar-lite"]


def test_the_table_has_a_line_for_each(pfrun: Pfrun) -> None:
    lines = pfrun("factories").out.splitlines()
    assert lines[0].split() == ["RUNTIME", "FACTORY", "DISTRIBUTION", "LANGUAGES", "CLASS"]
    assert {line.split()[0] for line in lines[1:] if line} >= {
        "kubernetes",
        "process",
        "subprocess",
        "thread",
        "pulsar-lite",
    }


def test_a_runtime_that_cannot_be_imported_is_listed_with_the_reason(
    pfrun: Pfrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Plugin("broken", "pfrun-broken", "1", "gone:Factory", "No module named 'gone'")
    monkeypatch.setattr(PlugPoint, "describe", lambda self: [broken])
    ran = pfrun("factories")
    assert ran.code == 0
    assert "pfrun-broken 1" in ran.out
    assert "cannot be used: No module named 'gone'" in ran.out
    (told, *_) = json.loads(pfrun("factories", "--output", "json").out)["runtime_factories"]
    assert (told["languages"], told["error"]) == ([], "No module named 'gone'")
