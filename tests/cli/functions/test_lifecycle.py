"""The life of functions on a worker, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.daemon import Ran, run_process
from tests.waiting import until

pytestmark = pytest.mark.broker

Pfrun = Callable[..., Ran]
Create = Callable[..., str]
Write = Callable[[str, str], str]
NAMED = ("--name", "f")


def test_a_function_is_created_asked_and_deleted(functions: Pfrun, create: Create) -> None:
    create()
    assert functions("list") == Ran(0, "NAME\nf\n", "")
    assert functions("trigger", *NAMED, "--trigger-value", "hello") == Ran(0, "hello!\n", "")

    status = functions("status", *NAMED)
    heading, row = status.out.splitlines()
    assert heading.split()[:4] == ["INSTANCE", "STATE", "RESTARTS", "RECEIVED"]
    assert row.split()[:6] == ["0", "running", "0", "1", "1", "0"]

    stats = functions("stats", *NAMED)
    assert [line.split()[:4] for line in stats.out.splitlines()[1:3]] == [["0", "1", "1", "0"], ["all", "1", "1", "0"]]
    assert "\nWithin the last minute\nINSTANCE" in stats.out

    assert functions("delete", "--fqfn", "public/default/f") == Ran(0, "public/default/f: deleted\n", "")
    assert functions("get", *NAMED) == Ran(2, "", "public/default/f: Function f doesn't exist\n")
    assert functions("list") == Ran(0, "", "public/default has no functions\n")
    assert functions("list", "--output", "json") == Ran(0, "[]\n", "")


def test_scripts_get_json(functions: Pfrun, create: Create) -> None:
    source = create()
    functions("trigger", *NAMED, "--trigger-value", "x")
    assert json.loads(functions("list", "--output", "json").out) == ["f"]
    config = json.loads(functions("get", *NAMED, "--output", "json").out)
    assert (config["className"], list(config["inputSpecs"])) == ("samples.Exclaim", [source])
    whole = json.loads(functions("status", *NAMED, "--output", "json").out)
    one = json.loads(functions("status", *NAMED, "--instance-id", "0", "--output", "json").out)
    assert whole["instances"][0]["status"]["numReceived"] == one["numReceived"] == 1
    whole = json.loads(functions("stats", *NAMED, "--output", "json").out)
    one = json.loads(functions("stats", *NAMED, "--instance-id", "0", "--output", "json").out)
    assert whole["receivedTotal"] == one["receivedTotal"] == 1


def test_what_get_shows_can_be_created_again(functions: Pfrun, create: Create, write: Write) -> None:
    create()
    write("again.json", functions("get", *NAMED, "--output", "json").out)
    functions("delete", *NAMED)
    ran = functions("create", "--function-config-file", "again.json", "--py", "samples.py")
    assert ran == Ran(0, "public/default/f: created\n", "")


def test_an_instance_is_stopped_started_and_restarted(functions: Pfrun, create: Create) -> None:
    create("Exclaim", "--parallelism", "2")

    def states() -> list[str]:
        return [line.split()[1] for line in functions("status", *NAMED).out.splitlines()[1:]]

    until(states, lambda seen: seen == ["running", "running"])
    assert functions("stop", *NAMED, "--instance-id", "1").out == "public/default/f:1: will be stopped\n"
    until(states, lambda seen: seen == ["running", "stopped"])
    assert functions("stop", *NAMED).out == "public/default/f: will be stopped\n"
    until(states, lambda seen: seen == ["stopped", "stopped"])
    assert functions("stop", *NAMED) == Ran(2, "", "public/default/f: Operation not permitted\n")
    assert functions("start", *NAMED).code == 0
    until(states, lambda seen: seen == ["running", "running"])
    assert functions("restart", *NAMED).out == "public/default/f: will be restarted\n"
    until(states, lambda seen: seen == ["running", "running"])
    ran = functions("status", *NAMED, "--instance-id", "7")
    assert ran == Ran(2, "", "public/default/f: Function f doesn't have instance with id 7\n")


def test_an_update_changes_what_it_names(functions: Pfrun, create: Create, place: Path) -> None:
    create()
    assert functions("update", *NAMED, "--parallelism", "2") == Ran(0, "public/default/f: updated\n", "")
    config = json.loads(functions("get", *NAMED, "--output", "json").out)
    assert (config["parallelism"], config["className"]) == (2, "samples.Exclaim")

    (place / "samples.py").write_text((place / "samples.py").read_text().replace('}!"', '}?"'))
    assert functions("update", *NAMED, "--py", "samples.py").code == 0
    until(lambda: functions("trigger", *NAMED, "--trigger-value", "who").out, lambda answer: answer == "who?\n")

    ran = functions("update", *NAMED, "--retain-ordering")
    assert ran == Ran(2, "", "public/default/f: Retain Ordering cannot be altered\n")
    ran = functions("update", "--name", "nosuch", "--parallelism", "3")
    assert ran == Ran(2, "", "public/default/nosuch: Function nosuch doesn't exist\n")


def test_a_message_may_come_from_a_file(functions: Pfrun, create: Create, place: Path) -> None:
    source = create()
    (place / "message").write_bytes("größe".encode())
    assert functions("trigger", *NAMED, "--trigger-file", "message", "--topic", source).out == "größe!\n"
    ran = functions("trigger", *NAMED, "--trigger-value", "x", "--topic", "other")
    assert ran == Ran(2, "", "public/default/f: Function in trigger function has unidentified topic\n")


def test_how_lives_ended_is_shown(functions: Pfrun, create: Create) -> None:
    create("Exits")
    functions("trigger", *NAMED, "--trigger-value", "exit")
    shown = until(lambda: functions("status", *NAMED).out, lambda shown: "How the last lives ended" in shown)
    _, _, told = shown.partition("How the last lives ended\n")
    heading, *ends = told.splitlines()
    assert heading.split()[:4] == ["INSTANCE", "WHEN", "EXIT", "CODE"]
    assert ends[0].startswith("0 ")
    verbose = functions("status", *NAMED, "--verbose").out
    assert len(verbose.splitlines()) > len(shown.splitlines())


def test_a_large_package_arrives_as_it_is(functions: Pfrun, create: Create, place: Path) -> None:
    with (place / "samples.py").open("a") as file:
        file.write(f"\nPADDING = '{'x' * (9 << 20)}'\n")
    create()
    assert functions("trigger", *NAMED, "--trigger-value", "a").out == "a!\n"


def test_the_command_as_a_process(functions: Pfrun, create: Create, worker_url: str) -> None:
    create()
    assert run_process("functions", "list", "--url", f"{worker_url}/") == Ran(0, "NAME\nf\n", "")
    ran = run_process("functions", "delete", "--url", worker_url, "--name", "g")
    assert ran == Ran(2, "", "public/default/g: Function g doesn't exist\n")
