"""``pfrun explain``: each setting, where it comes from, what becomes of it, and the memory sum."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes import Worker, load_worker_config
from pulsar_runtimes.cli.function_settings import warn_without_effect
from pulsar_runtimes.config.function import parse_function_config, read_function_config
from pulsar_runtimes.instance.support import PYTHON_SETTINGS, SettingSupport, Treatment
from pulsar_runtimes.runtimes.language_support import GO_SETTINGS, JAVA_SETTINGS, REFERENCE_PYTHON_SETTINGS
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


@pytest.mark.parametrize(
    ("keys", "note"),
    [
        ("", "absent: pfrun's Python instances keep state in sqlite:///"),
        ("pulsarServiceUrl: pulsar://h", "absent, and the broker is not the embedded one: functions have no state"),
        ("stateStorageServiceUrl: bk://h:4181", "Java and Python functions keep state there"),
        ("stateStorageServiceUrl: sqlite:///s.db", "Python functions keep state there; Java functions are refused"),
        ("stateStorageServiceUrl: redsi://h", "pfrun itself cannot use it: no state store named 'redsi'; installed: "),
    ],
)
def test_it_is_told_where_functions_keep_state(keys: str, note: str, settings: Settings, write: Write) -> None:
    told = settings("worker", "--conf", write("w.yml", f"workerId: w\n{keys}\n"), "--all")
    assert told["stateStorageServiceUrl"]["note"].startswith(note)


def test_keys_that_the_runtime_does_not_know_have_no_effect(settings: Settings, write: Write) -> None:
    told = settings("runtime", "-c", write("worker.yml", f"{WORKER}  threadGroupNam: x\n"))
    assert told["functionRuntimeFactoryConfigs.threadGroupName"]["use"] == "honoured"
    wrong = told["functionRuntimeFactoryConfigs.threadGroupNam"]
    assert (wrong["use"], wrong["origin"]) == ("has no effect", "worker.yml:9")
    assert wrong["note"] == "is not a known key; did you mean 'threadGroupName'?"


@pytest.mark.parametrize(
    ("beside", "why"),
    [
        ("strictReference: true", "strictReference launches without it"),
        ("logDirectory: logs", "installUserCodeDependencies is not on"),
    ],
)
def test_keys_that_do_nothing_beside_others_have_no_effect(
    beside: str, why: str, settings: Settings, write: Write
) -> None:
    keys = f"{{{beside}, pythonDependencyRepository: 'https://there/simple', hungAfterSeconds: 5}}"
    told = settings("runtime", "-c", write("worker.yml", f"functionRuntimeFactoryConfigs: {keys}\n"))
    idle = told["functionRuntimeFactoryConfigs.pythonDependencyRepository"]
    assert (idle["use"], idle["note"]) == ("has no effect", why)
    assert told["functionRuntimeFactoryConfigs.hungAfterSeconds"]["use"] == "honoured"


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
        "resources": ('{"cpu": 1}', "7", "honoured"),
        "producerConfig.useThreadLocalProducers": ("true", "9", "has no effect"),
        "producerConfig.batchBuilder": ("KEY_BASED", "10", "honoured"),
    }


def test_all_settings_of_a_function_tell_what_is_refused(settings: Settings, function: Function) -> None:
    told = settings("function", "--all", "--function-config", function())
    assert (told["inputSpecs.cryptoConfig"]["origin"], told["inputSpecs.cryptoConfig"]["use"]) == ("default", "refused")
    assert "producerConfig.compressionType" in told


def test_a_setting_is_shown_where_it_stands(settings: Settings, write: Write) -> None:
    write("f.yml", "name: f\npy: samples.py\nclassName: samples.Exclaim\ninputs: [a]\ncustomSerdeInputs: {b: x.Y}\n")
    told = settings("function", "--function-config", "f.yml")
    assert {key: row["origin"] for key, row in told.items()} == {
        "name": "f.yml:1",
        "py": "f.yml:2",
        "className": "f.yml:3",
        "inputs": "f.yml:4",
        "customSerdeInputs.serdeClassName": "f.yml:5",
    }
    write("g.yml", "name: f\npy: samples.py\nclassName: samples.Exclaim\ninputs: [a]\nbatchBuilder: KEY_BASED\n")
    told = settings("function", "--function-config", "g.yml")
    assert (told["batchBuilder"]["value"], told["batchBuilder"]["use"]) == ("KEY_BASED", "honoured")
    assert not [key for key in told if key.startswith("producerConfig")]


def test_a_function_that_another_instance_would_run_has_no_such_table(
    pfrun: Pfrun, write: Write, function: Function
) -> None:
    write(
        "worker.yml",
        "functionRuntimeFactoryClassName: kubernetes\n"
        "pulsarServiceUrl: pulsar://there:6650\npulsarWebServiceUrl: http://there:8080\n",
    )
    ran = pfrun("explain", "-c", "worker.yml", "--function-config", function())
    assert "Apache Pulsar's own instance runs it" in ran.out
    assert (ran.code, ran.err) == (0, "")


# Other languages, and other instances

REAL = "pulsarServiceUrl: pulsar://there:6650\n"
GO = """\
name: g
go: program
inputs: [in]
output: out
runtimeFlags: -x
retainOrdering: true
subscriptionPosition: Earliest
batchBuilder: KEY_BASED
logTopic: log
resources: {ram: 268435456}
"""
JAVA = """\
name: j
jar: f.jar
className: sample.F
inputs: [in]
output: out
processingGuarantees: EFFECTIVELY_ONCE
skipToLatest: true
customRuntimeOptions: "{}"
resources: {ram: 268435456}
parallelism: 2
"""


@pytest.fixture
def go_function(place: Path, write: Write) -> str:
    write("program", "#!/bin/sh\n")
    (place / "program").chmod(0o755)
    write("worker.yml", REAL)
    return write("g.yml", GO)


@pytest.fixture
def java_function(write: Write) -> str:
    """It is refused, as its package is none; its settings are explained all the same."""
    write("f.jar", "")
    write("worker.yml", REAL)
    return write("j.yml", JAVA)


def uses(told: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {key: row["use"] for key, row in told.items()}


def test_what_a_go_program_ignores_has_no_effect(settings: Settings, go_function: str) -> None:
    told = settings("function", "-c", "worker.yml", "--function-config", go_function)
    assert uses(told) == {
        **dict.fromkeys(("name", "go", "inputs", "output", "logTopic", "resources"), "honoured"),
        **dict.fromkeys(("runtimeFlags", "retainOrdering", "subscriptionPosition", "batchBuilder"), "has no effect"),
    }
    assert told["retainOrdering"]["note"] == (
        "the subscription type never reaches a Go program: its subscription is Shared"
    )


@pytest.mark.parametrize("command", ["check", "explain"])
def test_what_a_go_program_ignores_is_a_warning(command: str, pfrun: Pfrun, go_function: str) -> None:
    ran = pfrun(command, "-c", "worker.yml", "--function-config", go_function)
    assert ran.code == 0
    warned = [line.split(": ")[1:4] for line in ran.err.splitlines()]
    assert warned == [
        ["g.yml:8", "batchBuilder", "has no effect"],
        ["g.yml:7", "subscriptionPosition", "has no effect"],
        ["g.yml:6", "retainOrdering", "has no effect"],
        ["g.yml:5", "runtimeFlags", "has no effect"],
    ]


def test_a_java_instance_does_what_the_reference_does(settings: Settings, java_function: str) -> None:
    told = settings("function", "-c", "worker.yml", "--function-config", java_function)
    assert {key for key, use in uses(told).items() if use != "honoured"} == {"customRuntimeOptions"}
    assert "-Xmx" in told["resources"]["note"]


def test_an_auto_ack_of_false_does_nothing_in_java(settings: Settings, write: Write, java_function: str) -> None:
    write("j.yml", JAVA.replace("processingGuarantees: EFFECTIVELY_ONCE", "autoAck: false"))
    told = settings("function", "-c", "worker.yml", "--function-config", java_function)
    assert told["autoAck"]["use"] == "has no effect"
    assert "processingGuarantees: MANUAL" in told["autoAck"]["note"]


@pytest.mark.parametrize("key", ["pythonInstanceLocation: there.py", "strictReference: true"])
def test_the_python_instance_of_apache_pulsar_has_a_table_of_its_own(
    key: str, settings: Settings, write: Write, function: Function
) -> None:
    file = function(more="skipToLatest: true")
    assert settings("function", "--function-config", file)["skipToLatest"]["use"] == "refused"
    write("worker.yml", f"{REAL}functionRuntimeFactoryConfigs:\n  {key}\n")
    told = settings("function", "-c", "worker.yml", "--function-config", file)["skipToLatest"]
    assert (told["use"], told["note"]) == ("has no effect", "Apache Pulsar's Python instance does not apply it")


@pytest.mark.parametrize(
    ("worker", "why"),
    [
        ("functionRuntimeFactoryClassName: thread\n", "with the thread runtime"),
        ("functionRuntimeFactoryConfigs:\n  enforceResources: false\n", "with enforceResources: false"),
    ],
)
def test_resources_that_nobody_enforces_have_no_effect(
    worker: str, why: str, settings: Settings, write: Write, function: Function
) -> None:
    file = function(more="resources: {cpu: 1}")
    told = settings("function", "-c", write("worker.yml", worker), "--function-config", file)["resources"]
    note = f"pfrun sets no limits {why}; only the worker's bounds are checked"
    assert (told["use"], told["note"]) == ("has no effect", note)
    section = read_function_config(file)
    warn_without_effect(parse_function_config(section), section, Worker(load_worker_config("worker.yml")))
    assert [(warning.path, warning.message) for warning in section.warnings] == [
        ("resources", f"has no effect: {note}")
    ]


@pytest.mark.parametrize("table", [JAVA_SETTINGS, GO_SETTINGS, REFERENCE_PYTHON_SETTINGS], ids=["java", "go", "python"])
def test_every_setting_of_a_python_function_has_a_row_in_the_other_tables(table: tuple[SettingSupport, ...]) -> None:
    """That of pfrun's own Python instance has all there are, as its own tests prove."""
    packages = {"py", "jar", "go"}
    refused_when_read = {"retainKeyOrdering", "maxMessageRetries, deadLetterTopic"} if table is GO_SETTINGS else set()
    only_java = {"windowConfig"} if table is JAVA_SETTINGS else set()
    wanted = {row.key.partition(":")[0] for row in PYTHON_SETTINGS} - packages - refused_when_read
    assert {row.key.partition(":")[0] for row in table} - packages == wanted | only_java
    assert [row.key for row in table if row.treatment is not Treatment.HONOURED and not row.note] == []


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


