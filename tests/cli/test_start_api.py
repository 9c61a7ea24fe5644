"""``pfrun start`` with a ``workerPort``: functions come and go over HTTP, and outlive the worker."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import pytest

from tests.admin.keys import SECRET, base64_text, token
from tests.cli.daemon import Daemon, run_process
from tests.waiting import until

pytestmark = pytest.mark.broker

Start = Callable[..., Daemon]
Write = Callable[[str, str], str]
FUNCTION = "/admin/v3/functions/public/default/f"
CONFIG = {"className": "samples.Exclaim", "inputs": ["in"], "output": "out", "runtime": "PYTHON"}


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def start(daemon: Start, write: Write, port: int) -> Start:
    """``start()`` is a worker that serves the admin API on ``port``."""

    def start(more: str = "") -> Daemon:
        write("worker.yml", f"workerPort: {port}\nfunctionRuntimeFactoryClassName: process\n{more}\n")
        return daemon("start", "--conf", "worker.yml")

    return start


def api(started: Daemon) -> httpx.Client:
    """The API at the address that the worker told."""
    found = re.search(r"admin API at (\S+)", started.await_out("is up"))
    assert found, started.out
    return httpx.Client(base_url=found[1], timeout=30)


def register(client: httpx.Client, code: Path, config: Mapping[str, Any] = CONFIG) -> httpx.Response:
    files: dict[str, Any] = {"functionConfig": (None, json.dumps(config)), "data": (code.name, code.read_bytes())}
    return client.post(FUNCTION, files=files)


def answers(client: httpx.Client, text: str) -> bool:
    """Whether the function works."""
    if client.get(f"{FUNCTION}/status").json().get("numRunning") != 1:
        return False
    return client.post(f"{FUNCTION}/trigger", files={"data": (None, text)}).text == f"{text}!"


def test_packages_with_the_brokers_are_refused_where_the_broker_keeps_none(start: Start) -> None:
    started = start("functionsWorkerEnablePackageManagement: true")
    assert started.wait() == 2
    text = "needs the packages service of a real Apache Pulsar; this broker has none, so it must be false"
    assert f"functionsWorkerEnablePackageManagement: {text}" in started.err
    assert "Traceback" not in started.err


def test_what_is_registered_runs_again_after_the_worker_was_killed(start: Start, place: Path) -> None:
    first = start()
    with api(first) as client:
        assert register(client, place / "samples.py").status_code == 204
        until(lambda: answers(client, "one"))
        first.signal(SIGKILL)
        first.wait()

    second = start()
    with api(second) as client:
        until(lambda: answers(client, "two"))
        assert client.delete(FUNCTION).status_code == 204
    assert second.stop() == 0
    second.assert_nothing_left()

    third = start()
    with api(third) as client:
        assert client.get("/admin/v3/functions/public/default").json() == []


def test_state_is_kept_by_the_embedded_store_when_the_worker_was_killed(start: Start, place: Path) -> None:
    counting = CONFIG | {"className": "samples.CountWords", "parallelism": 2}

    def count(client: httpx.Client, text: str) -> dict[str, int]:
        answer = client.post(f"{FUNCTION}/trigger", files={"data": (None, text)})
        counted: dict[str, int] = json.loads(answer.text) if answer.status_code == 200 and answer.text else {}
        return counted

    first = start()
    with api(first) as client:
        assert register(client, place / "samples.py", counting).status_code == 204
        until(lambda: client.get(f"{FUNCTION}/status").json().get("numRunning"), lambda running: running == 2)
        assert count(client, "a b a") == {"a": 2, "b": 1}
        assert client.get(f"{FUNCTION}/state/a").json() == {"key": "a", "numberValue": 2, "version": 1}
        first.signal(SIGKILL)
        first.wait()

    second = start()
    with api(second) as client:
        # More, where the broker had not written down yet that the message was acknowledged: it is counted again.
        assert client.get(f"{FUNCTION}/state/a").json()["numberValue"] in (2, 4)
        until(lambda: client.get(f"{FUNCTION}/status").json().get("numRunning"), lambda running: running == 2)
        counted = count(client, "a c")
        assert (counted["a"] in (3, 5), counted["c"]) == (True, 1)
        assert client.delete(FUNCTION).status_code == 204
        assert register(client, place / "samples.py", counting).status_code == 204
        assert client.get(f"{FUNCTION}/state/a").json() == {"reason": "key 'a' doesn't exist."}
    assert second.stop() == 0


def test_the_format_of_a_compacted_topic_works_as_well(start: Start, place: Path) -> None:
    with api(start("useCompactedMetadataTopic: true\nfunctionMetadataTopicName: other")) as client:
        register(client, place / "samples.py")
        until(lambda: answers(client, "one"))
        client.delete(FUNCTION)
        assert client.get(FUNCTION).status_code == 404


def test_a_port_that_is_taken_ends_the_start(start: Start, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        refused = start()
        assert refused.wait() == 1
    assert f"127.0.0.1:{port}: the admin API cannot listen there: Address already in use" in refused.err
    assert "Traceback" not in refused.err
    refused.assert_nothing_left()


def test_without_a_worker_port_nothing_listens(daemon: Start) -> None:
    started = daemon("start")
    assert "admin API" not in started.await_out("is up")


@pytest.mark.parametrize("address", ["0.0.0.0", "198.18.0.1"])
def test_without_authentication_only_this_machine_may_ask(address: str, write: Write, port: int) -> None:
    write("worker.yml", f"workerPort: {port}\n")
    refused = run_process("start", "--conf", "worker.yml", "--listen", address)
    assert refused.code == 2
    assert f"authenticationEnabled: must be true, for the admin API to listen on {address}" in refused.err


def test_somebody_may_allow_it_all_the_same(daemon: Start, write: Write, port: int) -> None:
    write("worker.yml", f"workerPort: {port}\n")
    started = daemon("start", "--conf", "worker.yml", "--insecure")
    assert f"admin API at http://0.0.0.0:{port}" in started.await_out("is up")


def test_with_authentication_nobody_is_let_in_without_a_token(daemon: Start, write: Write, port: int) -> None:
    provider = "org.apache.pulsar.broker.authentication.AuthenticationProviderToken"
    keys = {
        "workerPort": port,
        "authenticationEnabled": True,
        "authenticationProviders": [provider],
        "properties": {"tokenSecretKey": f"data:;base64,{base64_text(SECRET)}"},
    }
    write("worker.yml", json.dumps(keys))
    with api(daemon("start", "--conf", "worker.yml", "--listen", "127.0.0.1")) as client:
        listing = "/admin/v3/functions/public/default"
        assert client.get(listing).status_code == 401
        assert client.get(listing, headers={"Authorization": f"Bearer {token('somebody')}"}).json() == []
        assert client.get("/ready").text == "true"


NOBODY = """
pulsarServiceUrl: pulsar://127.0.0.1:1
pulsarWebServiceUrl: http://127.0.0.1:1
initialBrokerReconnectMaxRetries: 3600
"""


def test_one_whose_brokers_are_away_says_so_and_can_be_ended(start: Start, port: int) -> None:
    started = start(NOBODY)
    started.await_err("the brokers are not ready, try 2 of 3601")
    answer = httpx.get(f"http://127.0.0.1:{port}/ready")
    assert answer.json() == {"reason": "this worker is not ready: it awaits the brokers, and the topics of its cluster"}
    assert started.stop() == 0
    assert "SIGTERM: stopping" in started.err
    assert started.out == ""
