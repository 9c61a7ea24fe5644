"""The status page of one worker shows what all of them run, and what waits for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulsar
import pytest

from tests.admin.browser import browser
from tests.cluster.conftest import FUNCTIONS, Node, await_spread
from tests.standalone.standalone import Standalone
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

OVERVIEW = "/admin/v3/overview"
SECONDS = 60.0


@pytest.fixture
def nodes(cluster: Callable[..., list[Node]], topic: Callable[[str], str]) -> list[Node]:
    """Two workers: function ``both`` has an instance on each, and ``stopped`` has been stopped by somebody."""
    nodes = cluster(2)
    for name, parallelism in (("both", 2), ("stopped", 1)):
        nodes[0].register(
            name,
            className="samples.Exclaim",
            runtime="PYTHON",
            inputs=[topic(name)],
            parallelism=parallelism,
            resources={"cpu": 0.1, "ram": 64 << 20},
        )
    await_spread(nodes[0], {"both": 2, "stopped": 1}, {"worker-0", "worker-1"})
    answer = nodes[0].http.post(f"{FUNCTIONS}/stopped/stop")
    assert answer.status_code == 204, answer.text
    return nodes


def seen_by(node: Node, name: str) -> dict[str, Any]:
    (found,) = [each for each in node.get(OVERVIEW)["functions"] if each["name"] == name]
    function: dict[str, Any] = found
    return function


def test_each_worker_tells_what_all_of_them_run_and_what_waits(
    nodes: list[Node], topic: Callable[[str], str], pulsar_standalone: Standalone
) -> None:
    def is_whole(function: dict[str, Any]) -> bool:
        return all(each["state"] == "running" and each["figures"] for each in function["instances"])

    owners = nodes[0].assignments()
    for node in nodes:
        found = until(lambda node=node: seen_by(node, "both"), is_whole, seconds=SECONDS)  # type: ignore[misc]
        told = {f"public/default/both:{each['instanceId']}": each["workerId"] for each in found["instances"]}
        assert told == {key: owner for key, owner in owners.items() if "both" in key}
        overview = node.get(OVERVIEW)
        workers = {each["workerId"]: each for each in overview["workers"]}
        assert [name for name, each in sorted(workers.items()) if not each["problem"]] == ["worker-0", "worker-1"]
        assert [name for name, each in workers.items() if each["leads"]] == [node.leader()]
        part = node.get(f"{OVERVIEW}?here=true")
        assert {each["workerId"] for function in part["functions"] for each in function["instances"]} == {node.name}

    client = pulsar.Client(pulsar_standalone.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    producer = client.create_producer(topic("stopped"))
    for number in range(5):
        producer.send(str(number).encode())
    client.close()
    for node in nodes:
        until(lambda node=node: seen_by(node, "stopped")["backlog"], lambda count: count == 5, seconds=SECONDS)  # type: ignore[misc]
        assert seen_by(node, "stopped")["instances"][0]["state"] == "stopped"
        assert seen_by(node, "both")["backlog"] == 0


def test_the_page_shows_both_workers_and_one_that_is_gone(nodes: list[Node], tmp_path: Path) -> None:
    def rows(driver: Any) -> dict[str, list[str]]:
        script = """
            return [...document.querySelectorAll('tbody tr:not(.more)')].map(
                (row) => [...row.children].map((cell) => cell.innerText));
        """
        return {row[0].rpartition("/")[2]: row for row in driver.execute_script(script)}

    def workers(driver: Any) -> str:
        """What the list says; nothing while it is hidden."""
        script = "const list = document.querySelector('#workers'); return list.hidden ? '' : list.innerText"
        text: str = driver.execute_script(script)
        return text

    with browser(tmp_path / "profile") as driver:
        driver.get(str(nodes[0].http.base_url))
        shown = until(
            lambda: rows(driver), lambda seen: seen.get("both", ["", ""])[1] == "2 of 2 running", seconds=SECONDS
        )
        assert shown["stopped"][1] == "stopped"
        until(lambda: rows(driver)["both"][4], lambda text: text == "0", seconds=SECONDS)
        told = until(lambda: workers(driver), lambda text: "not asked" not in text, seconds=SECONDS)
        assert re.search(r"worker-0 \(this one(, leads)?\): \d running", told), told
        assert re.search(r"worker-1( \(leads\))?: \d running", told), told

        nodes[1].kill()
        until(lambda: workers(driver), lambda text: not text, seconds=SECONDS)
        until(lambda: rows(driver)["both"][1], lambda text: text == "2 of 2 running", seconds=SECONDS)
