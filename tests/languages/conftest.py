"""Functions in other languages: a Go program built from source, and workers that run them on a real Apache Pulsar."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
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
from tests.languages.go_program import build_go_function
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone

Run = Callable[..., Worker]
Talk = Callable[[FunctionSpec], Channel]


@pytest.fixture(scope="session")
def go_function() -> Path:
    """The program of ``go_function/``, built once for each state of its sources, and kept in the cache."""
    return or_skip(lambda: build_go_function(os.environ))


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
