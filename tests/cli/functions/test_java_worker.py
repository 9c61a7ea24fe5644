"""``pfrun functions`` against the functions worker of Apache Pulsar itself."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.daemon import Ran
from tests.standalone import standalone
from tests.standalone.distribution import fetch_connector
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

Pfrun = Callable[..., Ran]
Topic = Callable[[str], str]

NAMED = ("--name", "excl")
_SECONDS = 120.0


@pytest.fixture(scope="module")
def java_worker(pulsar_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A Pulsar with its own functions worker, which runs functions as processes."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    started = or_skip(
        lambda: standalone.start(
            tmp_path_factory.mktemp("java-worker"),
            pulsar_home,
            os.environ | {"PATH": path, "PULSAR_HOME": str(pulsar_home)},
            functions_worker="process",
            dies_with_caller=True,
        )
    )
    yield started
    started.stop()


@pytest.fixture
def functions(java_worker: Standalone, pfrun: Pfrun, monkeypatch: pytest.MonkeyPatch) -> Pfrun:
    monkeypatch.setenv("PULSAR_ADMIN_URL", java_worker.admin_url)
    return lambda *arguments: pfrun("functions", *arguments)


def test_a_function_lives_on_the_worker_of_apache_pulsar(functions: Pfrun, topic: Topic, place: Path) -> None:
    (place / "fns").mkdir()
    ends = {"inputs": [topic("in")], "output": topic("out")}
    config = {"name": "excl", "py": "samples.py", "className": "samples.Exclaim", "subscriptionPosition": "Earliest"}
    (place / "fns" / "excl.json").write_text(json.dumps(config | ends))

    plan = "KIND      NAME                 ACTION\nfunction  public/default/excl  create\n"
    assert functions("apply", "-f", "fns") == Ran(0, plan, "public/default/excl: created\n")
    ran = functions("create", "--function-config-file", "fns/excl.json")
    assert ran == Ran(2, "", "public/default/excl: Function excl already exists\n")
    assert functions("list") == Ran(0, "NAME\nexcl\n", "")
    told = json.loads(functions("get", *NAMED, "--output", "json").out)
    assert (told["className"], told["runtime"], list(told["inputSpecs"])) == (
        "samples.Exclaim",
        "PYTHON",
        ends["inputs"],
    )
    _await(functions, "running")
    answer = until(
        lambda: functions("trigger", *NAMED, "--trigger-value", "hello"), lambda ran: ran.code == 0, seconds=_SECONDS
    )
    assert answer.out == "hello!\n"
    (place / "message").write_text("from a file")
    assert functions("trigger", *NAMED, "--trigger-file", "message").out == "from a file!\n"
    stats = json.loads(functions("stats", *NAMED, "--output", "json").out)
    assert stats["processedSuccessfullyTotal"] >= 1
    assert functions("stats", *NAMED).code == 0

    assert functions("apply", "-f", "fns").out == "nothing to do\n"
    (place / "fns" / "excl.json").write_text(json.dumps(config | ends | {"userConfig": {"k": 1}}))
    assert functions("apply", "-f", "fns").out.endswith("  update  userConfig\n")
    assert functions("apply", "-f", "fns").out == "nothing to do\n"
    assert functions("update", *NAMED, "--py", "samples.py", "--classname", "samples.Slow").code == 0
    assert functions("download", *NAMED, "--destination-file", "got.py").code == 0
    assert (place / "got.py").read_bytes() == (place / "samples.py").read_bytes()

    _await(functions, "running")
    assert functions("stop", *NAMED).code == 0
    _await(functions, "stopped")
    assert functions("stop", *NAMED) == Ran(2, "", "public/default/excl: Operation not permitted\n")
    assert functions("start", *NAMED, "--instance-id", "0").code == 0
    _await(functions, "running")
    assert functions("restart", *NAMED).code == 0

    told_logs = "this worker shows no logs; those of Apache Pulsar leave them in files beside them"
    assert functions("logs", *NAMED) == Ran(2, "", f"public/default/excl:0: {told_logs}\n")
    assert functions("querystate", *NAMED, "-k", "k").code == 1
    package = "function://public/default/pkg@v1"
    assert functions("upload", "--source-file", "samples.py", "--path", package).code == 0
    assert functions("download", "--path", package, "--destination-file", "pkg.py").code == 0
    assert (place / "pkg.py").read_bytes() == (place / "samples.py").read_bytes()

    assert functions("delete", *NAMED) == Ran(0, "public/default/excl: deleted\n", "")
    assert functions("status", *NAMED) == Ran(2, "", "public/default/excl: Function excl doesn't exist\n")


def test_sinks_and_sources_of_a_directory_are_applied_there_as_well(
    functions: Pfrun, topic: Topic, place: Path
) -> None:
    archive = or_skip(lambda: fetch_connector(os.environ))
    files: dict[str, dict[str, object]] = {
        "sources/people": {"topicName": topic("people"), "configs": {"sleepBetweenMessages": 1000}},
        "sinks/printer": {"inputs": [topic("people")], "sourceSubscriptionName": "printer"},
    }

    def write(path: str, **more: object) -> None:
        file = place / "all" / f"{path}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        config = {"name": file.stem, "archive": str(archive), **files[path], **more}
        file.write_text(json.dumps({"resources": {"cpu": 0.1, "ram": 128 << 20}, **config}))

    for path in files:
        write(path)
    apply = ("apply", "-f", "all")
    told = "public/default/people: created\npublic/default/printer: created\n"
    assert functions(*apply).err == told
    assert functions(*apply) == Ran(0, "nothing to do\n", "")
    write("sinks/printer", parallelism=2)
    ran = functions(*apply)
    assert (ran.code, ran.err) == (0, "public/default/printer: updated\n")
    assert ran.out.endswith("public/default/printer  update  parallelism\n")
    assert functions(*apply).out == "nothing to do\n"
    (place / "all" / "sinks" / "printer.yml").unlink()
    ran = functions(*apply, "--prune", "--yes")
    assert ran.out.endswith("sink  public/default/printer  delete\n")
    assert ran == Ran(0, ran.out, "public/default/printer: deleted\n")
    assert functions(*apply, "--prune").out == "nothing to do\n"


def _await(functions: Pfrun, state: str) -> None:
    """Until all of the column says ``state``: an instance that is not reached yet is "not running"."""
    until(lambda: functions("status", *NAMED).out, lambda shown: f"  {state} " in shown, seconds=_SECONDS)
