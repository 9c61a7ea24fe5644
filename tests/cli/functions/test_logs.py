"""``pfrun functions logs``, and what else is about files and bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.daemon import Daemon, Ran
from tests.cli.functions.fake_worker import FakeWorker
from tests.waiting import until

Pfrun = Callable[..., Ran]
Create = Callable[..., str]
Start = Callable[..., Daemon]
NAMED = ("--name", "f")


@pytest.mark.broker
def test_the_last_lines_are_shown(functions: Pfrun, create: Create) -> None:
    create("Talks")
    functions("trigger", *NAMED, "--trigger-value", "x")
    until(lambda: functions("logs", *NAMED).out, lambda shown: "told x" in shown and "printed x" in shown)
    assert len(functions("logs", *NAMED, "--tail", "2").out.splitlines()) == 2
    ran = functions("logs", *NAMED, "--instance-id", "3")
    assert ran == Ran(2, "", "public/default/f:3: Function f doesn't have instance with id 3\n")
    ran = functions("logs", "--name", "g")
    assert ran == Ran(2, "", "public/default/g: Function g doesn't exist\n")


@pytest.mark.broker
def test_lines_of_several_instances_tell_whose_they_are(functions: Pfrun, create: Create) -> None:
    create("Talks", "--parallelism", "2")
    until(
        lambda: functions("logs", *NAMED).out.splitlines(), lambda lines: {line[:3] for line in lines} == {"0: ", "1: "}
    )


@pytest.mark.broker
def test_a_log_is_followed_over_a_restart(functions: Pfrun, create: Create, daemon: Start) -> None:
    create("Talks")
    following = daemon("functions", "logs", *NAMED, "--follow")

    def lives() -> tuple[bool, int]:
        (instance,) = json.loads(functions("status", *NAMED, "--output", "json").out)["instances"]
        return instance["status"]["running"], instance["status"]["numRestarts"]

    for number, word in enumerate(("one", "two")):
        until(lives, lambda seen: seen == (True, number))  # noqa: B023 - called at once
        functions("trigger", *NAMED, "--trigger-value", word)
        following.await_out(f"printed {word}")
        functions("restart", *NAMED)
    following.interrupt()
    assert following.wait() == 130
    lines = following.out.splitlines()
    assert [line for line in lines if line.startswith("printed ")] == ["printed one", "printed two"]
    assert following.err.strip() == ""


def test_a_worker_without_logs_is_told(asking: Pfrun, fake: FakeWorker) -> None:
    fake.answers(404, "<html><title>Error 404 Not Found</title></html>")
    ran = asking("logs", *NAMED, "--instance-id", "0")
    told = "this worker shows no logs; those of Apache Pulsar leave them in files beside them"
    assert ran == Ran(2, "", f"public/default/f:0: {told}\n")


@pytest.mark.broker
def test_the_code_is_downloaded(functions: Pfrun, create: Create, place: Path) -> None:
    create()
    (place / "mine.py").write_text("old")
    assert functions("download", *NAMED, "--destination-file", "mine.py") == Ran(0, "mine.py: downloaded\n", "")
    assert (place / "mine.py").read_bytes() == (place / "samples.py").read_bytes()
    ran = functions("download", "--name", "g", "--destination-file", "mine.py")
    assert ran == Ran(2, "", "public/default/g: Function g doesn't exist\n")
    assert (place / "mine.py").read_bytes() == (place / "samples.py").read_bytes()
    assert sorted(path.name for path in place.iterdir()) == ["mine.py", "samples.py"]
    ran = functions("download", *NAMED, "--destination-file", "no/such/place")
    assert ran == Ran(2, "", "no/such/place: cannot be written: no such file or directory\n")


def test_packages_are_stored_and_fetched(asking: Pfrun, fake: FakeWorker, place: Path) -> None:
    package = "function://public/default/p@1"
    assert asking("upload", "--source-file", "samples.py", "--path", package).out == f"{package}: stored\n"
    assert fake.asked[0].path == "/admin/v3/functions/upload"
    assert fake.asked[0].parts()["path"][2] == package.encode()
    assert fake.asked[0].parts()["data"][2] == (place / "samples.py").read_bytes()
    fake.answers(200, {"some": "bytes"})
    assert asking("download", "--path", package, "--destination-file", "p").code == 0
    assert fake.asked[1].path == "/admin/v3/functions/download?path=function%3A%2F%2Fpublic%2Fdefault%2Fp%401"
    assert (place / "p").read_text() == '{"some": "bytes"}'
    assert "give --path, or name a function" in asking("download", "--path", "p", *NAMED, "--destination-file", "p").err


def test_state_is_put_and_queried(asking: Pfrun, fake: FakeWorker) -> None:
    state = {"key": "a/b", "stringValue": "v"}
    assert asking("putstate", *NAMED, "--state", json.dumps(state)).out == "public/default/f: a/b is set\n"
    assert fake.asked[0].path == "/admin/v3/functions/public/default/f/state/a%2Fb"
    assert json.loads(fake.asked[0].parts()["state"][2]) == state
    fake.answers(200, {**state, "version": 3})
    assert asking("querystate", *NAMED, "-k", "a/b").out == "KEY  STRINGVALUE  VERSION\na/b  v            3\n"
    assert json.loads(asking("querystate", *NAMED, "-k", "a/b", "--output", "json").out) == {**state, "version": 3}
    fake.answers(404, {"reason": "key 'k' doesn't exist."})
    assert asking("querystate", *NAMED, "-k", "k") == Ran(2, "", "public/default/f: key 'k' doesn't exist.\n")


@pytest.mark.parametrize("state", ["x", "[]", "{}", '{"key": ""}', '{"key": 1}', '{"key": "k"}'])
def test_what_is_no_state_is_refused(asking: Pfrun, fake: FakeWorker, state: str) -> None:
    ran = asking("putstate", *NAMED, "--state", state)
    assert ran.code == 2
    assert "must be a state in JSON, such as" in ran.err
    assert not fake.asked


@pytest.mark.broker
def test_a_worker_without_a_state_store_says_so(functions: Pfrun, create: Create) -> None:
    create()
    ran = functions("querystate", *NAMED, "--key", "k")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("public/default/f: State storage client is not done initializing.")
