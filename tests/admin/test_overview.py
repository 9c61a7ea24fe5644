"""Everything the status page shows, in one answer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.admin.overview import Parts
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.service.neighbours import Told
from pulsar_runtimes.testing import FakeRuntime
from tests.admin.conftest import Api
from tests.admin.fake_worker import serve_fakes
from tests.waiting import until

F = FunctionKey("public", "default", "f")
FAILING = """
import os
class Exclaim:
    def process(self, input, context):
        if input == "die":
            os._exit(7)
        raise ValueError("not " + input)
"""


def instance_of(http: Any, name: str) -> dict[str, Any]:
    functions = http.get("/admin/v3/overview").json()["functions"]
    (found,) = [function for function in functions if function["name"] == name]
    instance: dict[str, Any] = found["instances"][0]
    return instance


@pytest.mark.broker
def test_it_has_the_figures_of_real_instances(api: Api, config: dict[str, Any]) -> None:
    api.register("f", **config)
    api.await_running("f", 1)
    assert api.post("f", "/trigger", data="hello").text == "hello!"
    seen = until(
        lambda: instance_of(api.http, "f"), lambda seen: bool(seen["figures"] and seen["figures"]["processed"])
    )
    figures = seen["figures"]
    assert (seen["state"], seen["restarts"], seen["ends"], seen["lastLines"]) == ("running", 0, [], [])
    assert (figures["received"], figures["processed"], figures["lastException"]) == (1, 1, None)
    assert 1 << 20 < figures["memoryBytes"] < 1 << 30
    assert abs(figures["countedMs"] / 1000 - time.time()) < 60


@pytest.mark.broker
def test_it_tells_the_last_exception_and_how_lives_ended(
    api: Api, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pulsar_runtimes.service.trigger._ANSWER_SECONDS", 0.5)
    code = tmp_path / "samples.py"
    code.write_text(FAILING)
    api.register("f", code, **config)
    api.await_running("f", 1)
    api.post("f", "/trigger", data="today")
    seen = until(
        lambda: instance_of(api.http, "f"), lambda seen: bool(seen["figures"] and seen["figures"]["lastException"])
    )
    assert "ValueError: not today" in seen["figures"]["lastException"]["exceptionString"]
    api.post("f", "/trigger", data="die")
    seen = until(lambda: instance_of(api.http, "f"), lambda seen: bool(seen["ends"]))
    assert seen["ends"][0]["exitCode"] == 7


def test_it_waits_for_no_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRuntime, "stats", lambda runtime: time.sleep(5))
    with serve_fakes(tmp_path, functions=40, running=40) as served:
        for _ in range(5):
            answer = served.http.get("/admin/v3/overview")
            assert answer.elapsed.total_seconds() < 1
        assert len(answer.json()["functions"]) == 40


def test_one_that_was_stopped_is_told_apart_from_one_that_waits(tmp_path: Path) -> None:
    with serve_fakes(tmp_path, functions=2, running=1) as served:
        until(lambda: instance_of(served.http, "f0"), lambda seen: seen["state"] == "running")
        assert instance_of(served.http, "f1") == {"instanceId": 0, "workerId": "w1", "state": "stopped"}


def told(*instances: dict[str, Any], **more: Any) -> Told:
    function = {"tenant": "public", "namespace": "default", "name": "f", "instances": list(instances), **more}
    return Told({"functions": [function]})


def test_what_another_worker_tells_is_taken_as_its_own() -> None:
    parts = Parts({"w2": told({"instanceId": 1, "workerId": "w9", "state": "running"}, updateFailure="no such class")})
    form = parts.instance(InstanceKey(F, 1), "w2")
    assert form == {"instanceId": 1, "workerId": "w2", "state": "running"}
    assert parts.instance(InstanceKey(F, 0), "w2") is None
    function = {"updating": False, "updateFailure": ""}
    parts.add_to(function, F)
    assert function == {"updating": False, "updateFailure": "no such class"}
    assert list(parts.unregistered({})) == []  # this worker will read of it, or it is gone


def test_a_function_of_another_command_line_is_told_as_well() -> None:
    instance = {"instanceId": 0, "state": "running"}
    parts = Parts({"w2": told(instance, registered=False), "w3": told(instance, registered=False)})
    ((key, form),) = parts.unregistered({})
    assert (key, [each["workerId"] for each in form["instances"]]) == (F, ["w2", "w3"])
    assert list(parts.unregistered({F: {}})) == []


@pytest.mark.parametrize(
    "answer",
    [{}, {"functions": [1]}, {"functions": [{"name": "f"}]}, {"functions": None}, {"functions": [{"instances": 1}]}],
)
def test_an_answer_of_another_form_is_a_problem_and_not_a_failure(answer: dict[str, Any]) -> None:
    parts = Parts({"w2": Told(answer), "w3": Told({}, "it is asleep")})
    assert parts.problem("w2") == "its answer is no overview"
    assert parts.problem("w3") == "it is asleep"
    assert parts.problem("w4") == "it was not asked yet"
