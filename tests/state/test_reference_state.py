"""State in BookKeeper: pfrun and Apache Pulsar's own worker answer alike, and see what each other wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pulsar
import pytest

from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.state.registry import open_state_store
from tests.admin.conftest import FUNCTIONS, Api, parts, serve_worker
from tests.admin.test_state import PUTS
from tests.standalone.standalone import Standalone
from tests.waiting import until
from tests.workers import Run

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

Answer = tuple[int, Any]
Ask = Callable[..., Answer]
WORD_COUNT = "org.apache.pulsar.functions.api.examples.WordCountFunction"


@pytest.fixture
def name(topic: Callable[[str], str]) -> str:
    """Of a function that no other test has."""
    return topic("f").rpartition("/")[2]


@pytest.fixture
def config(topic: Callable[[str], str]) -> dict[str, Any]:
    """Of a Python function that counts words."""
    topics = {"inputs": [topic("in")], "output": topic("out")}
    return {"className": "samples.CountWords", "runtime": "PYTHON", **topics}


@pytest.fixture
def java(pulsar_table_service: Standalone) -> Iterator[httpx.Client]:
    """The admin API of Apache Pulsar's own worker."""
    with httpx.Client(base_url=pulsar_table_service.admin_url, timeout=60) as client:
        yield client


@pytest.fixture
def ours(run: Run, tmp_path: Path, pulsar_table_service: Standalone) -> Iterator[Api]:
    """That of a pfrun on the same Pulsar and the same table service."""
    standalone = pulsar_table_service
    keys = {"pulsarServiceUrl": standalone.service_url, "stateStorageServiceUrl": standalone.table_service_url}
    worker = run("process", **keys)
    client = pulsar.Client(standalone.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    with ExitStack() as open_:
        server, service = serve_worker(worker, tmp_path, client, open_)
        http = open_.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60))
        yield Api(http, service)
    client.close()


def asking(http: httpx.Client, name: str) -> Ask:
    """``ask(key)`` reads a state of the function, ``ask(key, **form)`` writes one."""

    def ask(key: str, **form: Any) -> Answer:
        path = f"{FUNCTIONS}/public/default/{name}/state/{key}"
        if form:
            answer = http.post(path, files={"state": (None, json.dumps({"key": key, **form}), "application/json")})
        else:
            answer = http.get(path)
        return answer.status_code, answer.json() if answer.content else None

    return ask


def register_java(java: httpx.Client, home: Path, name: str) -> None:
    config = {"className": WORD_COUNT, "inputs": [f"{name}-in"], "runtime": "JAVA"}
    files = parts(home / "examples" / "api-examples.jar", **config)
    path = f"{FUNCTIONS}/public/default/{name}"
    # "Leader not yet ready" soon after its start.
    until(lambda: java.post(path, files=files).status_code, lambda status: status != 503, seconds=60)
    assert java.get(path).status_code == 200


def test_both_answer_alike_and_see_the_same(
    java: httpx.Client, ours: Api, name: str, pulsar_table_service: Standalone, config: dict[str, Any]
) -> None:
    register_java(java, pulsar_table_service.home, name)
    assert ours.register(name, **config).status_code == 204
    asks = [asking(java, name), asking(ours.http, name)]
    for number, (given, shown) in enumerate(PUTS):
        key = f"k{number}"
        answers = [[ask(key), ask(key, **given), ask(key), asks[1 - asks.index(ask)](key)] for ask in asks]
        for version, (_, put, got, seen) in enumerate(answers):
            assert put == (204, None)
            assert got == seen == (200, {"key": key, **shown, "version": version})
        assert answers[0][0] == (404, {"reason": f"key '{key}' doesn't exist."})
    for ask in asks:
        assert ask("none") == (404, {"reason": "key 'none' doesn't exist."})
    for http in (java, ours.http):
        assert asking(http, "nosuch")("k") == (404, {"reason": "'nosuch' is not found"})
        assert asking(http, "nosuch")("k", stringValue="v") == (404, {"reason": "'nosuch' is not found"})

    ours.await_running(name, 1)
    assert json.loads(ours.post(name, "/trigger", data="a b a").text) == {"a": 2, "b": 1}
    for ask in asks:
        assert ask("a") == (200, {"key": "a", "numberValue": 2, "version": 1})
        assert ask("last") == (200, {"key": "last", "stringValue": "a b a", "version": 0})
    client = pulsar.Client(pulsar_table_service.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    producer = client.create_producer(f"{name}-in", schema=pulsar.schema.StringSchema())
    until(lambda: java.get(f"{FUNCTIONS}/public/default/{name}/status").json()["numRunning"], seconds=60)
    until(lambda: (producer.send("b"), asks[1]("b"))[1], lambda seen: seen[1]["numberValue"] > 1, seconds=60)
    client.close()
    # What a counter is given, the reference forgets without a word.
    assert asks[0]("a", stringValue="v") == (204, None)
    assert asks[1]("a", stringValue="v")[0] == 400
    assert asks[0]("a") == asks[1]("a") == (200, {"key": "a", "numberValue": 2, "version": 1})


def test_a_function_that_is_deregistered_takes_its_table_along(
    ours: Api, name: str, pulsar_table_service: Standalone, config: dict[str, Any]
) -> None:
    for _ in range(2):
        assert ours.register(name, **config).status_code == 204
        ours.await_running(name, 1)
        assert json.loads(ours.post(name, "/trigger", data="a").text) == {"a": 1}
        assert ours.http.delete(ours.path(name)).status_code == 204
    store = open_state_store(pulsar_table_service.table_service_url)
    assert store.get(FunctionKey("public", "default", name), "a") is None
    store.close()
