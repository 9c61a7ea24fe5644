"""Packages that come with a request, where the brokers keep them: for functions, sinks and sources alike."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.service.errors import NotReadyError
from tests.admin.conftest import Kept
from tests.service.memory_brokers import MemoryBrokers
from tests.waiting import until
from tests.workers import SAMPLES

from .conftest import Api
from .nars import write_connector

Serve = Callable[..., Api]
FUNCTION = {"className": "samples.Exclaim", "inputs": ["in"], "runtime": "PYTHON"}
PATH = "functions/public/default/f"
KEY = FunctionKey("public", "default", "f")
DIGEST = re.compile(r"function://public/default/f@[0-9a-f]{32}-[0-9a-f]{8}")


@pytest.fixture
def brokers() -> MemoryBrokers:
    brokers = MemoryBrokers()
    brokers.clock_ms = int(time.time() * 1000) - 60_000
    return brokers


@pytest.fixture
def api(serve: Serve, brokers: MemoryBrokers) -> Api:
    return serve(brokers)


@pytest.fixture
def code(tmp_path: Path) -> Callable[[str], Path]:
    """``code("x")`` is a package whose content no other has."""
    directory = tmp_path / "code"
    directory.mkdir()

    def write(text: str) -> Path:
        path = directory / "samples.py"
        path.write_text(f"{SAMPLES.read_text()}\n# {text}\n")
        return path

    return write


def location(api: Api) -> str:
    return api.kept.by_key[KEY].package.path


def running(api: Api) -> bool:
    found: bool = api.get(f"{PATH}/status")["instances"][0]["status"]["running"]
    return found


def problem(api: Api) -> str:
    found: str = api.get(f"{PATH}/status")["instances"][0]["status"]["error"]
    return found


def packages(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("functions/packages")
    return found


def collect(api: Api, query: str = "olderThanSeconds=0") -> Any:
    return api.call("POST", f"functions/packages/gc?{query}").json()


def test_the_brokers_keep_what_is_uploaded_and_the_registration_has_its_name(api: Api, brokers: MemoryBrokers) -> None:
    assert api.call("POST", PATH, SAMPLES, functionConfig=FUNCTION).status_code == 204
    assert list(brokers.kept) == [location(api)]
    assert DIGEST.fullmatch(location(api))
    content, note = brokers.kept[location(api)]
    assert content == SAMPLES.read_bytes()
    assert note.properties["functionName"] == "public/default/f"
    assert note.properties["fileName"] == api.kept.by_key[KEY].package.original_file_name == "samples.py"
    assert api.call("GET", f"{PATH}/download").content == SAMPLES.read_bytes()
    assert brokers.downloads == []
    until(lambda: running(api), bool)
    own, copy = sorted(packages(api), key=lambda each: each["place"])
    assert (own["name"], own["sha256"], own["sizeBytes"]) == (location(api), copy["sha256"], copy["sizeBytes"])
    assert own["functions"] == copy["functions"] == ["public/default/f"]


@pytest.mark.parametrize(("kind", "config"), [("sink", {"inputs": ["in"]}), ("source", {"topicName": "t"})])
def test_connectors_are_kept_under_their_own_scheme(
    kind: str, config: dict[str, Any], api: Api, nar: Path, brokers: MemoryBrokers
) -> None:
    path = f"{kind}s/public/default/c"
    assert api.call("POST", path, nar, **{f"{kind}Config": config}).status_code == 204
    (name,) = brokers.kept
    assert name.startswith(f"{kind}://public/default/c@")
    other = write_connector(nar.parent / "other.nar", "own")
    assert api.call("PUT", path, other, **{f"{kind}Config": {}}).status_code == 204
    assert len(brokers.kept) == 2
    assert api.call("DELETE", path).status_code == 204
    assert brokers.kept == {}


def test_a_worker_with_another_directory_fetches_it_once(serve: Serve, brokers: MemoryBrokers) -> None:
    kept = Kept()
    first = serve(brokers, kept)
    first.call("POST", PATH, SAMPLES, functionConfig=FUNCTION)
    second = serve(brokers, kept, "second")
    until(lambda: running(second), bool)
    assert brokers.downloads == [location(first)]
    kept.give(KEY)
    assert second.call("GET", f"{PATH}/download").content == SAMPLES.read_bytes()
    assert brokers.downloads == [location(first)]
    (copy,) = (second.directory / "second" / "packages").glob("[0-9a-f]*/*")
    assert copy.name == "samples.py"


def test_brokers_that_are_away_are_a_problem_that_passes(serve: Serve, brokers: MemoryBrokers) -> None:
    kept = Kept()
    serve(brokers, kept).call("POST", PATH, SAMPLES, functionConfig=FUNCTION)
    brokers.away = True
    second = serve(brokers, kept, "second")
    assert problem(second) == f"{kept.by_key[KEY].package.path}: no broker answers"
    brokers.away = False
    kept.give(KEY)
    until(lambda: running(second), bool)


def test_other_bytes_than_those_registered_are_never_run(serve: Serve, brokers: MemoryBrokers) -> None:
    kept = Kept()
    first = serve(brokers, kept)
    first.call("POST", PATH, SAMPLES, functionConfig=FUNCTION)
    name = location(first)
    brokers.kept[name] = (b"def process(input): return 'evil'\n", brokers.kept[name][1])
    second = serve(brokers, kept, "second")
    assert f"{name}: is not what was registered: the SHA-256 of its content is " in problem(second)
    assert not running(second)


def test_the_same_bytes_are_kept_once_and_change_nothing(api: Api, brokers: MemoryBrokers) -> None:
    api.call("POST", PATH, SAMPLES, functionConfig=FUNCTION)
    name = location(api)
    assert api.refusal("PUT", PATH, SAMPLES, functionConfig={}) == (400, "Update contains no change")
    assert api.call("PUT", PATH, SAMPLES, functionConfig={"parallelism": 2}).status_code == 204
    assert (location(api), list(brokers.kept)) == (name, [name])


def test_a_replaced_package_stays_until_the_next_one_comes(
    api: Api, brokers: MemoryBrokers, code: Callable[[str], Path]
) -> None:
    api.call("POST", PATH, code("1"), functionConfig=FUNCTION)
    names = [location(api)]
    for text in ("2", "3"):
        assert api.call("PUT", PATH, code(text), functionConfig={}).status_code == 204
        names.append(location(api))
        assert list(brokers.kept) == names[-2:]
    assert api.call("DELETE", PATH).status_code == 204
    assert brokers.kept == {}


def test_the_same_bytes_can_be_registered_again_after_a_deletion(api: Api, brokers: MemoryBrokers) -> None:
    names = set()
    for _ in range(2):
        assert api.call("POST", PATH, SAMPLES, functionConfig=FUNCTION).status_code == 204
        names.add(location(api))
        assert set(brokers.kept) == {location(api)}
        api.call("DELETE", PATH)
    assert len(names) == 2


def test_the_brokers_do_not_keep_what_was_not_registered(api: Api, brokers: MemoryBrokers) -> None:
    broken = FUNCTION | {"resources": {"cpu": -1}, "className": "samples.Exclaim"}
    assert api.call("POST", PATH, SAMPLES, functionConfig=broken).status_code == 400
    assert api.call("POST", "functions/public/default/g", SAMPLES, functionConfig=FUNCTION).status_code == 204
    (kept,) = brokers.kept
    assert api.call("POST", "functions/public/default/g", SAMPLES, functionConfig=FUNCTION).status_code == 400
    bad_nar = api.call("PUT", "functions/public/default/g", SAMPLES, functionConfig={"runtime": "JAVA"})
    assert bad_nar.status_code == 400
    assert list(brokers.kept) == [kept]


def test_nobody_deletes_what_may_have_been_registered(
    api: Api, brokers: MemoryBrokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_and_fail(registration: Any) -> None:
        api.kept.by_key[registration.key] = registration
        raise NotReadyError("no answer in time")

    monkeypatch.setattr(api.kept, "put", write_and_fail)
    assert api.call("POST", PATH, SAMPLES, functionConfig=FUNCTION).status_code == 503
    assert list(brokers.kept) == [location(api)]


def test_brokers_that_are_away_fail_the_request_and_not_the_deletion(api: Api, brokers: MemoryBrokers) -> None:
    api.call("POST", PATH, SAMPLES, functionConfig=FUNCTION)
    brokers.away = True
    status, reason = api.refusal("POST", "functions/public/default/g", SAMPLES, functionConfig=FUNCTION)
    assert status == 500
    assert reason.startswith("the brokers do not keep the package: function://public/default/g@")
    assert api.refusal("POST", "functions/packages/gc")[0] == 500
    assert api.call("DELETE", PATH).status_code == 204
    brokers.away = False
    until(lambda: packages(api), lambda found: {each["use"] for each in found} == {"new"})
    assert len(collect(api)["removed"]) == 2
    assert packages(api) == []


def test_a_name_that_was_uploaded_by_a_user_stays_with_its_user(api: Api, brokers: MemoryBrokers) -> None:
    mine = "function://public/default/f@1"
    parts: dict[str, Any] = {"data": (SAMPLES.name, SAMPLES.read_bytes()), "path": (None, mine)}
    assert api.http.post("/admin/v3/functions/upload", files=parts).status_code == 204
    assert api.call("POST", PATH, functionConfig=FUNCTION, url=mine).status_code == 204
    assert [each["place"] for each in packages(api)] == ["directory"]
    api.call("DELETE", PATH)
    assert [each["place"] for each in collect(api)["removed"]] == ["directory"]
    assert list(brokers.kept) == [mine]


def test_a_clean_up_tells_what_it_would_do_and_does_it(api: Api, code: Callable[[str], Path]) -> None:
    api.call("POST", PATH, code("1"), functionConfig=FUNCTION)
    api.call("PUT", PATH, code("2"), functionConfig={})
    until(lambda: packages(api), lambda found: sum(each["use"] == "running" for each in found) == 0)
    assert collect(api, "") == {"dryRun": False, "removed": [], "tooNew": 2, "problems": []}
    told = collect(api, "olderThanSeconds=0&dryRun=true")
    assert (told["dryRun"], len(told["removed"]), len(packages(api))) == (True, 2, 4)
    assert {each["use"] for each in told["removed"]} == {"unused"}
    assert collect(api)["removed"] == told["removed"]
    assert {each["use"] for each in packages(api)} == {"registered"}
    until(lambda: running(api), bool)


@pytest.mark.parametrize("with_brokers", [True, False], ids=["brokers", "directory"])
def test_a_clean_up_takes_nothing_from_functions_that_come_and_go(
    with_brokers: bool, serve: Serve, brokers: MemoryBrokers
) -> None:
    """All have one of two packages, so that one is registered while it is removed for another."""
    brokers.clock_ms = 0
    api = serve(brokers if with_brokers else None)
    contents = [SAMPLES.read_bytes() + mark for mark in (b"# one\n", b"# two\n")]
    ended = threading.Event()

    def come_and_go(number: int) -> None:
        path = f"/admin/v3/functions/public/default/f{number}"
        for turn in range(8):
            for method, content in (("POST", contents[turn % 2]), ("PUT", contents[(turn + 1) % 2])):
                parts: dict[str, Any] = {
                    "functionConfig": (None, json.dumps(FUNCTION)),
                    "data": ("samples.py", content),
                }
                answer = api.http.request(method, path, files=parts)
                assert answer.status_code == 204, answer.text
                assert api.http.get(f"{path}/download").content == content
                name = api.kept.by_key[FunctionKey("public", "default", f"f{number}")].package.path
                assert not with_brokers or brokers.kept[name][0] == content
            assert api.http.delete(path).status_code == 204

    def clean_up() -> int:
        count = 0
        while not ended.is_set():
            told = collect(api)
            assert told["problems"] == []
            count += len(told["removed"])
        return count

    with ThreadPoolExecutor(5) as pool:
        cleaning = pool.submit(clean_up)
        coming = [pool.submit(come_and_go, number) for number in range(4)]
        try:
            for each in coming:
                each.result()
        finally:
            ended.set()
        cleaning.result()
    until(lambda: collect(api) and packages(api), lambda left: left == [])


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("olderThanSeconds=-1", "olderThanSeconds: must be a number of seconds (got '-1')"),
        ("olderThanSeconds=1e9", "olderThanSeconds: must be a number of seconds (got '1e9')"),
        ("olderThanSeconds=9999999999999", "olderThanSeconds: must be a number of seconds (got '9999999999999')"),
        ("dryRun=maybe", "dryRun: must be true or false (got 'maybe')"),
    ],
)
def test_a_wrong_question_is_told(query: str, reason: str, api: Api) -> None:
    assert api.refusal("POST", f"functions/packages/gc?{query}") == (400, reason)


def test_without_the_brokers_only_the_directory_is_told(serve: Serve) -> None:
    api = serve()
    api.call("POST", PATH, SAMPLES, functionConfig=FUNCTION)
    (package,) = packages(api)
    assert (package["place"], package["fileName"], package["use"]) == ("directory", "samples.py", "registered")
    assert Path(package["name"]).read_bytes() == SAMPLES.read_bytes()
