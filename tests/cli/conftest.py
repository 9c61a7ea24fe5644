"""``pfrun`` as tests call it: in this process for its text, as a process of its own where that matters."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import Signals

import pulsar
import pytest

from pulsar_runtimes.cli.group import run
from pulsar_runtimes.config.function import load_function_config
from pulsar_runtimes.testing.golden import Golden
from tests.channel import Channel
from tests.cli.daemon import Daemon, Ran

SAMPLES = Path(__file__).parent.parent / "functions" / "samples.py"
_OF_THE_CALLER = ("PF_", "PFRUN_", "_PFRUN", "PULSAR_", "NO_COLOR")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares with the files in ``golden`` beside the tests of the command line."""
    return Golden(Path(__file__).parent / "golden", bool(request.config.getoption("--update-golden")))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test: empty but for ``samples.py``, with no setting of the caller's around."""
    for name in list(os.environ):
        if name.startswith(_OF_THE_CALLER):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PFRUN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    place = tmp_path / "place"
    place.mkdir()
    shutil.copy(SAMPLES, place)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def write(place: Path) -> Callable[[str, str], str]:
    """``write("worker.yml", text)`` makes a file of the working directory, and answers its name."""

    def write(name: str, text: str) -> str:
        (place / name).write_text(text, encoding="utf-8")
        return name

    return write


@pytest.fixture
def function(write: Callable[[str, str], str]) -> Callable[..., str]:
    """``function("Exclaim")`` is the config file of a class of the samples, between the topics in and out."""

    def function(class_name: str = "Exclaim", more: str = "", *, name: str = "f") -> str:
        text = f"name: {name}\npy: samples.py\nclassName: samples.{class_name}\ninputs: [{name}-in]\n"
        return write(f"{name}.yml", f"{text}output: {name}-out\nsubscriptionPosition: Earliest\n{more}\n")

    return function


@pytest.fixture
def pfrun(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """``pfrun("check", "--conf", file)`` runs the command within this process."""

    def pfrun(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run(arguments)
        return Ran(code, *capsys.readouterr())

    return pfrun


@pytest.fixture
def daemon(tmp_path: Path, place: Path) -> Iterator[Callable[..., Daemon]]:
    """``daemon("start", ...)`` runs the command as a process; none of them outlives the test."""
    started: list[Daemon] = []

    def daemon(*arguments: str, ignoring: Signals | None = None) -> Daemon:
        started.append(Daemon(arguments, tmp_path / f"daemon-{len(started)}", ignoring=ignoring))
        return started[-1]

    yield daemon
    for each in started:
        each.kill()


@pytest.fixture
def talk() -> Iterator[Callable[[Daemon, str], Channel]]:
    """``talk(daemon, file)`` opens a channel to the function of a config file on the broker of a daemon."""
    clients: list[pulsar.Client] = []

    def talk(daemon: Daemon, file: str) -> Channel:
        clients.append(pulsar.Client(daemon.broker_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)))
        return Channel(clients[-1], load_function_config(file))

    yield talk
    for client in clients:
        client.close()
