"""Apache Pulsar's own ``pulsar-admin`` against pfrun and against its own worker: it prints the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.admin.conftest import Api
from tests.standalone import standalone
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone
from tests.waiting import until
from tests.workers import SAMPLES

pytestmark = [pytest.mark.slow, pytest.mark.standalone, pytest.mark.broker]

_QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_TIMES = re.compile(r'("(?:lastInvocation|lastInvocationTime|timestampMs|averageLatency|avgProcessLatency)" :) [\d.]+')
_WORKER_ID = re.compile(r'("workerId" :) ".*"')
_STACK = re.compile(r"^\s+at .*\n?|^\t\.\.\. \d+ more\n?", re.MULTILINE)
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.,+]+ \[[\w.-]+\] ", re.MULTILINE)


class PulsarAdmin:
    """``pulsar-admin functions`` of the distribution, asking the worker at ``url``."""

    def __init__(self, home: Path, url: str, directory: Path) -> None:
        self._url = url
        self._command = [str(home / "bin" / "pulsar-admin"), "--admin-url", url, "functions"]
        self._environment = {**os.environ, "PULSAR_EXTRA_OPTS": _QUICK_JVM}
        self.directory = directory

    def ask(self, *arguments: str) -> str:
        """Exit code and output of a command, without what no two runs have in common."""
        done = subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, timeout=300, env=self._environment
        )
        text = f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
        text = text.replace(str(self.directory), "DIR").replace(self._url, "URL")
        text = _LOGGED.sub("", _STACK.sub("", text))
        return _WORKER_ID.sub(r'\1 "w"', _TIMES.sub(r"\1 0", text)).rstrip()

    def await_running(self, name: str, count: int) -> None:
        """Wait until the worker has so many running instances of a function, and they read their input."""

        def look() -> Any:
            return httpx.get(f"{self._url}/admin/v3/functions/public/default/{name}/status", timeout=30).json()

        until(look, lambda status: status["numRunning"] == count, seconds=120)
        time.sleep(2)  # the worker of the reference calls an instance running before it has subscribed


def transcript(admin: PulsarAdmin, ends: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Every command of a function's life, with what is printed."""

    def asked(*arguments: str) -> tuple[str, str]:
        return " ".join(arguments).replace(str(admin.directory), "DIR"), admin.ask(*arguments)

    code, message, loaded = (str(admin.directory / name) for name in ("samples.py", "message", "loaded.py"))
    named = ("--name", "excl")
    create = ("create", *named, "--py", code, "--classname", "samples.Exclaim", *ends, "--subs-position", "Earliest")
    yield asked(*create)
    yield asked(*create)
    yield asked("list")
    yield asked("get", *named)
    admin.await_running("excl", 1)
    yield asked("status", *named)
    yield asked("trigger", *named, "--trigger-value", "hello")
    yield asked("trigger", "--fqfn", "public/default/excl", "--trigger-file", message, "--topic", ends[1])
    yield asked("trigger", *named, "--trigger-value", "hello", "--topic", "other")
    yield asked("status", *named)
    yield asked("status", *named, "--instance-id", "0")
    yield asked("status", *named, "--instance-id", "7")
    yield asked("stats", *named)
    yield asked("stats", *named, "--instance-id", "0")
    yield asked("stop", *named)
    admin.await_running("excl", 0)
    yield asked("status", *named)
    yield asked("stop", *named)
    yield asked("start", *named, "--instance-id", "0")
    admin.await_running("excl", 1)
    yield asked("start", *named)
    yield asked("restart", *named)
    yield asked("restart", *named, "--instance-id", "7")
    admin.await_running("excl", 1)
    yield asked("update", *named, "--parallelism", "2", "--user-config", '{"k":"v"}')
    admin.await_running("excl", 2)
    yield asked("get", *named)
    yield asked("status", *named)
    yield asked("update", *named, "--parallelism", "2")
    yield asked("update", *named, "--retain-ordering", "true")
    yield asked("update", *named, "--inputs", "other")
    yield asked("update", *named, "--py", code, "--classname", "samples.Slow")
    admin.await_running("excl", 2)
    yield asked("get", *named)
    yield asked("querystate", *named, "--key", "k")
    yield asked("putstate", *named, "--state", '{"key":"k","stringValue":"v"}')
    yield asked("download", *named, "--destination-file", loaded)
    yield "what was downloaded", Path(loaded).read_text("utf-8")
    for command in ("get", "status", "restart", "delete"):
        yield asked(command, "--name", "nosuch")
    yield asked("update", "--name", "nosuch", "--parallelism", "2")
    yield asked("trigger", "--name", "nosuch", "--trigger-value", "x")
    yield asked("delete", *named)
    yield asked("list")
    yield asked("delete", *named)


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


def told(home: Path, url: str, directory: Path) -> dict[str, str]:
    """The transcript, its commands numbered."""
    directory.mkdir()
    (directory / "samples.py").write_bytes(SAMPLES.read_bytes())
    (directory / "message").write_text("from a file")
    ends = ("--inputs", "persistent://public/default/pa-in", "--output", "persistent://public/default/pa-out")
    ready = f"{url}/admin/v2/worker/cluster/leader/ready"
    until(lambda: httpx.get(ready, timeout=30).text, lambda text: text == "true", seconds=60)
    admin = PulsarAdmin(home, url, directory)
    return {f"{number}: {command}": text for number, (command, text) in enumerate(transcript(admin, ends))}


def test_its_output_is_that_of_the_java_worker(
    api: Api, java_worker: Standalone, pulsar_home: Path, tmp_path: Path
) -> None:
    urls = {"ours": str(api.http.base_url).rstrip("/"), "theirs": java_worker.admin_url}
    with ThreadPoolExecutor() as pool:  # each command is a JVM of its own
        both = [pool.submit(told, pulsar_home, url, tmp_path / name) for name, url in urls.items()]
        ours, theirs = (each.result() for each in both)
    differences = {command: (ours[command], theirs[command]) for command in ours if ours[command] != theirs[command]}
    (from_file,) = (command for command in ours if "--trigger-file" in command)
    # The reference takes as much of a file as its stream has at hand, which here is nothing.
    assert differences.pop(from_file) == ("exit code 0\nfrom a file!", "exit code 0\n!")
    assert differences == {}
    assert ours.keys() == theirs.keys()
