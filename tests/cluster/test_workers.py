"""Several workers share the functions, whoever of them dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.function import parse_function_config
from tests.channel import Channel
from tests.cluster.conftest import FUNCTIONS, Node, await_spread
from tests.cluster.doubles import Doubles
from tests.standalone.standalone import Standalone
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

Cluster = Callable[..., list[Node]]
NAMES = {"worker-0", "worker-1", "worker-2"}

MOST_SECONDS_TWICE = 15.0
"""The grace of an instance that stops, and what its worker may take to read that it has moved."""


def config(topic: Callable[[str], str], name: str, parallelism: int) -> dict[str, Any]:
    return {
        "className": "samples.Exclaim",
        "inputs": [topic(f"{name}-in")],
        "output": topic(f"{name}-out"),
        "runtime": "PYTHON",
        "parallelism": parallelism,
        "subscriptionPosition": "Earliest",
        "resources": {"cpu": 0.1, "ram": 64 << 20},
    }


def test_every_function_keeps_its_instances_and_its_messages_whoever_is_killed(
    cluster: Cluster, topic: Callable[[str], str], pulsar_standalone: Standalone
) -> None:
    nodes = cluster(3)
    functions = {"one": 20, "two": 20, "three": 20}
    client = pulsar.Client(pulsar_standalone.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    channels = []
    for number, (name, parallelism) in enumerate(functions.items()):
        wanted = config(topic, name, parallelism)
        nodes[number].register(name, **wanted)  # whoever is asked, the leader writes it
        text = {"name": name, "py": "samples.py", **{key: wanted[key] for key in ("className", "inputs", "output")}}
        channels.append(Channel(client, parse_function_config(parse_document(str(text)))))
    sent: list[str] = []

    def send(mark: str) -> None:
        texts = [f"{mark}-{number}" for number in range(200)]
        for channel in channels:
            channel.send(texts)
        sent.extend(texts)

    spread = Counter(await_spread(nodes[0], functions, NAMES).values())
    assert max(spread.values()) - min(spread.values()) <= 1
    leader = next(node for node in nodes if node.name == nodes[0].leader())
    follower = next(node for node in nodes if node is not leader)

    with Doubles(pulsar_standalone.admin_url, [topic(f"{name}-in") for name in functions]) as doubles:
        send("before")
        follower.kill()
        send("one gone")
        await_spread(leader, functions, NAMES - {follower.name})

        leader.kill()
        send("leader gone")
        (last,) = [node for node in nodes if node not in (leader, follower)]
        await_spread(last, functions, {last.name})
        assert last.leader() == last.name

        for node in (leader, follower):
            node.start()
            node.await_up()
        send("all back")
        assert until(lambda: {node.leader() for node in nodes}, lambda seen: len(seen) == 1 and "" not in seen)
        assert last.http.put("/admin/v2/worker/rebalance").status_code == 204
        spread = Counter(await_spread(follower, functions, NAMES).values())
        assert max(spread.values()) - min(spread.values()) <= 1
    assert doubles.looks > 20
    assert doubles.longest_seconds <= MOST_SECONDS_TWICE
    print(f"an instance ran twice for {doubles.longest_seconds:.1f} s at the most, in {doubles.looks} looks")

    for channel in channels:
        channel.await_all((f"{text}!" for text in sent), seconds=90)
        channel.close()
    client.close()


def test_a_drained_worker_is_left_and_a_deleted_function_is_gone_everywhere(
    cluster: Cluster, topic: Callable[[str], str]
) -> None:
    nodes = cluster(2)
    names = {node.name for node in nodes}
    nodes[0].register("f", **config(topic, "f", 4))
    assert set(await_spread(nodes[1], {"f": 4}, names).values()) == names

    assert nodes[1].http.put("/admin/v2/worker/drain").status_code == 204
    await_spread(nodes[0], {"f": 4}, {nodes[0].name})
    leader = next(node for node in nodes if node.name == nodes[0].leader())
    drained = leader.get(f"/admin/v2/worker/leader/drain?workerId={nodes[1].name}")
    assert drained == {"status": "SUCCESS", "lastError": ""}
    assert leader.http.put("/admin/v2/worker/leader/drain?workerId=nobody").status_code == 400

    follower = next(node for node in nodes if node is not leader)
    assert (
        follower.http.put(f"{FUNCTIONS}/f", files={"functionConfig": (None, '{"parallelism": 2}')}).status_code == 204
    )
    assert follower.get(f"{FUNCTIONS}/f")["parallelism"] == 2
    await_spread(leader, {"f": 2}, {nodes[0].name})
    assert follower.http.delete(f"{FUNCTIONS}/f").status_code == 204
    for node in nodes:
        until(node.functions, lambda found: found == [])
        until(node.assignments, lambda found: found == {})


def test_what_is_asked_of_one_worker_is_answered_for_all(cluster: Cluster, topic: Callable[[str], str]) -> None:
    nodes = cluster(2)
    names = {node.name for node in nodes}
    for node in nodes:
        until(node.members, lambda seen: seen == names)
    nodes[0].register("f", **config(topic, "f", 2))
    owners = await_spread(nodes[0], {"f": 2}, names)
    leads = {node.name: "pulsar_function_worker_is_leader" in node.http.get("/metrics").text for node in nodes}
    assert leads == {name: name == nodes[0].leader() for name in names}
    for node in nodes:
        told = {
            each["instanceId"]: each["status"]["workerId"] for each in node.get(f"{FUNCTIONS}/f/status")["instances"]
        }
        assert told == {0: owners["public/default/f:0"], 1: owners["public/default/f:1"]}
        for number in (0, 1):  # a redirect leads to the worker that runs it
            assert node.get(f"{FUNCTIONS}/f/{number}/status")["workerId"] == told[number]
        assert node.http.post(f"{FUNCTIONS}/f/trigger", files={"data": (None, "hi")}).text == "hi!"
    stats = nodes[0].get(f"{FUNCTIONS}/f/stats")
    assert stats["receivedTotal"] == sum(each["metrics"]["receivedTotal"] for each in stats["instances"]) == 2
    assert nodes[1].http.post(f"{FUNCTIONS}/f/restart").status_code == 204
    restarts = until(
        lambda: [each["status"]["numRestarts"] for each in nodes[0].get(f"{FUNCTIONS}/f/status")["instances"]],
        lambda seen: seen == [1, 1],
    )
    assert restarts == [1, 1]
    assert nodes[1].http.post(f"{FUNCTIONS}/f/1/stop").status_code == 204
    until(lambda: nodes[0].running("f"), lambda running: running == 1)
