"""How many messages wait for each function, as the brokers count them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from pulsar_runtimes.metadata.admin_client import AdminError
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import ConsumerSpec, FunctionSpec, SourceSpec
from pulsar_runtimes.service.backlog import Backlogs
from pulsar_runtimes.testing import function_spec
from tests.waiting import until

PLACE = "/admin/v2/persistent/public/default"
NAME = "public/default/f"


class Brokers:
    """Has the documents at these paths, or fails as they say."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found = found
        self.asked: list[str] = []

    def get(self, path: str) -> Any:
        self.asked.append(path)
        answer = self.found.get(path, AdminError(404, "no topic"))
        if isinstance(answer, Exception):
            raise answer
        return answer


def reading(*topics: str, pattern: str = "") -> FunctionSpec:
    specs = {f"persistent://public/default/{topic}": ConsumerSpec() for topic in topics}
    if pattern:
        specs[f"persistent://public/default/{pattern}"] = ConsumerSpec(is_regex_pattern=True)
    return function_spec(name="f", source=SourceSpec(input_specs=specs))


def stats(count: int, name: str = NAME) -> dict[str, Any]:
    return {"subscriptions": {name: {"msgBacklog": count}, "another": {"msgBacklog": 1000}}}


@pytest.fixture
def known() -> Iterator[Callable[[FunctionSpec, Brokers | None], Backlogs]]:
    """``known(function, brokers)`` are started backlogs."""
    with ExitStack() as open_:

        def start(function: FunctionSpec, brokers: Brokers | None) -> Backlogs:
            backlogs = Backlogs(brokers, lambda: [function], period_seconds=0.02)
            open_.callback(backlogs.stop)
            backlogs.start()
            return backlogs

        yield start


def await_rounds(backlogs: Backlogs, brokers: Brokers, path: str) -> None:
    """Until ``path`` was asked for some more times, while somebody looks."""

    def count() -> int:
        backlogs.backlogs()
        return brokers.asked.count(path)

    before = count()
    until(count, lambda now: now > before + 3)


Known = Callable[[FunctionSpec, Brokers | None], Backlogs]


def test_it_is_the_sum_over_the_inputs_and_partitions_are_asked_for_at_once(known: Known) -> None:
    function = reading("in", "parts", "gone")
    partitioned = f"{PLACE}/parts/partitioned-stats?perPartition=false"
    brokers = Brokers({f"{PLACE}/in/stats": stats(3), partitioned: stats(4)})
    backlogs = known(function, brokers)
    until(backlogs.backlogs, lambda seen: seen == {function.key: 7})
    await_rounds(backlogs, brokers, partitioned)
    assert brokers.asked.count(f"{PLACE}/parts/stats") == 1


def test_a_pattern_means_the_topics_that_it_fits(known: Known) -> None:
    function = reading(pattern="in-.*")
    names = ["in-a", "in-b-partition-0", "in-b-partition-1", "out"]
    found: dict[str, Any] = {PLACE: [f"persistent://public/default/{name}" for name in names]}
    found |= {f"{PLACE}/{name}/stats": stats(1) for name in names}
    backlogs = known(function, Brokers(found))
    until(backlogs.backlogs, lambda seen: seen == {function.key: 3})


@pytest.mark.parametrize("pattern", ["(a+)+b", ".*.*.*.*b", "in-(one|two)", "in-[0-9]+"])
def test_an_intricate_pattern_is_never_tried(known: Known, pattern: str) -> None:
    function = reading("in", pattern=pattern)
    brokers = Brokers({f"{PLACE}/in/stats": stats(1)})
    until(known(function, brokers).backlogs, lambda seen: seen == {function.key: 1})
    assert PLACE not in brokers.asked


@pytest.mark.parametrize("answer", [MetadataError("nobody answers"), AdminError(401, "who"), stats(1, "another"), []])
def test_what_no_broker_tells_is_not_known(known: Known, answer: Any) -> None:
    brokers = Brokers({f"{PLACE}/in/stats": answer})
    backlogs = known(reading("in"), brokers)
    await_rounds(backlogs, brokers, f"{PLACE}/in/stats")
    assert backlogs.backlogs() == {}


def test_without_an_admin_api_nothing_is_known(known: Known) -> None:
    assert known(reading("in"), None).backlogs() == {}
