"""What a deleted function leaves with the brokers, whichever worker is asked to delete it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import FUNCTIONS, Node, await_spread
from tests.standalone.standalone import Standalone

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

WORKERS = {"worker-0", "worker-1"}


class Brokers:
    """What the brokers' admin API tells of topics."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/admin/v2", timeout=30)

    def make(self, topic: str, partitions: int = 0) -> None:
        path = f"/{topic.replace('://', '/')}"
        if partitions:
            self.http.put(f"{path}/partitions", json=partitions).raise_for_status()
        else:
            self.http.put(path).raise_for_status()

    def subscriptions(self, topic: str) -> list[str]:
        found = self.http.get(f"/{topic.replace('://', '/')}/subscriptions")
        assert found.status_code == 200, found.text
        names: list[str] = found.json()
        return names


@pytest.fixture
def brokers(pulsar_standalone: Standalone) -> Iterator[Brokers]:
    found = Brokers(pulsar_standalone.admin_url)
    yield found
    found.http.close()


def config(**more: Any) -> dict[str, Any]:
    return {
        "className": "samples.Exclaim",
        "runtime": "PYTHON",
        "resources": {"cpu": 0.1, "ram": 64 << 20},
        **more,
    }


def test_the_subscriptions_of_a_deleted_function_are_gone_unless_they_are_to_stay(
    cluster: Callable[..., list[Node]], topic: Callable[[str], str], brokers: Brokers
) -> None:
    plain, parts, kept = topic("plain"), topic("parts"), topic("kept")
    brokers.make(plain)
    brokers.make(parts, partitions=2)
    brokers.make(kept)
    nodes = cluster(2)
    nodes[0].register("gone", **config(inputs=[plain, parts], parallelism=2))
    nodes[0].register("stays", **config(inputs=[kept], subName="my sub/ü", cleanupSubscription=False))
    nodes[0].register("named", **config(inputs=[kept], subName="other sub/ü"))
    await_spread(nodes[0], {"gone": 2, "stays": 1, "named": 1}, WORKERS)
    assert set(nodes[0].assignments().values()) == WORKERS
    assert brokers.subscriptions(plain) == brokers.subscriptions(parts) == ["public/default/gone"]
    assert set(brokers.subscriptions(kept)) == {"my sub/ü", "other sub/ü"}

    for number, name in enumerate(("gone", "stays", "named")):  # whoever is asked
        answer = nodes[number % 2].http.delete(f"{FUNCTIONS}/{name}")
        assert answer.status_code == 204, answer.text

    assert brokers.subscriptions(plain) == brokers.subscriptions(parts) == []
    assert brokers.subscriptions(kept) == ["my sub/ü"]


def test_a_pattern_takes_its_subscription_from_every_topic_of_the_namespace(
    cluster: Callable[..., list[Node]], topic: Callable[[str], str], brokers: Brokers
) -> None:
    first, second = topic("pattern-first"), topic("pattern-second")
    for each in (first, second):
        brokers.make(each)
    (node,) = cluster(1)
    mark = first.rpartition("-")[2]
    node.register("pattern", **config(topicsPattern=f"persistent://public/default/pattern-.*-{mark}"))
    await_spread(node, {"pattern": 1}, {"worker-0"})
    assert brokers.subscriptions(first) == brokers.subscriptions(second) == ["public/default/pattern"]

    assert node.http.delete(f"{FUNCTIONS}/pattern").status_code == 204

    assert brokers.subscriptions(first) == brokers.subscriptions(second) == []


def test_a_subscription_that_somebody_else_reads_stays_and_the_function_is_deleted(
    cluster: Callable[..., list[Node]], topic: Callable[[str], str], brokers: Brokers
) -> None:
    brokers.make(topic("in"))
    (node,) = cluster(1)
    for name in ("one", "two"):
        node.register(name, **config(inputs=[topic("in")], subName="shared"))
    await_spread(node, {"one": 1, "two": 1}, {"worker-0"})

    assert node.http.delete(f"{FUNCTIONS}/one").status_code == 204

    assert node.functions() == ["two"]
    assert brokers.subscriptions(topic("in")) == ["shared"]
    assert node.daemon is not None
    told = node.daemon.await_err("stays: ")
    assert f"public/default/one: subscription shared of {topic('in')} stays: " in told
