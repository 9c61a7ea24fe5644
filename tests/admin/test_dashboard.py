"""The Grafana dashboard asks for metrics and labels that a worker has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.admin.conftest import Api
from tests.waiting import until

DASHBOARD = Path(__file__).parents[2] / "conf" / "grafana-dashboard.json"
FAILING = """
class Picky:
    def deserialize(self, data):
        if data == b"unreadable":
            raise TypeError("cannot be read")
        return data.decode()

    def serialize(self, value):
        return value.encode()

class Exclaim:
    def process(self, input, context):
        if input == "bad":
            raise ValueError("not today")
        return input
"""


def queries() -> Iterator[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def labels_of(query: str) -> set[str]:
    """The labels that a query matches, groups by, or answers."""
    groups = [names for kind in re.findall(r"by \(([^)]*)\)", query) for names in kind.split(",")]
    answered = re.findall(r"label_values\(.*, (\w+)\)", query)
    return {name.strip() for name in [*re.findall(r"(\w+)=~", query), *groups, *answered]}


def samples_of(text: str) -> Mapping[str, set[str]]:
    """Each sample's name and its labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.broker
def test_each_metric_and_label_is_there(
    api: Api, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an instance that had both kinds of exceptions: only then the page has them."""
    monkeypatch.setattr("pulsar_runtimes.service.trigger._ANSWER_SECONDS", 0.1)
    code = tmp_path / "samples.py"
    code.write_text(FAILING)
    (topic,) = config.pop("inputs")
    api.register("f", code, **config, customSerdeInputs={topic: "samples.Picky"})
    api.await_running("f", 1)
    for data in ("good", "bad", "unreadable"):
        api.post("f", "/trigger", data=data)

    def missing() -> set[str]:
        there = samples_of(api.http.get("/metrics").text)
        named = {name for query in queries() for name in re.findall(r"pulsar_\w+", query)}
        return named - set(there)

    until(missing, lambda names: not names)
    there = samples_of(api.http.get("/metrics").text)
    for query in queries():
        for name in re.findall(r"pulsar_\w+", query):
            assert labels_of(query) <= there[name], query


def test_its_panels_stand_beside_each_other() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    places = [panel["gridPos"] for panel in panels]
    taken = [(at["x"] + right, at["y"] + down) for at in places for right in range(at["w"]) for down in range(at["h"])]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
