"""``pfrun check``: everything that is wrong, at once, and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.daemon import Ran

Pfrun = Callable[..., Ran]
Write = Callable[[str, str], str]
Function = Callable[..., str]

LIMIT = "functionRuntimeFactoryConfigs.pulsarClientMemoryLimit"

BAD_WORKER = """\
workerId: x
workerPortt: 12
functionRuntimeFactoryClassName: thread
functionRuntimeFactoryConfigs:
  threadGroupNam: x
  pulsarClientMemoryLimit:
    absoluteValue: 0
    percentOfMaxDirectMemory: 101
"""

BAD_FUNCTION = """\
name: bad
py: samples.py
className: samples.Exclaim
inputs: in
parallelism: -1
outputt: x
"""


def problems_of(ran: Ran) -> list[str]:
    return [line for line in ran.err.splitlines() if not line.startswith("warning: ")]


# All is well


def test_a_good_configuration_and_its_functions_are_ok(pfrun: Pfrun, write: Write, function: Function) -> None:
    write("worker.yml", "functionRuntimeFactoryClassName: thread\n")
    assert pfrun("check", "--conf", "worker.yml", "--function-config", function(more="parallelism: 2")) == Ran(
        0,
        "ok worker.yml: thread runtime, broker pulsar-lite (embedded)\nok f.yml: public/default/f, 2 instances\n",
        "",
    )


def test_without_a_file_the_defaults_are_ok(pfrun: Pfrun) -> None:
    ran = pfrun("check")
    assert (ran.code, ran.out) == (
        0,
        "ok no configuration file: process runtime, broker pulsar-lite (embedded)\n",
    )


def test_the_file_is_named_by_a_variable_when_no_option_names_one(
    pfrun: Pfrun, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSAR_WORKER_CONF", write("named.yml", "pulsarServiceUrl: pulsar://there:6650\n"))
    assert pfrun("check").out == "ok named.yml: process runtime, broker pulsar://there:6650\n"


def test_a_warning_is_told_and_fails_nothing(pfrun: Pfrun, write: Write, function: Function) -> None:
    write("worker.yml", "workerPortt: 12\n")
    ran = pfrun("check", "-c", "worker.yml", "--function-config", function(more="customRuntimeOptions: '{}'"))
    why = "read by the Kubernetes runtime only"
    assert ran.code == 0
    assert ran.err.splitlines() == [
        "warning: worker.yml:1: workerPortt: is not a known key and has no effect; did you mean 'workerPort'?",
        f"warning: f.yml:7: customRuntimeOptions: has no effect: {why}",
    ]


KUBERNETES = """\
functionRuntimeFactoryClassName: kubernetes
pulsarServiceUrl: pulsar://127.0.0.1:1
pulsarWebServiceUrl: http://127.0.0.1:2
"""


def test_functions_are_admitted_for_kubernetes(pfrun: Pfrun, write: Write, function: Function) -> None:
    write("worker.yml", KUBERNETES)
    ran = pfrun("check", "-c", "worker.yml", "--function-config", function())
    assert (ran.code, ran.err) == (0, "")
    ran = pfrun("check", "-c", "worker.yml", "--function-config", function(name="f."))
    assert (ran.code, "its job name 'pf-public-default-f.' must begin and end with" in ran.err) == (2, True)


def test_nothing_is_left_behind(pfrun: Pfrun, function: Function, tmp_path: Path, place: Path) -> None:
    file = function()
    before = sorted(place.iterdir())
    assert pfrun("check", "--function-config", file).code == 0
    assert sorted(place.iterdir()) == before
    assert not (tmp_path / "state").exists()


# What is wrong


def test_all_problems_of_all_files_come_at_once_with_file_line_and_key(pfrun: Pfrun, write: Write) -> None:
    write("worker.yml", BAD_WORKER)
    write("bad.yml", BAD_FUNCTION)
    ran = pfrun("check", "-c", "worker.yml", "--function-config", "bad.yml", "--function-config", "missing.yml")
    assert (ran.code, ran.out) == (2, "")
    assert sorted(problems_of(ran)) == [
        "bad.yml:4: inputs: must be a list (got 'in'); write it as ['in']",
        "bad.yml:5: parallelism: must be from 1 to 2147483647 (got -1)",
        "bad.yml:6: outputt: is not a known key; did you mean 'output'?",
        "missing.yml: there is no such file",
        f"worker.yml:7: {LIMIT}.absoluteValue: must be above 0, in bytes (got 0)",
        f"worker.yml:8: {LIMIT}.percentOfMaxDirectMemory: must be above 0 and at most 100 (got 101)",
    ]
    assert "warning: worker.yml:2: workerPortt: is not a known key and has no effect; did you mean 'workerPort'?" in (
        ran.err
    )


def test_a_misspelled_key_beside_a_wrong_one_of_the_runtime_is_told_with_the_nearest(
    pfrun: Pfrun, write: Write
) -> None:
    ran = pfrun("check", "-c", write("worker.yml", BAD_WORKER))
    assert (
        "warning: worker.yml:5: functionRuntimeFactoryConfigs.threadGroupNam: is not a known key; "
        "did you mean 'threadGroupName'?"
    ) in ran.err


def test_a_mistake_of_the_worker_hides_none_of_its_runtime(pfrun: Pfrun, write: Write) -> None:
    ran = pfrun("check", "-c", write("worker.yml", f"{BAD_WORKER}instanceLivenessCheckFreqMs: soon\n"))
    assert [problem.split(": ")[0] for problem in problems_of(ran)] == ["worker.yml:9", "worker.yml:7", "worker.yml:8"]


def test_a_mistake_in_the_environment_is_told_with_the_variable_and_hides_nothing(
    pfrun: Pfrun, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PF_numHttpServerThreads", "many")
    ran = pfrun("check", "-c", write("worker.yml", BAD_WORKER))
    assert problems_of(ran)[0] == (
        "environment variable PF_numHttpServerThreads: numHttpServerThreads: must be a number (got 'many')"
    )
    assert len(problems_of(ran)) == 3


def test_a_runtime_whose_name_is_wrong_has_no_problems_of_another(pfrun: Pfrun, write: Write) -> None:
    ran = pfrun("check", "-c", write("worker.yml", BAD_WORKER.replace(": thread", ": [thread]")))
    assert problems_of(ran) == ["worker.yml:3: functionRuntimeFactoryClassName: must be text (got a list)"]


@pytest.mark.parametrize("key", ["absoluteValue", "percentOfMaxDirectMemory"])
@pytest.mark.parametrize("value", ["0", "-1", "101", "64M"])
def test_a_wrong_memory_limit_is_told_with_its_line_and_value(value: str, key: str, pfrun: Pfrun, write: Write) -> None:
    before = "functionRuntimeFactoryClassName: thread\nfunctionRuntimeFactoryConfigs:\n  pulsarClientMemoryLimit:\n"
    ran = pfrun("check", "-c", write("worker.yml", f"{before}    {key}: {value}\n"))
    if (key, value) == ("absoluteValue", "101"):  # bytes: small, and yet a limit
        assert ran.code == 0
        return
    assert ran.code == 2
    (problem,) = problems_of(ran)
    assert problem.startswith(f"worker.yml:4: {LIMIT}.{key}: must be ")
    assert value in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "functionRuntimeFactoryClassName: docker",
            "worker.yml:1: functionRuntimeFactoryClassName: no ",
        ),
        ("a: [1", "worker.yml:2: is not valid YAML"),
        ("", "worker.yml: is empty"),
        ("- 1", "worker.yml"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(text: str, problem: str, pfrun: Pfrun, write: Write) -> None:
    ran = pfrun("check", "-c", write("worker.yml", f"{text}\n"))
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert ran.err.startswith(problem)


def test_an_unknown_runtime_names_those_that_are_installed(pfrun: Pfrun, write: Write) -> None:
    ran = pfrun("check", "-c", write("worker.yml", "functionRuntimeFactoryClassName: docker\n"))
    assert ran.err.endswith("no runtime factory named 'docker'; installed: kubernetes, process, subprocess, thread\n")


def test_an_unknown_broker_names_those_that_are_installed(pfrun: Pfrun, function: Function) -> None:
    ran = pfrun("check", "--broker", "rabbit", "--function-config", function())
    assert ran.code == 2
    assert problems_of(ran)[0] == "--broker: no broker named 'rabbit'; installed: pulsar-lite"


def test_a_file_where_the_state_directory_should_be_is_a_problem(pfrun: Pfrun, write: Write, place: Path) -> None:
    ran = pfrun("check", "--state-dir", write("file", ""))
    assert (ran.code, ran.err) == (2, f"{place / 'file'}: the state directory must be a directory\n")


def test_code_that_is_not_there_is_told_with_the_places_that_were_looked_at(
    pfrun: Pfrun, write: Write, place: Path
) -> None:
    write("f.yml", "name: f\nclassName: a.B\ninputs: [in]\npy: gone.py\n")
    ran = pfrun("check", "--function-config", "f.yml")
    assert (ran.code, ran.err) == (2, f"f.yml:4: py: there is no such file (got 'gone.py'); looked in {place}\n")


def test_two_functions_of_one_name_are_a_problem(pfrun: Pfrun, function: Function, write: Write, place: Path) -> None:
    write("again.yml", (place / function()).read_text())
    ran = pfrun("check", "--function-config", "f.yml", "--function-config", "again.yml")
    assert ran.code == 2
    assert ran.err == "again.yml: public/default/f is the function of f.yml as well; a name may be given once\n"
    assert "ok f.yml: public/default/f, 1 instance\n" in ran.out


def test_what_the_embedded_broker_cannot_do_is_told_before_a_start(pfrun: Pfrun, write: Write) -> None:
    write("f.yml", "name: f\nclassName: samples.Exclaim\npy: samples.py\ntopicsPattern: public/default/a.*\n")
    ran = pfrun("check", "--function-config", "f.yml")
    assert ran.code == 2
    assert "cannot serve input topics given by a pattern; set pulsarServiceUrl" in ran.err


# For programs


def test_json_tells_the_same(pfrun: Pfrun, write: Write, function: Function) -> None:
    write("worker.yml", BAD_WORKER)
    ran = pfrun("check", "-c", "worker.yml", "--function-config", function(), "--output", "json")
    told: dict[str, Any] = json.loads(ran.out)
    assert (ran.code, ran.err, told["ok"], told["runtime"]) == (2, "", False, None)
    assert [(problem["file"], problem["line"], problem["key"]) for problem in told["problems"]] == [
        ("worker.yml", 7, f"{LIMIT}.absoluteValue"),
        ("worker.yml", 8, f"{LIMIT}.percentOfMaxDirectMemory"),
    ]
    assert [warning["line"] for warning in told["warnings"]] == [2, 5]
    assert told["functions"] == [{"file": "f.yml", "function": "public/default/f", "instances": 1, "admitted": False}]


def test_json_of_a_good_configuration_has_no_problems(pfrun: Pfrun, function: Function) -> None:
    told = json.loads(pfrun("check", "--function-config", function(), "--output", "json").out)
    assert (told["ok"], told["runtime"], told["problems"]) == (True, "process", [])
    assert told["functions"][0]["admitted"] is True


def test_no_message_shows_a_secret(pfrun: Pfrun, write: Write) -> None:
    write("worker.yml", "brokerClientAuthenticationParameters: {token: s3cret}\nuseTls: s3cret\n")
    write("f.yml", "name: f\nclassName: a.B\npy: samples.py\ninputs: [in]\nsecrets: s3cret-of-f\nparallelism: x\n")
    for form in ("text", "json"):
        ran = pfrun("check", "-c", "worker.yml", "--function-config", "f.yml", "--output", form)
        assert ran.code == 2
        assert "s3cret-of-f" not in ran.out + ran.err
        assert "token" not in ran.out + ran.err
