"""Sinks and sources over the admin API."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.admin.instances import ElsewhereError, Instances
from pulsar_runtimes.metadata.election import Member
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.service.component import SINKS
from pulsar_runtimes.service.peers import HttpPeers
from tests.waiting import until

from .conftest import Api
from .nars import write_connector, write_nar

IN, OUT = "persistent://public/default/in", "persistent://public/default/out"
SINK: dict[str, Any] = {"inputs": [IN]}
SOURCE: dict[str, Any] = {"topicName": OUT}


def plan(api: Api, name: str) -> InstanceSpec:
    """The first instance as the worker wants it."""
    worker = api.service.worker
    (function,) = [each for each in worker.functions() if each.name == name]
    return worker.plan(function)[0]


def test_a_sink_is_registered_told_and_removed(api: Api, nar: Path) -> None:
    created = api.call("POST", "sinks/public/default/s", nar, sinkConfig={**SINK, "configs": {"a": 1}})
    assert (created.status_code, created.content) == (204, b"")
    assert api.get("sinks/public/default/s") == {
        "tenant": "public",
        "namespace": "default",
        "name": "s",
        "className": "a.Sink",
        "sourceSubscriptionPosition": "Latest",
        "inputs": [IN],
        "inputSpecs": {
            IN: {"schemaProperties": {}, "consumerProperties": {}, "poolMessages": False, "regexPattern": False}
        },
        "configs": {"a": 1},
        "parallelism": 1,
        "processingGuarantees": "ATLEAST_ONCE",
        "retainOrdering": False,
        "retainKeyOrdering": False,
        "resources": {"cpu": 1.0, "ram": 1073741824, "disk": 10737418240},
        "autoAck": True,
        "cleanupSubscription": True,
    }
    function = plan(api, "s").function
    assert (function.source.type_class_name, function.sink.type_class_name) == ("java.lang.String",) * 2
    assert api.get("sink/public/default") == ["s"]
    assert api.call("DELETE", "sinks/public/default/s").status_code == 204
    assert api.get("sinks/public/default") == []


def test_a_source_is_registered_updated_stopped_and_started(api: Api, nar: Path) -> None:
    assert api.call("POST", "source/public/default/s", nar, sourceConfig=SOURCE).status_code == 204
    assert api.call("PUT", "sources/public/default/s", sourceConfig={"parallelism": 2}).status_code == 204
    told = api.get("sources/public/default/s")
    assert (told["className"], told["parallelism"], told["configs"]) == ("a.Source", 2, {})
    until(lambda: api.get("sources/public/default/s/status")["numRunning"], lambda count: count == 2)
    assert api.call("POST", "sources/public/default/s/1/stop").status_code == 204
    assert api.call("POST", "sources/public/default/s/restart").status_code == 204
    until(lambda: api.get("sources/public/default/s/status")["numRunning"], lambda count: count == 1)
    assert api.call("POST", "sources/public/default/s/start").status_code == 204
    assert api.refusal("POST", "sources/public/default/s/start") == (400, "Operation not permitted")
    assert plan(api, "s").function.source.type_class_name == "[B"
    assert api.kept.by_key[FunctionKey("public", "default", "s")].version == 3


def test_status_has_the_forms_of_sinks_and_sources(api: Api, nar: Path) -> None:
    api.call("POST", "sinks/public/default/s", nar, sinkConfig=SINK)
    api.call("POST", "sources/public/default/g", nar, sourceConfig=SOURCE)
    for path in ("sinks/public/default/s/status", "sources/public/default/g/status"):
        until(partial(api.get, path), lambda status: status["numRunning"] == 1)
    assert api.get("sinks/public/default/s/status") == {
        "numInstances": 1,
        "numRunning": 1,
        "instances": [{"instanceId": 0, "status": api.get("sinks/public/default/s/0/status")}],
    }
    assert list(api.get("sinks/public/default/s/0/status")) == [
        "running",
        "error",
        "numRestarts",
        "numReadFromPulsar",
        "numSystemExceptions",
        "latestSystemExceptions",
        "numSinkExceptions",
        "latestSinkExceptions",
        "numWrittenToSink",
        "lastReceivedTime",
        "workerId",
    ]
    assert list(api.get("sources/public/default/g/0/status")) == [
        "running",
        "error",
        "numRestarts",
        "numReceivedFromSource",
        "numSystemExceptions",
        "latestSystemExceptions",
        "numSourceExceptions",
        "latestSourceExceptions",
        "numWritten",
        "lastReceivedTime",
        "workerId",
    ]
    reason = "Sink s doesn't have instance with id 7"
    assert api.refusal("GET", "sinks/public/default/s/7/status") == (400, reason)


def test_the_logs_of_a_connector_are_told(api: Api, nar: Path) -> None:
    api.call("POST", "sinks/public/default/s", nar, sinkConfig=SINK)
    until(lambda: api.get("sinks/public/default/s/status")["numRunning"], lambda count: count == 1)
    assert api.call("GET", "sinks/public/default/s/0/logs").status_code == 200
    assert api.refusal("GET", "sources/public/default/s/0/logs") == (404, "Source s doesn't exist")
    reason = "Sink s doesn't have instance with id 7"
    assert api.refusal("GET", "sinks/public/default/s/7/logs") == (400, reason)


def test_the_overview_has_what_is_of_any_kind(api: Api, nar: Path) -> None:
    api.call("POST", "sinks/public/default/s", nar, sinkConfig=SINK)
    api.call("POST", "sources/public/default/g", nar, sourceConfig=SOURCE)
    assert [each["name"] for each in api.get("overview")["functions"]] == ["g", "s"]


def test_the_instances_of_other_workers_are_asked_for_as_what_they_are(serve: Callable[..., Api], nar: Path) -> None:
    here, there = serve(), serve()
    here.call("POST", "sinks/public/default/s", nar, sinkConfig={**SINK, "parallelism": 2})
    there.call("POST", "sinks/public/default/s", nar, sinkConfig={**SINK, "parallelism": 2})
    me, other = Member("w1", "127.0.0.1", 1), Member("w2", "127.0.0.1", there.http.base_url.port or 0)
    peers = HttpPeers(ClientAuth())
    service = here.service.for_component(SINKS)
    instances = Instances(service, me, lambda key: other if key.instance_id == 1 else me, peers)
    key = FunctionKey("public", "default", "s")
    told = until(lambda: instances.statuses(key), lambda told: all(each["running"] for _, each in told))
    assert [(number, "numReadFromPulsar" in status) for number, status in told] == [(0, True), (1, True)]
    instances.restart(key, None)
    with pytest.raises(ElsewhereError):
        instances.status(key, 1)
    there.http.delete("/admin/v3/sinks/public/default/s")
    (_, gone) = instances.statuses(key)[1]
    assert (gone["error"], gone["workerId"], gone["numSinkExceptions"]) == ("Sink s doesn't exist", "w2", 0)
    peers.close()


def test_a_component_of_another_kind_is_not_there(api: Api, nar: Path) -> None:
    api.call("POST", "sources/public/default/x", nar, sourceConfig=SOURCE)
    assert api.get("functions/public/default") == []
    assert api.get("sinks/public/default") == []
    for kind, title in (("sinks", "Sink"), ("functions", "Function")):
        path = f"{kind}/public/default/x"
        missing = (404, f"{title} x doesn't exist")
        assert api.refusal("GET", path) == missing
        assert api.refusal("GET", f"{path}/status") == missing
        assert api.refusal("DELETE", path) == missing
        assert api.refusal("POST", f"{path}/stop") == missing
        assert api.refusal("POST", f"{path}/restart") == missing
    assert api.refusal("PUT", "sinks/public/default/x", sinkConfig={}) == (404, "Sink x doesn't exist")
    assert api.refusal("PUT", "sinks/public/default/y", sinkConfig={}) == (400, "Sink y doesn't exist")
    assert api.refusal("POST", "sinks/public/default/x", nar, sinkConfig=SINK) == (400, "Sink x already exists")


def test_what_runs_counts_on_the_worker_whatever_its_kind(api: Api, nar: Path) -> None:
    api.call("POST", "sources/public/default/x", nar, sourceConfig=SOURCE)
    answer = api.http.get("/admin/v2/worker/assignments")
    assert answer.json() == {"w1": ["public/default/x:0"]}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"bogus": 1, "parallelism": 0}, "parallelism: must be from 1"),
        ({"className": "a.Nobody"}, "Sink class a.Nobody must be in class path"),
        ({"className": "a.Source"}, "Sink class a.Source does not implement the correct interface"),
        ({"archive": "builtin://none"}, "Built-in sink is not available"),
        ({"transformFunction": "builtin://none"}, "Built-in function is not available"),
    ],
)
def test_a_sink_that_is_wrong_is_refused_with_the_reason(
    config: dict[str, Any], reason: str, api: Api, nar: Path
) -> None:
    code = None if "archive" in config else nar
    status, told = api.refusal("POST", "sinks/public/default/s", code, sinkConfig=SINK | config)
    assert status == 400 and reason in told
    assert api.get("sinks/public/default") == []


def test_a_package_must_come_and_tell_its_class(api: Api, tmp_path: Path) -> None:
    path = "sinks/public/default/s"
    assert api.refusal("POST", path, sinkConfig=SINK) == (400, "Sink package is not provided")
    assert api.refusal("POST", path, write_nar(tmp_path / "n.nar")) == (400, "Sink config is not provided")
    status, reason = api.refusal("POST", path, write_nar(tmp_path / "n.nar"), sinkConfig=SINK)
    assert (status, reason[:74]) == (400, "Sink package doesn't contain the META-INF/services/pulsar-io.yaml file. (/")
    other = write_nar(tmp_path / "o.nar", name="x", sourceClass="a.Source")
    status, reason = api.refusal("POST", path, other, sinkConfig=SINK)
    assert (status, reason[:43]) == (400, "Failed to extract sink class from archive (")
    other = write_connector(tmp_path / "b.nar")
    status, reason = api.refusal("POST", path, other, sinkConfig={**SINK, "archive": "builtin://both"})
    assert (status, reason[:29]) == (400, "Sink package is given twice: ")


def test_a_builtin_connector_needs_no_package(api: Api) -> None:
    created = api.call("POST", "sinks/public/default/s", sinkConfig={**SINK, "sinkType": "both"})
    assert created.status_code == 204
    assert api.get("sinks/public/default/s")["archive"] == "builtin://both"
    kept = api.kept.by_key[FunctionKey("public", "default", "s")]
    assert kept.package.path == "builtin://both"
    assert kept.function.sink.builtin == "both"
    assert plan(api, "s").code_file == str(api.directory / "connectors" / "both.nar")
    package = api.call("GET", "functions/public/default/s/download").content
    assert package == (api.directory / "connectors" / "both.nar").read_bytes()


def test_a_builtin_connector_gives_way_to_a_package_and_comes_back(api: Api, nar: Path) -> None:
    path = "sources/public/default/s"
    api.call("POST", path, sourceConfig={**SOURCE, "archive": "builtin://both"})
    assert api.refusal("PUT", path, sourceConfig={}) == (400, "Update contains no change")
    assert api.call("PUT", path, nar, sourceConfig={"parallelism": 2}).status_code == 204
    assert "archive" not in api.get(path)
    assert plan(api, "s").code_file.startswith(str(api.directory / "packages"))
    assert api.call("PUT", path, sourceConfig={"archive": "builtin://both"}).status_code == 204
    assert api.get(path)["archive"] == "builtin://both"


def test_a_sink_applies_a_builtin_function(api: Api, nar: Path) -> None:
    path = "sinks/public/default/s"
    config = {**SINK, "transformFunction": "builtin://turn", "transformFunctionConfig": '{"k":"v"}'}
    assert api.call("POST", path, nar, sinkConfig=config).status_code == 204
    told = api.get(path)
    assert told["transformFunction"] == "builtin://turn"
    assert told["transformFunctionClassName"] == "a.Transform"
    assert told["transformFunctionConfig"] == '{"k": "v"}'
    instance = plan(api, "s")
    assert instance.function.source.type_class_name == "java.lang.Integer"
    assert instance.transform_file == str(api.directory / "functions" / "turn.nar")
    assert instance.transform_id and instance.function.class_name == "a.Transform"
    assert api.call("GET", "functions/public/default/s/download?transform-function=true").content
    assert api.call("PUT", path, sinkConfig={"parallelism": 2}).status_code == 204
    assert plan(api, "s").transform_file
    status, reason = api.refusal(
        "PUT", path, sinkConfig={"transformFunction": "builtin://turn", "transformFunctionClassName": "a.Plain"}
    )
    assert (status, reason[:53]) == (400, "Sink transform function output must be of type Record")


def test_a_batch_source_has_its_executor(api: Api, nar: Path) -> None:
    path, batch = "sources/public/default/b", {"discoveryTriggererClassName": "a.Trigger"}
    status, reason = api.refusal("POST", path, nar, sourceConfig={**SOURCE, "className": "a.Batch"})
    assert status == 400 and "batch source source config is not specified" in reason
    status, reason = api.refusal("POST", path, nar, sourceConfig={**SOURCE, "batchSourceConfig": batch})
    assert status == 400 and "a.Source is no batch source" in reason
    config = {**SOURCE, "className": "a.Batch", "batchSourceConfig": batch}
    assert api.call("POST", path, nar, sourceConfig=config).status_code == 204
    told = api.get(path)
    assert (told["className"], told["batchSourceConfig"], told["configs"]) == ("a.Batch", batch, {})
    source = plan(api, "b").function.source
    assert source.class_name == "org.apache.pulsar.functions.source.batch.BatchSourceExecutor"
    assert source.configs["__BATCHSOURCECLASSNAME__"] == "a.Batch"


def test_what_is_built_in_is_told_and_looked_for_anew(api: Api) -> None:
    both = {"name": "both", "description": "A sample", "sourceClass": "a.Source", "sinkClass": "a.Sink"}
    for path in ("sinks/builtinsinks", "sources/builtinsources", "functions/connectors"):
        assert api.get(path) == [both]
    assert api.http.get("/admin/v2/worker/connectors").json() == [both]
    assert api.get("functions/builtins") == [{"name": "turn", "functionClass": "a.Transform"}]
    write_connector(api.directory / "connectors" / "new.nar", "new")
    assert len(api.get("sinks/builtinsinks")) == 1
    assert api.call("POST", "sinks/reloadBuiltInSinks").status_code == 204
    assert [each["name"] for each in api.get("sources/builtinsources")] == ["both", "new"]
    for name in ("both", "none"):
        reason = "builtin sink does not exist"
        assert api.refusal("GET", f"sinks/builtinsinks/{name}/configdefinition") == (404, reason)


def test_a_builtin_function_needs_no_package_and_no_class(api: Api) -> None:
    config = {"jar": "builtin://turn", "inputs": [IN]}
    created = api.call("POST", "functions/public/default/f", functionConfig=config)
    assert created.status_code == 204, created.text
    function = plan(api, "f").function
    assert (function.class_name, function.builtin) == ("a.Transform", "turn")
    assert plan(api, "f").code_file == str(api.directory / "functions" / "turn.nar")
    assert api.call("PUT", "functions/public/default/f", functionConfig={"parallelism": 2}).status_code == 204
    assert plan(api, "f").function.builtin == "turn"
    write_nar(api.directory / "functions" / "other.nar", name="other", functionClass="a.Plain")
    assert api.call("POST", "functions/builtins/reload").status_code == 204
    changes = {"jar": "builtin://other", "className": "a.Plain"}
    assert api.call("PUT", "functions/public/default/f", functionConfig=changes).status_code == 204
    function = plan(api, "f").function
    assert (function.builtin, function.class_name) == ("other", "a.Plain")
