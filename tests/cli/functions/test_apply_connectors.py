"""``pfrun functions apply`` on a directory of functions, sinks and sources."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.admin.conftest import serve_worker
from tests.cli.daemon import Ran
from tests.cli.functions.fake_worker import FakeWorker
from tests.connectors.nars import write_connector
from tests.workers import Run

Pfrun = Callable[..., Ran]
Put = Callable[..., Path]

APPLY = ("apply", "-f", "all")
FUNCTION = {"py": "samples.py", "className": "samples.Exclaim", "inputs": ["in"], "output": "out"}
SINK = {"archive": "own.nar", "inputs": ["out"]}
SOURCE = {"sourceType": "both", "topicName": "in"}


@pytest.fixture
def worker(run: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A worker whose runtime only plays, with the connector ``both`` built in; ``own.nar`` lies in the directory."""
    (tmp_path / "connectors").mkdir()
    write_connector(tmp_path / "connectors" / "both.nar")
    write_connector(place / "own.nar", "own")
    with ExitStack() as open_:
        playing = run(
            "pulsar_runtimes.testing.fakes:FakeRuntimeFactory",
            functionRuntimeFactoryConfigs={"languages": ["JAVA", "PYTHON"]},
            pulsarServiceUrl="pulsar://127.0.0.1:1",
            connectorsDirectory=str(tmp_path / "connectors"),
        )
        server, _ = serve_worker(playing, tmp_path, None, open_)
        url = f"http://127.0.0.1:{server.port}"
        monkeypatch.setenv("PULSAR_ADMIN_URL", url)
        yield open_.enter_context(httpx.Client(base_url=f"{url}/admin/v3", timeout=30))


@pytest.fixture
def functions(pfrun: Pfrun) -> Pfrun:
    return lambda *arguments: pfrun("functions", *arguments)


@pytest.fixture
def put(place: Path) -> Put:
    """``put("sinks/s", **members)`` writes the config of the sink ``s``."""

    def put(path: str, /, **members: object) -> Path:
        file = place / "all" / f"{path}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"name": file.stem, **members}))
        return file

    return put


def test_all_kinds_are_applied_and_then_there_is_nothing_to_do(
    functions: Pfrun, worker: httpx.Client, put: Put, place: Path
) -> None:
    put("plain", **FUNCTION)
    put("functions/f", **FUNCTION)
    put("sinks/s", **SINK, configs={"a": 1}, sourceSubscriptionName="sub", resources={"cpu": 0.5})
    put("sources/t", **SOURCE)
    plan = (
        "KIND      NAME                  ACTION\n"
        "source    public/default/t      create\n"
        "function  public/default/f      create\n"
        "function  public/default/plain  create\n"
        "sink      public/default/s      create\n"
    )
    ran = functions(*APPLY)
    assert (ran.code, ran.out) == (0, plan)
    assert functions(*APPLY) == Ran(0, "nothing to do\n", "")
    assert worker.get("/sources/public/default/t").json()["archive"] == "builtin://both"
    content = worker.get("/functions/public/default/s/download").content
    assert content == (place / "own.nar").read_bytes()

    put("sinks/s", **SINK, configs={"a": 2}, sourceSubscriptionName="sub", parallelism=2)
    put("sources/t", **SOURCE | {"topicName": "persistent://public/default/in"}, parallelism=2)
    with (place / "own.nar").open("ab") as archive:
        archive.write(b"\0")
    told = json.loads(functions(*APPLY, "--dry-run", "--output", "json").out)
    assert [(one["kind"], one["name"], one["members"]) for one in told if one["action"] == "update"] == [
        ("source", "public/default/t", ["parallelism"]),
        ("sink", "public/default/s", ["configs", "parallelism", "code"]),
    ]
    assert functions(*APPLY).err == "public/default/t: updated\npublic/default/s: updated\n"
    assert functions(*APPLY).out == "nothing to do\n"
    sink: dict[str, Any] = worker.get("/sinks/public/default/s").json()
    assert (sink["configs"], sink["parallelism"], sink["resources"]["cpu"]) == ({"a": 2}, 2, 0.5)