LIMITED = f"{REAL}functionRuntimeFactoryConfigs:\n  pulsarClientMemoryLimit: {{absoluteValue: 67108864}}\n"


def test_the_memory_of_a_java_instance_is_heap_and_direct_memory(
    pfrun: Pfrun, write: Write, java_function: str
) -> None:
    write("worker.yml", LIMITED)
    out = pfrun("explain", "-c", "worker.yml", "--function-config", java_function).out
    assert "each instance has a client of its own: 2 x 64 MiB = 128 MiB together\n" in out
    assert (
        "public/default/j: 2 instances, 1 consumer each; heap 256 MiB (-Xmx, resources.ram) + direct memory 64 MiB "
        "(-XX:MaxDirectMemorySize, where its client keeps messages) = 320 MiB each, 640 MiB together\n"
    ) in out
    assert "half of a share" not in out


def test_without_a_limit_direct_memory_is_the_default_of_the_jvm(pfrun: Pfrun, java_function: str) -> None:
    out = pfrun("explain", "-c", "worker.yml", "--function-config", java_function).out
    assert (
        "public/default/j: 2 instances, 1 consumer each; heap 256 MiB (-Xmx, resources.ram), and as much direct "
        "memory, where its client keeps messages\n"
    ) in out


def test_java_instances_that_may_use_more_than_there_is_are_a_warning(
    pfrun: Pfrun, write: Write, java_function: str
) -> None:
    write("worker.yml", LIMITED)
    write("j.yml", JAVA.replace("parallelism: 2", "parallelism: 100000"))
    ran = pfrun("explain", "-c", "worker.yml", "--function-config", java_function)
    assert "of heap and direct memory together, which is above the memory ceiling of" in ran.err


