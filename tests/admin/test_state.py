"""State over the admin API, kept by real functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.state.base import StateStore
from pulsar_runtimes.state.sqlite_store import SqliteStateStore, sqlite_url
from tests.admin.conftest import FUNCTIONS, Api, Kept
from tests.waiting import until

pytestmark = pytest.mark.broker

Config = dict[str, Any]
KEY = FunctionKey("public", "default", "f")
EIGHT_ZERO = "\0" * 7


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "state.db")


@pytest.fixture
def store(url: str) -> Any:
    store = SqliteStateStore.from_url(url)
    yield store
    store.close()


@pytest.fixture
def api(serve: Callable[..., Api], url: str, config: Config) -> Api:
    """A worker with state, and a function called f that is registered and stopped."""
    api = serve(stateStorageServiceUrl=url)
    assert api.register("f", **config).status_code == 204
    api.post("f", "/stop")
    return api


def put(api: Api, key: str, /, name: str = "f", **form: Any) -> httpx.Response:
    body = json.dumps({"key": key, **form})
    return api.http.post(api.path(name, f"/state/{key}"), files={"state": (None, body, "application/json")})


def got(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def test_without_a_store_it_is_503(serve: Callable[..., Api], config: Config) -> None:
    api = serve()
    api.register("f", **config)
    reason = {"reason": "State storage client is not done initializing. Please try again in a little while."}
    for answer in (
        api.get("f", "/state/k"),
        put(api, "k", stringValue="v"),
        api.get("nosuch", "/state/k"),
        put(api, "k", "nosuch", stringValue="v"),
    ):
        assert got(answer) == (503, reason)
    assert api.http.delete(api.path("f")).status_code == 204


def test_a_store_that_cannot_be_used_is_told(serve: Callable[..., Api]) -> None:
    api = serve(stateStorageServiceUrl="redsi://here")
    status, body = got(api.get("f", "/state/k"))
    assert status == 503
    assert body["reason"].startswith("stateStorageServiceUrl: no state store named 'redsi'; installed: ")


PUTS: list[tuple[Config, Config]] = [
    ({"stringValue": "v"}, {"stringValue": "v"}),
    ({"stringValue": ""}, {"stringValue": ""}),
    ({"stringValue": "\u00e9"}, {"stringValue": "\u00e9"}),
    ({"stringValue": "12345678"}, {"stringValue": "12345678", "numberValue": 3544952156018063160}),
    ({"numberValue": 7}, {"stringValue": f"{EIGHT_ZERO}\7", "numberValue": 7}),
    ({"numberValue": -1}, {"byteValue": "//////////8=", "numberValue": -1}),
    ({"byteValue": "/wA="}, {"byteValue": "/wA="}),
    ({"byteValue": "/wAAAAAAAAA="}, {"byteValue": "/wAAAAAAAAA=", "numberValue": -72057594037927936}),
    ({"byteValue": "", "stringValue": "x", "numberValue": 3}, {"stringValue": "x"}),
    ({"byteValue": "YQ==", "stringValue": "x", "numberValue": 3}, {"stringValue": "a"}),
    ({"stringValue": "x", "version": 99}, {"stringValue": "x"}),
    ({"stringValue": None, "byteValue": None, "numberValue": 0}, {"stringValue": "\0" * 8, "numberValue": 0}),
]
"""What is put, and what is shown then, as Apache Pulsar 4.0.8 does."""


def test_what_is_put_is_shown(api: Api) -> None:
    for number, (given, shown) in enumerate(PUTS):
        key = f"k{number}"
        answer = put(api, key, **given)
        assert (answer.status_code, answer.content) == (204, b""), given
        answer = api.get("f", f"/state/{key}")
        assert got(answer) == (200, {"key": key, **shown, "version": 0})
        assert list(answer.json()) == ["key", *shown, "version"]
        put(api, key, **given)
        assert api.get("f", f"/state/{key}").json()["version"] == 1


def test_a_key_may_be_any_text(api: Api) -> None:
    for key in ("a%20b", "a%2Fb", "%C3%A9", "a.b"):
        text = unquote(key)
        body = json.dumps({"key": text, "stringValue": "v"})
        assert api.post("f", f"/state/{key}", state=body).status_code == 204
        assert api.get("f", f"/state/{key}").json() == {"key": text, "stringValue": "v", "version": 0}


def test_what_is_not_there_is_404(api: Api) -> None:
    assert got(api.get("f", "/state/none")) == (404, {"reason": "key 'none' doesn't exist."})
    assert got(api.get("nosuch", "/state/k")) == (404, {"reason": "'nosuch' is not found"})
    assert got(put(api, "k", "nosuch", stringValue="v")) == (404, {"reason": "'nosuch' is not found"})
    assert api.http.delete(api.path("f", "/state/k")).status_code == 405
    assert api.http.put(api.path("f", "/state/k")).status_code == 405


REFUSED = [
    ('{"key": "other", "stringValue": "v"}', "Path key doesn't match key in json"),
    ('{"stringValue": "v"}', "Path key doesn't match key in json"),
    ('{"key": "k"}', "Invalid state value"),
    ('{"key": "k", "byteValue": ""}', "Invalid state value"),
    ("{nope", "state: is not valid JSON ("),
    ("[" * 5000, "state: is not valid JSON ("),
    ("[]", "state: must be a JSON object"),
    ("null", "state: must be a JSON object"),
    ('{"key": "k", "stringvalue": "v"}', "state: stringvalue is not a known key"),
    ('{"key": "k", "stringValue": 5}', "state: stringValue: must be text"),
    ('{"key": "k", "stringValue": "\\ud800"}', "state: stringValue: must be text"),
    ('{"key": "k", "numberValue": 1.5}', "state: numberValue: must be an integer of 64 bits"),
    ('{"key": "k", "numberValue": true}', "state: numberValue: must be an integer of 64 bits"),
    ('{"key": "k", "numberValue": 9223372036854775808}', "state: numberValue: must be an integer of 64 bits"),
    ('{"key": "k", "byteValue": "!!"}', "state: byteValue: must be text in base64"),
    ('{"key": "k", "byteValue": 5}', "state: byteValue: must be text in base64"),
]


def test_a_state_that_cannot_be_is_refused(api: Api) -> None:
    for text, reason in REFUSED:
        status, body = got(api.post("f", "/state/k", state=text))
        assert (status, body["reason"][: len(reason)]) == (400, reason), text
    assert api.get("f", "/state/k").status_code == 404


def test_a_request_without_a_state_is_refused(api: Api) -> None:
    assert got(api.post("f", "/state/k", other="x")) == (400, {"reason": "Function state is not provided"})
    assert api.post("f", "/state/k").status_code == 400


def test_a_counter_is_shown_as_a_number_and_gets_no_value(api: Api, store: StateStore) -> None:
    store.increment(KEY, "n", 3)
    assert got(api.get("f", "/state/n")) == (200, {"key": "n", "numberValue": 3, "version": 0})
    status, body = got(put(api, "n", stringValue="v"))
    assert (status, body["reason"]) == (
        400,
        "the state 'n' of public/default/f is a counter; delete it before it gets a value",
    )
    assert api.get("f", "/state/n").json()["numberValue"] == 3


def test_a_store_that_fails_is_500(api: Api, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("no database" * 1000)
    status, body = got(api.get("f", "/state/k"))
    assert (status, body["reason"].endswith("file is not a database")) == (500, True)
    assert api.http.delete(api.path("f")).status_code == 204


def test_a_function_counts_in_all_its_instances_and_takes_its_state_along(
    serve: Callable[..., Api], url: str, config: Config
) -> None:
    api = serve(stateStorageServiceUrl=url)
    counting = config | {"className": "samples.CountWords", "parallelism": 3}
    assert api.register("f", **counting).status_code == 204
    api.await_running("f", 3)
    for number in range(20):
        assert json.loads(api.post("f", "/trigger", data=f"a b n{number} a").text)["a"] == 2 * number + 2
    assert api.get("f", "/state/a").json() == {"key": "a", "numberValue": 40, "version": 39}
    assert api.get("f", "/state/last").json() == {"key": "last", "stringValue": "a b n19 a", "version": 19}
    assert put(api, "a", stringValue="over").status_code == 400
    assert put(api, "greeting", stringValue="hello").status_code == 204

    assert api.http.delete(api.path("f")).status_code == 204
    assert api.get("f", "/state/a").status_code == 404
    assert api.register("f", **counting).status_code == 204
    for key in ("a", "b", "last", "greeting"):
        assert got(api.get("f", f"/state/{key}")) == (404, {"reason": f"key '{key}' doesn't exist."})
    api.await_running("f", 3)
    assert json.loads(api.post("f", "/trigger", data="a").text) == {"a": 1}


def test_state_stays_when_a_function_is_updated_stopped_or_restarted(
    serve: Callable[..., Api], url: str, config: Config
) -> None:
    api = serve(stateStorageServiceUrl=url)
    api.register("f", **config | {"className": "samples.CountWords"})
    api.await_running("f", 1)
    api.post("f", "/trigger", data="a")
    api.post("f", "/stop")
    api.await_running("f", 0)
    assert api.get("f", "/state/a").json()["numberValue"] == 1
    api.update("f", parallelism=2)
    api.post("f", "/start")
    api.await_running("f", 2)
    assert json.loads(api.post("f", "/trigger", data="a").text) == {"a": 2}


def test_a_function_that_writes_to_its_last_moment_leaves_nothing(
    serve: Callable[..., Api], url: str, config: Config, tmp_path: Path, store: StateStore
) -> None:
    code = tmp_path / "samples.py"
    code.write_text(
        "import time\n"
        "def process(input, context):\n"
        "    for _ in range(1000):\n"
        "        context.incr_counter('n', 1)\n"
        "        time.sleep(0.001)\n"
    )
    api = serve(stateStorageServiceUrl=url)
    api.register("f", code, **config | {"className": "samples.process"})
    api.await_running("f", 1)
    api.http.post(api.path("f", "/trigger"), files={"data": (None, "go")}, timeout=30)
    until(lambda: store.get(KEY, "n"))
    assert api.http.delete(api.path("f")).status_code == 204
    assert store.get(KEY, "n") is None
    assert api.service.worker.statuses() == ()


def test_the_state_of_a_function_that_is_kept_is_there_after_a_restart(
    serve: Callable[..., Api], url: str, config: Config
) -> None:
    kept = Kept()
    first = serve(kept=kept, stateStorageServiceUrl=url)
    first.register("f", **config)
    put(first, "k", stringValue="v")
    first.service.worker.stop()
    second = serve(kept=kept, stateStorageServiceUrl=url)
    assert second.http.get(f"{FUNCTIONS}/public/default/f/state/k").json()["stringValue"] == "v"
