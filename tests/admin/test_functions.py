"""The admin API of functions, on a real worker and broker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from tests.admin.conftest import Api, Kept, parts
from tests.waiting import until
from tests.workers import SAMPLES

pytestmark = pytest.mark.broker

Config = dict[str, Any]


def test_a_registered_function_runs_and_answers(api: Api, config: Config) -> None:
    created = api.register("excl", **config)
    assert (created.status_code, created.content) == (204, b"")
    status = api.await_running("excl", 1)
    assert status["instances"][0]["status"] == {
        "running": True,
        "error": "",
        "numRestarts": 0,
        "numReceived": 0,
        "numSuccessfullyProcessed": 0,
        "numUserExceptions": 0,
        "latestUserExceptions": [],
        "numSystemExceptions": 0,
        "latestSystemExceptions": [],
        "averageLatency": 0.0,
        "lastInvocationTime": 0,
        "workerId": "w1",
    }
    answer = api.post("excl", "/trigger", data="hello")
    assert (answer.status_code, answer.text) == (200, "hello!")
    answer = api.post("excl", "/trigger", data="hi", topic=config["inputs"][0])
    assert answer.text == "hi!"

    stats = api.get("excl", "/stats").json()
    assert list(stats) == [
        "receivedTotal",
        "processedSuccessfullyTotal",
        "systemExceptionsTotal",
        "userExceptionsTotal",
        "avgProcessLatency",
        "1min",
        "lastInvocation",
        "instances",
    ]
    assert (stats["receivedTotal"], stats["1min"]["processedSuccessfullyTotal"]) == (2, 2)
    assert stats["instances"][0]["metrics"] == api.get("excl", "/0/stats").json()
    assert api.get("excl", "/0/status").json()["numReceived"] == 2


def test_what_was_registered_is_told_as_the_reference_tells_it(api: Api, config: Config) -> None:
    api.register("excl", **config, userConfig={"k": "v"})
    assert api.http.get("/admin/v3/functions/public/default").json() == ["excl"]
    told = api.get("excl").json()
    assert told == {
        "tenant": "public",
        "namespace": "default",
        "name": "excl",
        "className": "samples.Exclaim",
        "inputSpecs": {
            config["inputs"][0]: {
                "schemaProperties": {},
                "consumerProperties": {},
                "poolMessages": False,
                "regexPattern": False,
            }
        },
        "output": config["output"],
        "producerConfig": {"useThreadLocalProducers": False, "batchBuilder": "", "compressionType": "LZ4"},
        "processingGuarantees": "ATLEAST_ONCE",
        "retainOrdering": False,
        "retainKeyOrdering": False,
        "forwardSourceMessageProperty": True,
        "userConfig": {"k": "v"},
        "runtime": "PYTHON",
        "autoAck": True,
        "parallelism": 1,
        "resources": {"cpu": 1.0, "ram": 1073741824, "disk": 10737418240},
        "cleanupSubscription": True,
        "subscriptionPosition": "Earliest",
    }
    assert api.get("excl", "/download").content == SAMPLES.read_bytes()


def test_an_unknown_function_is_404_and_for_an_update_400(api: Api) -> None:
    reason = {"reason": "Function nosuch doesn't exist"}
    for answer in (
        api.get("nosuch"),
        api.get("nosuch", "/status"),
        api.get("nosuch", "/stats"),
        api.get("nosuch", "/0/status"),
        api.get("nosuch", "/download"),
        api.post("nosuch", "/start"),
        api.post("nosuch", "/0/restart"),
        api.post("nosuch", "/trigger", data="x"),
        api.http.delete(api.path("nosuch")),
    ):
        assert (answer.status_code, answer.json()) == (404, reason), answer.request.url
    answer = api.update("nosuch", parallelism=2)
    assert (answer.status_code, answer.json()) == (400, reason)
    assert api.http.get("/admin/v3/functions/public/nons").json() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parallelism": 0}, "parallelism: must be from 1"),
        ({"bogus": 1}, "bogus: is not a known key"),
        ({"runtime": "COBOL"}, "runtime: must be one of JAVA, PYTHON, GO"),
        ({"runtime": None}, "Function language runtime is either not set or cannot be determined"),
        ({"className": None}, "className: must be given"),
        ({"inputs": []}, "has no input"),
        ({"inputs": ["persistent://x"]}, "inputs[0]: must be"),
        ({"output": "in", "inputs": ["in"]}, "output: must not be an input as well"),
        ({"jar": "builtin://exclamation", "runtime": "JAVA"}, "builtin://exclamation"),
        ({"parallelism": "two", "processingGuarantees": "TWICE"}, "processingGuarantees: "),
    ],
)
def test_a_config_that_is_wrong_is_refused_with_the_reason(
    changes: Config, reason: str, api: Api, config: Config
) -> None:
    answer = api.register("bad", **config | changes)
    assert answer.status_code == 400
    assert reason in answer.json()["reason"]
    assert api.get("bad").status_code == 404


def test_a_request_without_its_parts_is_refused(api: Api, config: Config) -> None:
    def post(files: Any) -> tuple[int, str]:
        answer = api.http.post(api.path("bad"), files=files)
        return answer.status_code, answer.json()["reason"]

    assert post(parts(None, **config)) == (400, "Function package is not provided")
    assert post({"data": ("f.py", b"")}) == (400, "Function config is not provided")
    status, reason = post({"functionConfig": (None, "{nope"), "data": ("f.py", b"")})
    assert (status, reason[:35]) == (400, "functionConfig: is not valid JSON (")
    status, reason = post({**parts(None, **config), "url": (None, "file:///nonexistent/x.py")})
    assert (status, reason) == (400, "Function Package url is not valid.supported url (http/https/file)")
    answer = api.http.post(api.path("bad"), content=b"plain")
    assert (answer.status_code, answer.json()) == (400, {"reason": "the body must be multipart/form-data"})


@pytest.mark.parametrize("name", ["bad%20name", "%2e%2e", "bad%5cname"])
def test_a_name_that_is_no_file_name_is_refused(name: str, api: Api, config: Config) -> None:
    answer = api.register(name, **config)
    assert answer.status_code in (400, 404), answer.text
    assert api.service.functions() == []


def test_a_second_function_of_the_same_name_is_refused(api: Api, config: Config) -> None:
    api.register("excl", **config)
    answer = api.register("excl", **config)
    assert (answer.status_code, answer.json()) == (400, {"reason": "Function excl already exists"})


def test_the_names_in_the_path_count(api: Api, config: Config) -> None:
    assert api.register("a", **config, name="b", tenant="other").status_code == 204
    assert api.get("a").json()["tenant"] == "public"
    assert api.get("b").status_code == 404


def test_a_function_is_stopped_and_started(api: Api, config: Config) -> None:
    api.register("f", **config, parallelism=2)
    api.await_running("f", 2)
    assert api.post("f", "/start").json() == {"reason": "Operation not permitted"}

    assert api.post("f", "/1/stop").status_code == 204
    status = api.await_running("f", 1)
    assert status["numInstances"] == 2
    assert status["instances"][1]["status"] == {
        "running": False,
        "error": "",
        "numRestarts": 0,
        "numReceived": 0,
        "numSuccessfullyProcessed": 0,
        "numUserExceptions": 0,
        "numSystemExceptions": 0,
        "averageLatency": 0.0,
        "lastInvocationTime": 0,
        "workerId": "w1",
    }
    assert api.post("f", "/1/stop").status_code == 400
    assert api.post("f", "/9/stop").json() == {"reason": "Operation not permitted"}
    assert api.post("f", "/stop").status_code == 204
    api.await_running("f", 0)
    assert api.get("f", "/stats").json()["lastInvocation"] is None
    assert api.post("f", "/start").status_code == 204
    api.await_running("f", 2)


def test_a_restarted_instance_is_another_one(api: Api, config: Config) -> None:
    api.register("f", **config)
    api.await_running("f", 1)
    assert api.post("f", "/restart").status_code == 204
    assert api.post("f", "/0/restart").status_code == 204
    answer = api.post("f", "/5/restart")
    assert (answer.status_code, answer.json()) == (400, {"reason": "public/default/f/5 doesn't exist"})
    status = api.await_running("f", 1)
    assert status["instances"][0]["status"]["numRestarts"] >= 1


def test_an_update_changes_what_it_names_and_leaves_the_rest(api: Api, config: Config) -> None:
    api.register("f", **config, userConfig={"k": "v"}, resources={"cpu": 0.5})
    assert api.update("f", **config, userConfig={"k": "v"}).json() == {"reason": "Update contains no change"}
    assert api.update("f", parallelism=2, resources={"ram": 256 << 20}).status_code == 204
    told = api.get("f").json()
    assert (told["parallelism"], told["userConfig"]) == (2, {"k": "v"})
    assert told["resources"] == {"cpu": 0.5, "ram": 256 << 20, "disk": 10737418240}
    api.await_running("f", 2)
    refused = api.update("f", processingGuarantees="ATMOST_ONCE", retainOrdering=True)
    reason = "Processing Guarantees cannot be altered; Retain Ordering cannot be altered"
    assert (refused.status_code, refused.json()) == (400, {"reason": reason})
    assert api.update("f", inputs=["another"]).json() == {"reason": "Input Topics cannot be altered"}
    assert api.update("f", className="samples.NoSuchClass", parallelism=0).status_code == 400
    assert api.get("f").json() == told


def test_more_instances_leave_those_that_run_alone(api: Api, config: Config) -> None:
    api.register("f", **config)
    api.await_running("f", 1)
    key = FunctionKey("public", "default", "f")
    before = api.service.worker.replica(InstanceKey(key, 0))
    assert api.update("f", parallelism=2).status_code == 204
    api.await_running("f", 2)
    assert api.service.worker.replica(InstanceKey(key, 0)) is before


def test_what_pulsar_admin_sends_with_each_update_changes_nothing(api: Api, config: Config) -> None:
    api.register("f", **config, forwardSourceMessageProperty=False, outputSchemaType="STRING")
    told = api.get("f").json()
    sent: Config = {"subscriptionPosition": "Latest", "forwardSourceMessageProperty": True, "outputSchemaType": ""}
    assert api.update("f", **sent).json() == {"reason": "Update contains no change"}
    assert api.update("f", **sent, parallelism=2).status_code == 204
    assert api.get("f").json() == {**told, "parallelism": 2}


def test_new_code_takes_the_place_of_the_old(api: Api, config: Config, tmp_path: Any) -> None:
    api.register("f", **config)
    api.await_running("f", 1)
    code = tmp_path / "samples.py"
    code.write_text("class Exclaim:\n    def process(self, input, context):\n        return input + ' anew'\n")
    assert api.update("f", code).status_code == 204
    assert api.get("f", "/download").content == code.read_bytes()
    api.service.worker.wait_running("public/default/f")
    assert api.post("f", "/trigger", data="hello").text == "hello anew"


def test_an_update_that_fails_is_told_and_the_old_version_goes_on(api: Api, config: Config, tmp_path: Any) -> None:
    api.register("f", **config)
    api.await_running("f", 1)
    code = tmp_path / "samples.py"
    code.write_text("raise RuntimeError('not today')\n")
    api.update("f", code)
    api.service.worker.wait("public/default/f", lambda status: bool(status.update_failure), seconds=20)
    assert api.post("f", "/trigger", data="hello").text == "hello!"


def test_how_an_instance_ended_is_told(api: Api, config: Config, tmp_path: Any) -> None:
    code = tmp_path / "samples.py"
    code.write_text("raise RuntimeError('not today')\n")
    api.register("f", code, **config)
    api.service.worker.wait("public/default/f", lambda status: bool(status.instances[0].ends), seconds=20)
    told = api.get("f", "/0/status").json()
    assert "RuntimeError: not today" in told["error"]
    assert told["ends"][0]["exitCode"] == 1
    assert any("not today" in line for line in told["ends"][0]["lastLines"])


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({"data": "x", "topic": "persistent://public/default/other"}, "has unidentified topic"),
        ({"topic": "persistent://public/default/in"}, "Trigger Data is not provided"),
    ],
)
def test_a_trigger_that_cannot_work_is_refused(texts: dict[str, str], reason: str, api: Api, config: Config) -> None:
    api.register("f", **config)
    answer = api.post("f", "/trigger", **texts)
    assert answer.status_code == 400
    assert reason in answer.json()["reason"]


def test_a_deleted_function_is_gone_and_its_name_is_free(api: Api, config: Config) -> None:
    api.register("f", **config)
    api.await_running("f", 1)
    assert api.http.delete(api.path("f")).status_code == 204
    assert api.http.delete(api.path("f")).status_code == 404
    assert api.http.get("/admin/v3/functions/public/default").json() == []
    assert api.register("f", **config).status_code == 204
    api.await_running("f", 1)


def test_what_is_registered_runs_again_after_a_start(serve: Callable[..., Api], config: Config) -> None:
    kept = Kept()
    first = serve(kept)
    first.register("on", **config, parallelism=2)
    first.post("on", "/0/stop")
    first.service.worker.stop()

    second = serve(kept)
    status = second.await_running("on", 1)
    assert [each["status"]["running"] for each in status["instances"]] == [False, True]


def test_one_that_cannot_run_any_more_tells_why(serve: Callable[..., Api], config: Config) -> None:
    kept = Kept()
    first = serve(kept)
    first.register("lost", **config)
    first.service.worker.stop()
    first.service.packages.path(kept.by_key[FunctionKey("public", "default", "lost")].package).unlink()

    second = serve(kept)
    status = second.get("lost", "/status").json()["instances"][0]["status"]
    assert status["running"] is False
    assert "there is no such package any more" in status["error"]
    assert second.http.delete(second.path("lost")).status_code == 204
    assert second.get("lost").status_code == 404


def test_one_of_the_command_line_is_shown_and_not_changed(api: Api, build: Any) -> None:
    function = build("Exclaim", name="given")
    api.service.worker.submit(function)
    api.await_running("given", 1)
    assert api.http.get("/admin/v3/functions/public/default").json() == ["given"]
    assert api.get("given").json()["className"] == "samples.Exclaim"
    for answer in (api.http.delete(api.path("given")), api.update("given", parallelism=2), api.post("given", "/stop")):
        assert answer.status_code == 400
        assert "command line" in answer.json()["reason"]


def test_the_worker_tells_of_itself(api: Api, config: Config) -> None:
    me = {"workerId": "w1", "workerHostname": "127.0.0.1", "port": 6750}
    get = api.http.get
    assert get("/admin/v2/worker/cluster").json() == [me]
    assert get("/admin/v2/worker/cluster/leader").json() == me
    assert get("/admin/v2/worker/assignments").json() == {}
    api.register("f", **config)
    api.await_running("f", 1)
    assert get("/admin/v2/worker/assignments").json() == {"w1": ["public/default/f:0"]}
    (metrics,) = get("/admin/v2/worker-stats/functionsmetrics").json()
    assert metrics["name"] == "public/default/f:0"
    assert metrics["metrics"]["userMetrics"] == {}
    assert get("/admin/v2/worker/cluster/leader/ready").json() is True
    drain = get("/admin/v2/worker/drain").json()
    assert (drain["status"], "drain records" in drain["lastError"]) == ("ERROR", True)
    answer = api.http.put("/admin/v2/worker/rebalance")
    assert (answer.status_code, answer.json()) == (400, {"reason": "Too few workers (need at least 2)"})
    assert get("/ready").text == get("/live").text == get("/initialized").text == "true"


def test_a_worker_without_a_leader_says_that_it_awaits_one(
    serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    api = serve(kept=kept)
    monkeypatch.setattr(kept, "leader", lambda: None)
    answer = api.http.get("/ready")
    assert (answer.status_code, answer.json()["reason"]) == (
        503,
        "this worker is not ready: it awaits a worker that leads",
    )
    assert api.http.get("/initialized").text == "true"


def test_one_page_has_the_metrics_of_all_instances(api: Api, config: Config) -> None:
    api.register("f", **config, parallelism=2)
    api.await_running("f", 2)
    api.post("f", "/trigger", data="hello")

    def samples() -> dict[str, float]:
        families = {family.name: family for family in text_string_to_metric_families(api.http.get("/metrics").text)}
        received = families.get("pulsar_function_received")
        return {sample.labels["instance_id"]: sample.value for sample in received.samples} if received else {}

    seen = until(samples, lambda seen: sum(seen.values()) == 1.0)
    assert set(seen) == {"0", "1"}
    assert 'pulsar_function_worker_instance_count{cluster="test"} 2.0' in api.http.get("/metrics").text


def test_a_path_that_is_not_there_is_told_in_json(api: Api) -> None:
    assert api.http.get("/admin/v4").json() == {"reason": "there is no /admin/v4 here"}
    answer = api.http.patch(api.path("f"))
    assert (answer.status_code, list(answer.json())) == (405, ["reason"])


def test_many_requests_at_once_are_all_answered(api: Api, config: Config) -> None:
    from concurrent.futures import ThreadPoolExecutor

    api.register("f", **config)
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: api.get("f").status_code, range(300)))
    assert set(answers) == {200}


def test_a_body_that_is_too_large_is_refused(api: Api, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulsar_runtimes.admin.forms.LARGEST_PACKAGE_BYTES", 10_000)
    files: dict[str, Any] = {"functionConfig": (None, json.dumps(config)), "data": ("samples.py", b"x" * 20_000)}
    answer = api.http.post(api.path("f"), files=files)
    assert (answer.status_code, answer.json()) == (413, {"reason": "the body is larger than 10000 bytes"})
    assert api.service.packages.packages() == []


def test_a_log_is_told_and_told_on(api: Api, config: Config) -> None:
    api.register("f", **config | {"className": "samples.Talks"})
    api.await_running("f", 1)
    first = api.get("f", "/0/logs")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    api.post("f", "/trigger", data="x")
    mark = first.headers["X-Pfrun-Log-Mark"]
    new = until(lambda: api.get("f", f"/0/logs?since={mark}").text, lambda text: "told x" in text and "printed" in text)
    assert not set(new.splitlines()) & set(first.text.splitlines())
    assert len(api.get("f", "/0/logs?tail=2").text.splitlines()) == 2
    assert api.get("f", "/0/logs?tail=0").text == ""


@pytest.mark.parametrize(
    ("rest", "status", "reason"),
    [
        ("/1/logs", 400, "Function f doesn't have instance with id 1"),
        ("/0/logs?tail=x", 400, "tail: must be a number from 0 to 10000 (got 'x')"),
        ("/0/logs?tail=-1", 400, "tail: must be a number from 0 to 10000 (got '-1')"),
        ("/0/logs?tail=10001", 400, "tail: must be a number from 0 to 10000 (got '10001')"),
        ("/0/logs", 503, "public/default/f:0 does not run, so that nobody has its log"),
    ],
)
def test_a_log_that_cannot_be_told(api: Api, config: Config, rest: str, status: int, reason: str) -> None:
    api.register("f", **config)
    api.await_running("f", 1)
    api.post("f", "/stop")
    until(lambda: api.service.worker.status("public/default/f").instances, lambda instances: not instances)
    told = api.get("f", rest)
    assert (told.status_code, told.json()) == (status, {"reason": reason})
    assert api.get("g", "/0/logs").status_code == 404


def test_a_message_that_is_too_large_is_refused_and_never_cut(api: Api, config: Config) -> None:
    api.register("f", **config)
    api.await_running("f", 1)
    path = api.path("f", "/trigger")
    refused = api.http.post(path, files={"dataStream": ("message", b"x" * ((5 << 20) + 1))})
    assert (refused.status_code, refused.json()) == (413, {"reason": "dataStream: is larger than 5242880 bytes"})
    answer = api.http.post(path, files={"dataStream": ("message", b"x" * (4 << 20))})
    assert (answer.status_code, len(answer.content)) == (200, (4 << 20) + 1)