def test_what_the_directory_does_not_have_is_deleted_whatever_it_is(
    functions: Pfrun, worker: httpx.Client, put: Put
) -> None:
    put("f", **FUNCTION)
    changes = put("sinks/changes", **SINK)
    gone = put("sources/gone", **SOURCE)
    assert functions(*APPLY).code == 0
    gone.unlink()
    changes.unlink()
    put("sources/changes", **SOURCE)
    ran = functions(*APPLY)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "all/sources/changes.yml: public/default/changes: is a sink on the worker; delete it first, or with --prune\n"
    )
    ran = functions(*APPLY, "--prune", "--yes")
    assert ran.out == (
        "KIND    NAME                    ACTION\n"
        "source  public/default/gone     delete\n"
        "sink    public/default/changes  delete\n"
        "source  public/default/changes  create\n"
    )
    assert ran.code == 0
    assert worker.get("/sources/public/default").json() == ["changes"]
    assert worker.get("/sinks/public/default").json() == []


def test_what_no_update_of_a_connector_can_change_is_told_before_anything_is_done(
    functions: Pfrun, worker: httpx.Client, put: Put
) -> None:
    put("sinks/s", **SINK | {"inputs": ["one", "two"]}, retainOrdering=True)
    assert functions(*APPLY).code == 0
    put("sinks/s", **SINK | {"inputs": ["one", "other"]}, retainOrdering=False)
    put("sources/t", **SOURCE)
    ran = functions(*APPLY)
    assert (ran.code, ran.out) == (2, "")
    where = "all/sinks/s.yml: public/default/s: "
    assert ran.err == f"{where}Retain Ordering cannot be altered\n{where}Input Topics cannot be altered\n"
    put("sinks/s", **SINK | {"inputs": ["one"]}, retainOrdering=True)
    assert "s: inputSpecs: cannot be changed by an update; delete the sink and create it" in functions(*APPLY).err
    assert worker.get("/sources/public/default").json() == []


def test_a_file_in_the_wrong_place_is_told_where_it_belongs(asking: Pfrun, fake: FakeWorker, put: Put) -> None:
    put("s", **SINK, sinkType="both")
    put("u", **SINK)
    put("functions/t", **SOURCE)
    put("sinks/f", **FUNCTION)
    put("sink/s", **SINK)
    put("f", **FUNCTION)
    put("sources/f", **SOURCE)
    ran = asking(*APPLY)
    assert (ran.code, ran.out) == (2, "")
    for told in (
        "all/s.yml:1: sinkType: makes this the config of a sink, whose place is sinks/\n",
        "all/u.yml:1: archive: makes this the config of a sink or source, whose place is sinks/ or sources/\n",
        "all/functions/t.yml:1: topicName: makes this the config of a source, whose place is sources/\n",
        "all/sinks/f.yml:1: py: makes this the config of a function, whose place is functions/\n",
        "all/sink: is not read; is sinks/ meant?\n",
        "public/default/f is the function of all/f.yml as well\n",
    ):
        assert told in ran.err, ran.err
    assert not fake.asked


def test_an_archive_is_a_file_beside_a_name_or_a_url(asking: Pfrun, fake: FakeWorker, put: Put, place: Path) -> None:
    put("sinks/gone", **SINK | {"archive": "gone.nar"})
    assert "gone.yml:1: archive: there is no such file (got 'gone.nar'); looked in" in asking(*APPLY).err
    put("sinks/gone", **SINK | {"archive": "builtin://both"})
    put("sinks/far", **SINK | {"archive": "https://example.com/far.nar"})
    write_connector(place / "all" / "sinks" / "near.nar")
    put("sinks/near", **SINK | {"archive": "near.nar"})
    fake.answers(404, {"reason": "no"})
    asking(*APPLY)
    created = {each.path: each.parts() for each in fake.asked if each.method == "POST"}
    sinks = "/admin/v3/sinks/public/default"
    assert set(created) == {f"{sinks}/gone", f"{sinks}/far", f"{sinks}/near"}
    assert json.loads(created[f"{sinks}/gone"]["sinkConfig"][2])["archive"] == "builtin://both"
    assert created[f"{sinks}/far"]["url"][2] == b"https://example.com/far.nar"
    assert created[f"{sinks}/near"]["data"][2] == (place / "all" / "sinks" / "near.nar").read_bytes()
    assert "archive" not in json.loads(created[f"{sinks}/near"]["sinkConfig"][2])
