"""``pfrun explain``: each setting, where it comes from, what becomes of it, and the memory sum."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.daemon import Ran

Pfrun = Callable[..., Ran]
Write = Callable[[str, str], str]
Function = Callable[..., str]

WORKER = """\
workerId: w
pulsarServiceUrl: pulsar://there:6650
numHttpServerThreads: 4
functionRuntimeFactoryClassName: thread
functionRuntimeFactoryConfigs:
  threadGroupName: group
  pulsarClientMemoryLimit:
    absoluteValue: 62914560
"""

SECRETS = """\
brokerClientAuthenticationPlugin: org.apache.pulsar.client.impl.auth.AuthenticationToken
brokerClientAuthenticationParameters: token:s3cret
authenticationEnabled: true
bookkeeperClientAuthenticationParameters: s3cret
tlsKeyStorePassword: s3cret
functionRuntimeFactoryConfigs:
  apiToken: s3cret
"""

FUNCTION_SECRETS = """\
secrets: {KEY: s3cret}
userConfig: {password: s3cret, mark: "?"}
"""


@pytest.fixture
def settings(pfrun: Pfrun) -> Callable[..., dict[str, dict[str, Any]]]:
    """Of one part of what ``explain --output json`` tells: the settings by key."""

    def settings(part: str, *arguments: str) -> dict[str, dict[str, Any]]:
        told = json.loads(pfrun("explain", "--output", "json", *arguments).out)
        found = told["functions"][0] if part == "function" else told[part]
        return {row["key"]: row for row in found["settings"]}

    return settings


Settings = Callable[..., dict[str, dict[str, Any]]]


def test_each_setting_of_the_worker_has_value_origin_and_use(settings: Settings, write: Write) -> None:
    told = settings("worker", "-c", write("worker.yml", WORKER))
    assert set(told) == {"workerId", "numHttpServerThreads", "pulsarServiceUrl", "functionRuntimeFactoryClassName"}
    assert told["pulsarServiceUrl"] == {
        "key": "pulsarServiceUrl",
        "value": "pulsar://there:6650",
        "origin": "worker.yml:2",
        "use": "honoured",
        "note": "",
    }
    assert (told["numHttpServerThreads"]["origin"], told["numHttpServerThreads"]["use"]) == (
        "worker.yml:3",
        "has no effect",
    )
    assert told["numHttpServerThreads"]["note"]


def test_a_value_from_the_environment_names_its_variable(
    settings: Settings, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PF_workerId", "other")
    monkeypatch.setenv("PF_functionRuntimeFactoryConfigs_threadGroupName", "mine")
    file = write("worker.yml", WORKER)
    seen = settings("worker", "-c", file)["workerId"], settings("runtime", "-c", file)
    assert (seen[0]["value"], seen[0]["origin"]) == ("other", "environment variable PF_workerId")
    group = seen[1]["functionRuntimeFactoryConfigs.threadGroupName"]
    assert (group["value"], group["origin"]) == (
        "mine",
        "environment variable PF_functionRuntimeFactoryConfigs_threadGroupName",
    )


def test_defaults_are_shown_when_asked_for(settings: Settings, write: Write) -> None:
    file = write("worker.yml", WORKER)
    assert "maxPendingAsyncRequests" not in settings("worker", "-c", file)
    told = settings("worker", "--all", "-c", file)["maxPendingAsyncRequests"]
    assert (told["value"], told["origin"]) == ("1000", "default")


def test_keys_that_the_runtime_does_not_know_have_no_effect(settings: Settings, write: Write) -> None:
    told = settings("runtime", "-c", write("worker.yml", f"{WORKER}  threadGroupNam: x\n"))
    assert told["functionRuntimeFactoryConfigs.threadGroupName"]["use"] == "honoured"
    wrong = told["functionRuntimeFactoryConfigs.threadGroupNam"]
    assert (wrong["use"], wrong["origin"]) == ("has no effect", "worker.yml:9")
    assert wrong["note"] == "is not a known key; did you mean 'threadGroupName'?"


def test_each_setting_of_a_function_has_value_origin_and_use(settings: Settings, function: Function) -> None:
    more = "resources: {cpu: 1}\nproducerConfig:\n  useThreadLocalProducers: true\n  batchBuilder: KEY_BASED\n"
    told = settings("function", "--function-config", function(more=more))
    seen = {key: (row["value"], row["origin"].partition(":")[2], row["use"]) for key, row in told.items()}
    assert seen == {
        "name": ("f", "1", "honoured"),
        "py": ("samples.py", "2", "honoured"),
        "className": ("samples.Exclaim", "3", "honoured"),
        "inputs": ('["f-in"]', "4", "honoured"),
        "output": ("f-out", "5", "honoured"),
        "subscriptionPosition": ("Earliest", "6", "honoured"),
        "resources": ('{"cpu": 1}', "7", "has no effect"),
        "producerConfig.useThreadLocalProducers": ("true", "9", "has no effect"),
        "producerConfig.batchBuilder": ("KEY_BASED", "10", "honoured"),
    }


def test_all_settings_of_a_function_tell_what_is_refused(settings: Settings, function: Function) -> None:
    told = settings("function", "--all", "--function-config", function())
    assert (told["inputSpecs.cryptoConfig"]["origin"], told["inputSpecs.cryptoConfig"]["use"]) == ("default", "refused")
    assert "producerConfig.compressionType" in told


def test_a_function_that_another_instance_would_run_has_no_such_table(
    pfrun: Pfrun, write: Write, function: Function
) -> None:
    write("worker.yml", "functionRuntimeFactoryClassName: kubernetes\npulsarServiceUrl: pulsar://there:6650\n")
    ran = pfrun("explain", "-c", "worker.yml", "--function-config", function())
    assert "Apache Pulsar's own instance runs it" in ran.out
    assert (ran.code, "cannot launch on Kubernetes yet" in ran.err) == (2, True)


@pytest.mark.parametrize("form", ["table", "json"])
def test_secrets_are_masked(form: str, pfrun: Pfrun, write: Write, function: Function) -> None:
    write("worker.yml", SECRETS)
    function(more=FUNCTION_SECRETS)
    ran = pfrun("explain", "--all", "-c", "worker.yml", "--function-config", "f.yml", "--output", form)
    assert ran.code == 0
    assert "s3cret" not in ran.out + ran.err
    assert "***" in ran.out


# The memory of clients


def test_the_memory_of_threads_is_one_limit_in_equal_shares(pfrun: Pfrun, write: Write, function: Function) -> None:
    write("worker.yml", WORKER)
    function(more="parallelism: 2", name="a")
    function(name="b")
    ran = pfrun("explain", "-c", "worker.yml", "--function-config", "a.yml", "--function-config", "b.yml")
    assert "pulsarClientMemoryLimit: absoluteValue 62914560 bytes (60 MiB)\n" in ran.out
    assert "shared by all instances of this worker, on one client: 3 x share = 60 MiB\n" in ran.out
    assert "public/default/a: 2 instances, 1 consumer each; share 20 MiB, receiver queue 2 messages\n" in ran.out


def test_the_memory_of_processes_is_the_limit_times_the_instances(
    pfrun: Pfrun, write: Write, function: Function
) -> None:
    write("worker.yml", WORKER.replace("thread\n", "process\n").replace("threadGroupName: group", "logDirectory: l"))
    function(more="parallelism: 3")
    ran = pfrun("explain", "-c", "worker.yml", "--function-config", "f.yml")
    assert "each instance has a client of its own: 3 x 60 MiB = 180 MiB together\n" in ran.out


def test_without_functions_there_is_no_sum(pfrun: Pfrun, write: Write) -> None:
    ran = pfrun("explain", "-c", write("worker.yml", WORKER))
    assert "shared by all instances of this worker, on one client\n" in ran.out
    assert " x share" not in ran.out


def test_a_percentage_is_taken_of_the_memory_ceiling(pfrun: Pfrun, write: Write) -> None:
    write("worker.yml", WORKER.replace("absoluteValue: 62914560", "percentOfMaxDirectMemory: 10"))
    memory = json.loads(pfrun("explain", "-c", "worker.yml", "--output", "json").out)["memory"]
    assert memory["limit_bytes"] == int(memory["ceiling_bytes"] * 0.1)


def test_clients_that_may_hold_more_than_there_is_are_a_warning(pfrun: Pfrun, write: Write, function: Function) -> None:
    text = WORKER.replace("thread\n", "process\n").replace("threadGroupName: group", "logDirectory: l")
    write("worker.yml", text.replace("absoluteValue: 62914560", "percentOfMaxDirectMemory: 60"))
    function(more="parallelism: 2")
    ran = pfrun("explain", "-c", "worker.yml", "--function-config", "f.yml")
    assert "warning: the clients may hold" in ran.err
    assert "above the memory ceiling" in ran.err


# What cannot be read


def test_problems_are_told_as_check_tells_them(pfrun: Pfrun, write: Write) -> None:
    write("f.yml", "name: f\nparallelism: many\n")
    told = pfrun("explain", "--function-config", "f.yml")
    assert (told.code, told.out) == (2, "")
    assert told.err == pfrun("check", "--function-config", "f.yml").err
    assert "f.yml:2: parallelism: must be a number (got 'many')\n" in told.err


def test_json_has_the_problems_when_nothing_can_be_explained(pfrun: Pfrun, write: Write) -> None:
    ran = pfrun("explain", "-c", write("worker.yml", f"{WORKER}useTls: perhaps\n"), "--output", "json")
    told = json.loads(ran.out)
    assert (ran.code, ran.err, told["worker"], told["functions"]) == (2, "", None, [])
    assert [(problem["line"], problem["key"]) for problem in told["problems"]] == [(9, "useTls")]