@pytest.mark.parametrize(
    ("more", "flags", "why"),
    [
        ("  strictReference: true\n", "", "strictReference launches without it"),
        ("", "runtimeFlags: -XX:MaxDirectMemorySize=1g\n", "its own -XX:MaxDirectMemorySize counts"),
        (
            "additionalJavaRuntimeArguments: [-XX:MaxDirectMemorySize=1g]\n",
            "",
            "its own -XX:MaxDirectMemorySize counts",
        ),
    ],
)
def test_a_limit_that_does_not_reach_java_is_a_warning(
    more: str, flags: str, why: str, pfrun: Pfrun, write: Write, java_function: str
) -> None:
    write("worker.yml", f"{LIMITED}{more}")
    write("j.yml", f"{JAVA}{flags}")
    ran = pfrun("explain", "-c", "worker.yml", "--function-config", java_function)
    assert f"direct memory without a limit of pfrun's: {why}\n" in ran.out
    assert f"warning: public/default/j: pulsarClientMemoryLimit has no effect on its clients: {why}\n" in ran.err


def test_no_limit_reaches_a_go_program(pfrun: Pfrun, write: Write, go_function: str) -> None:
    write("worker.yml", LIMITED)
    ran = pfrun("explain", "-c", "worker.yml", "--function-config", go_function)
    why = "a Go program takes no such setting"
    assert f"public/default/g: 1 instance, 1 consumer each; no limit: {why}\n" in ran.out
    assert f"warning: public/default/g: pulsarClientMemoryLimit has no effect on its clients: {why}\n" in ran.err


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
