"""``pfrun functions apply``: a directory of function configs, and what a worker has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.daemon import Ran
from tests.cli.functions.fake_worker import FakeWorker

Pfrun = Callable[..., Ran]
Topic = Callable[[str], str]
Put = Callable[..., Path]

APPLY = ("apply", "-f", "fns")


@pytest.fixture
def put(place: Path, topic: Topic) -> Put:
    """``put("a", parallelism=2)`` writes the config of a function to the directory, and answers the file."""
    directory = place / "fns"
    directory.mkdir()

    def put(name: str, /, **members: object) -> Path:
        config = {"py": "samples.py", "className": "samples.Exclaim", "inputs": [topic(f"{name}-in")]}
        file = directory / f"{name}.yml"
        file.write_text(json.dumps({"name": name, **config, "output": topic(f"{name}-out"), **members}))
        return file

    return put


@pytest.mark.broker
def test_a_directory_is_applied_and_then_there_is_nothing_to_do(functions: Pfrun, put: Put, place: Path) -> None:
    put("a", resources={"cpu": 0.5})
    put("b", userConfig={"k": "v"}, subscriptionPosition="Earliest", skipToLatest=False)
    plan = (
        "KIND      NAME              ACTION\nfunction  public/default/a  create\nfunction  public/default/b  create\n"
    )
    assert functions(*APPLY, "--dry-run") == Ran(0, plan, "")
    assert functions("list").out == ""
    assert functions(*APPLY) == Ran(0, plan, "public/default/a: created\npublic/default/b: created\n")
    assert functions(*APPLY) == Ran(0, "nothing to do\n", "")

    put("a", resources={"cpu": 0.5, "ram": 256 << 20}, parallelism=2)
    (place / "samples.py").write_text((place / "samples.py").read_text() + "\nMORE = 1\n")
    told = json.loads(functions(*APPLY, "--dry-run", "--output", "json").out)
    assert told == [
        {
            "kind": "function",
            "name": "public/default/a",
            "action": "update",
            "members": ["parallelism", "resources", "code"],
        },
        {"kind": "function", "name": "public/default/b", "action": "update", "members": ["code"]},
    ]
    assert functions(*APPLY).err == "public/default/a: updated\npublic/default/b: updated\n"
    assert functions(*APPLY).out == "nothing to do\n"
    config = json.loads(functions("get", "--name", "a", "--output", "json").out)
    assert (config["parallelism"], config["resources"]["ram"]) == (2, 256 << 20)


@pytest.mark.broker
def test_what_the_directory_does_not_have_is_deleted_when_asked_for(functions: Pfrun, put: Put) -> None:
    put("a")
    gone = put("b")
    functions(*APPLY)
    gone.unlink()
    assert functions(*APPLY).out == "nothing to do\n"
    ran = functions(*APPLY, "--prune")
    assert ran.code == 2
    assert "public/default/b  delete" in ran.out
    assert "--prune asks before it deletes, and nobody can answer here; give --yes" in ran.err
    ran = functions(*APPLY, "--prune", "--yes")
    plan = "KIND      NAME              ACTION\nfunction  public/default/b  delete\n"
    assert ran == Ran(0, plan, "public/default/b: deleted\n")
    assert functions("list").out == "NAME\na\n"


@pytest.mark.broker
def test_what_no_update_can_change_is_told_before_anything_is_done(functions: Pfrun, put: Put) -> None:
    put("a", retainOrdering=True, subscriptionPosition="Earliest")
    functions(*APPLY)
    put("a", retainOrdering=False, subscriptionPosition="Latest")
    put("b")
    ran = functions(*APPLY)
    assert (ran.code, ran.out) == (2, "")
    assert "fns/a.yml: public/default/a: Retain Ordering cannot be altered\n" in ran.err
    put("a", retainOrdering=True, subscriptionPosition="Latest")
    assert "a: subscriptionPosition: cannot be changed by an update" in functions(*APPLY).err
    put("a", retainOrdering=True, inputs=["another"])
    assert "a: Input Topics cannot be altered" in functions(*APPLY).err
    assert functions("list").out == "NAME\na\n"


def test_every_problem_of_every_file_comes_at_once(asking: Pfrun, fake: FakeWorker, put: Put, place: Path) -> None:
    put("a", parallelism=0)
    put("b", unheard=1)
    put("c", name="d")
    put("d")
    (place / "fns" / "e.json").write_text("{")
    (place / "fns" / "README.md").write_text("no config")
    ran = asking(*APPLY)
    assert (ran.code, ran.out) == (2, "")
    for told in ("a.yml:1: parallelism: ", "b.yml:1: unheard: ", "d.yml: public/default/d is the", "e.json:2: "):
        assert f"fns/{told}" in ran.err
    assert not fake.asked


def test_a_directory_without_configs_is_told(asking: Pfrun, fake: FakeWorker, put: Put) -> None:
    assert asking(*APPLY, "--prune", "--yes") == Ran(2, "", "fns: has no configs: no file ends in .yml, .yaml, .json\n")
    assert asking("apply", "-f", "gone").err == "gone: cannot be read: no such file or directory\n"
    assert not fake.asked


def test_one_that_fails_does_not_keep_the_others(asking: Pfrun, fake: FakeWorker, put: Put) -> None:
    put("a")
    put("b")
    fake.answers(404, {"reason": "no"})
    ran = asking(*APPLY)
    assert (ran.code, ran.err) == (2, "public/default/a: no\npublic/default/b: no\n")
    fake.answers(503, {"reason": "later"})
    assert asking(*APPLY).code == 1
