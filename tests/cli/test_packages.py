"""``pfrun packages`` against a real worker, and against one that says what a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.testing.golden import Golden
from tests.admin.conftest import serve_worker
from tests.cli.daemon import Ran
from tests.cli.functions.fake_worker import FakeWorker
from tests.waiting import until
from tests.workers import SAMPLES, Run

Pfrun = Callable[..., Ran]
PACKAGE: dict[str, Any] = {
    "place": "brokers",
    "name": "function://public/default/f@abc-1",
    "sha256": "0123456789abcdef",
    "fileName": "f.jar",
    "sizeBytes": 3 << 20,
    "keptSinceMs": 0,
    "functions": ["public/default/f"],
    "use": "registered",
}


@pytest.fixture
def packages(run: Run, tmp_path: Path, pulsar_client: pulsar.Client, pfrun: Pfrun) -> Iterator[Pfrun]:
    """``packages("list")`` is ``pfrun packages list`` against a worker with the process runtime."""
    with ExitStack() as open_:
        server, _ = serve_worker(run("process"), tmp_path, pulsar_client, open_)
        url = f"http://127.0.0.1:{server.port}"
        yield lambda *arguments: pfrun(
            *(("packages",) if arguments[0] != "functions" else ()), *arguments, "--url", url
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWorker]:
    with FakeWorker() as worker:
        monkeypatch.setenv("PULSAR_ADMIN_URL", worker.url)
        yield worker


@pytest.mark.parametrize("command", ["list", "gc"])
def test_the_help_of_each_command_is_as_reviewed(command: str, pfrun: Pfrun, golden: Golden) -> None:
    ran = pfrun("packages", command, "--help")
    assert (ran.code, ran.err) == (0, "")
    golden(f"help-packages-{command}.txt", ran.out)


@pytest.mark.broker
def test_the_package_of_a_function_that_is_gone_is_removed(packages: Pfrun, topic: Callable[[str], str]) -> None:
    assert packages("list") == Ran(0, "", "there are no packages\n")
    code = ("--py", str(SAMPLES), "--classname", "samples.Exclaim", "--inputs", topic("in"))
    assert packages("functions", "create", "--name", "f", *code).code == 0
    heading, row = packages("list").out.splitlines()
    assert heading.split() == ["WHERE", "SHA256", "FILE", "SIZE", "KEPT", "SINCE", "USED", "BY"]
    assert row.startswith("directory  ")
    assert row.endswith("  public/default/f")
    assert packages("gc", "--older-than", "0") == Ran(0, "0 packages removed, 0 bytes\n", "")
    assert packages("functions", "delete", "--name", "f").code == 0
    until(lambda: packages("list").out, lambda shown: shown.endswith("  (nothing; too new to be removed)\n"))
    spared = "1 more that nothing uses yet: too new, see --older-than"
    assert packages("gc") == Ran(0, f"0 packages removed, 0 bytes\n{spared}\n", "")
    ran = packages("gc", "--dry-run", "--older-than", "0")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1].startswith("1 package would be removed, 4.0 KiB")
    assert "  nothing\n" in ran.out
    told = json.loads(packages("gc", "--older-than", "0", "--output", "json").out)
    assert [package["fileName"] for package in told["removed"]] == ["samples.py"]
    assert json.loads(packages("list", "--output", "json").out) == []


def test_what_the_brokers_keep_is_listed_by_its_name(pfrun: Pfrun, fake: FakeWorker) -> None:
    fake.answers(200, [PACKAGE, PACKAGE | {"functions": [], "use": "later\x1b[31m", "sizeBytes": 1 << 50}])
    assert pfrun("packages", "list").out == (
        "WHERE    SHA256        FILE   SIZE        USED BY           NAME\n"
        "brokers  0123456789ab  f.jar  3.0 MiB     public/default/f  function://public/default/f@abc-1\n"
        "brokers  0123456789ab  f.jar  1024.0 TiB  later [31m        function://public/default/f@abc-1\n"
    )
    assert fake.asked[0].path == "/admin/v3/functions/packages"


def test_what_could_not_be_removed_is_told(pfrun: Pfrun, fake: FakeWorker) -> None:
    fake.answers(200, {"dryRun": False, "removed": [PACKAGE], "problems": ["x: is not removed: no room"]})
    ran = pfrun("packages", "gc", "--older-than", "5")
    assert (ran.code, ran.err) == (1, "x: is not removed: no room\n")
    assert ran.out.splitlines()[-1] == "1 package removed, 3.0 MiB"
    (asked,) = fake.asked
    assert (asked.method, asked.path) == ("POST", "/admin/v3/functions/packages/gc?olderThanSeconds=5&dryRun=false")


@pytest.mark.parametrize("command", ["list", "gc"])
def test_a_worker_that_does_not_tell_of_packages_is_told(command: str, pfrun: Pfrun, fake: FakeWorker) -> None:
    for status in (404, 405):
        fake.answers(status, "<html><title>Error</title></html>")
        ran = pfrun("packages", command)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.endswith("; only workers of pfrun tell of their packages\n")
        assert len(ran.err.splitlines()) == 1


def test_odd_answers_break_nothing(pfrun: Pfrun, fake: FakeWorker) -> None:
    answers: tuple[Any, ...] = ([], {}, [1], None, [{"functions": 3, "sizeBytes": "x"}])
    for told in answers:
        fake.answers(200, told)
        assert pfrun("packages", "list").code == 0
        assert pfrun("packages", "gc").code == 0
    assert pfrun("packages", "gc", "--older-than", "soon").code == 2
