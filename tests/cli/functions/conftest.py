"""``pfrun functions`` against a real worker, and against one that says what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pulsar
import pytest

from pulsar_runtimes.testing.golden import Golden
from tests.admin.conftest import serve_worker
from tests.cli.daemon import Ran
from tests.cli.functions.fake_worker import FakeWorker
from tests.waiting import until
from tests.workers import Run

Pfrun = Callable[..., Ran]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares with the files in ``golden`` beside these tests."""
    return Golden(Path(__file__).parent / "golden", bool(request.config.getoption("--update-golden")))


@pytest.fixture
def worker_url(run: Run, tmp_path: Path, pulsar_client: pulsar.Client) -> Iterator[str]:
    """The web service of a worker with the process runtime, on the broker that all tests share."""
    with ExitStack() as open_:
        server, _ = serve_worker(run("process"), tmp_path, pulsar_client, open_)
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def functions(worker_url: str, pfrun: Pfrun, monkeypatch: pytest.MonkeyPatch) -> Pfrun:
    """``functions("list")`` is ``pfrun functions list`` against that worker."""
    monkeypatch.setenv("PULSAR_ADMIN_URL", worker_url)
    return lambda *arguments: pfrun("functions", *arguments)


@pytest.fixture
def create(functions: Pfrun, topic: Callable[[str], str]) -> Callable[..., str]:
    """``create()`` registers ``samples.Exclaim`` as ``f``, waits until it runs, and answers its input topic."""

    def create(class_name: str = "Exclaim", *flags: str, name: str = "f") -> str:
        source = topic(f"{name}-in")
        ends = ("--inputs", source, "--output", topic(f"{name}-out"), "--subs-position", "Earliest")
        code = ("--py", "samples.py", "--classname", f"samples.{class_name}")
        ran = functions("create", "--name", name, *code, *ends, *flags)
        assert (ran.code, ran.out, ran.err) == (0, f"public/default/{name}: created\n", "")
        until(lambda: functions("status", "--name", name).out, lambda shown: "  running " in shown)
        return source

    return create


@pytest.fixture
def fake() -> Iterator[FakeWorker]:
    """A web server that answers what a test says, and remembers what it was asked."""
    with FakeWorker() as worker:
        yield worker


@pytest.fixture
def asking(fake: FakeWorker, pfrun: Pfrun, monkeypatch: pytest.MonkeyPatch) -> Pfrun:
    """``asking("list")`` is ``pfrun functions list`` against :func:`fake`."""
    monkeypatch.setenv("PULSAR_ADMIN_URL", fake.url)
    return lambda *arguments: pfrun("functions", *arguments)
