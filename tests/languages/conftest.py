"""Functions in other languages: a Go program built from source, and workers that run them on a real Apache Pulsar."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.supervisor.policy import RestartPolicy
from pulsar_runtimes.worker.worker import Worker
from tests.channel import Channel
from tests.standalone.distribution import UnavailableError, cache_directory
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone

GO_SOURCES = Path(__file__).parent / "go_function"
GO_SECONDS = 900.0

Run = Callable[..., Worker]
Talk = Callable[[FunctionSpec], Channel]


@pytest.fixture(scope="session")
def go_function() -> Path:
    """The program of ``go_function/``, built once for each state of its sources, and kept in the cache."""
    return or_skip(lambda: build_go_function(os.environ))


def build_go_function(environment: Mapping[str, str]) -> Path:
    """``UnavailableError`` when there is no Go, or no way to the modules; a compiler's complaint is a failure."""
    digest = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        digest.update((GO_SOURCES / name).read_bytes())
    target = cache_directory(environment) / f"go-function-{digest.hexdigest()[:16]}" / "function"
    if target.is_file():
        return target
    go = shutil.which("go", path=environment.get("PATH", os.defpath))
    if go is None:
        raise UnavailableError("no go on the PATH, which builds the Go function of the tests; see go.dev/doc/install")
    # This fetches what the build needs, and nothing else. Only afterwards a failure is one of the program.
    fetched = _run_go([go, "list", "-deps", "."], environment)
    if fetched.returncode != 0:
        raise UnavailableError(f"the modules of the Go function cannot be had:\n{fetched.stderr.strip()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target: a rename is atomic within one file system only. The later of two builds at once wins.
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.partial-", dir=target.parent) as partial:
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", f"{partial}/function", "."]
        built = _run_go(command, environment)
        assert built.returncode == 0, built.stderr
        Path(partial, "function").rename(target)
    return target


def _run_go(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    settings = {**environment, "CGO_ENABLED": "0", "GOWORK": "off"}
    try:
        return subprocess.run(command, cwd=GO_SOURCES, env=settings, capture_output=True, text=True, timeout=GO_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"go {command[1]}: not done within {GO_SECONDS:g} s") from error


@pytest.fixture
def run(tmp_path: Path, pulsar_standalone: Standalone) -> Iterator[Run]:
    """``run()`` is a started worker with the process runtime on the real Pulsar, stopped when the test ends."""
    with ExitStack() as workers:

        def start(*, policy: RestartPolicy | None = None, runtime: dict[str, Any] | None = None) -> Worker:
            document = {
                "functionRuntimeFactoryClassName": "process",
                "functionRuntimeFactoryConfigs": {"logDirectory": str(tmp_path / "logs"), **(runtime or {})},
                "pulsarServiceUrl": pulsar_standalone.service_url,
            }
            config = parse_worker_config(parse_document(json.dumps(document)), {})
            return workers.enter_context(Worker(config, state_dir=tmp_path / "state", restart_policy=policy))

        yield start


@pytest.fixture(scope="session")
def standalone_client(pulsar_standalone: Standalone) -> Iterator[pulsar.Client]:
    """A client of the real Pulsar that all tests share. It says nothing unless something fails."""
    client = pulsar.Client(pulsar_standalone.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield client
    client.close()


@pytest.fixture
def talk(standalone_client: pulsar.Client) -> Iterator[Talk]:
    """``talk(function)`` is a channel to a function that runs on the real Pulsar."""
    with ExitStack() as channels:

        def build(function: FunctionSpec) -> Channel:
            channel = Channel(standalone_client, function)
            channels.callback(channel.close)
            return channel

        yield build
