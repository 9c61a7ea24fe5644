"""Workers with everything of their own: state, logs, and a broker, unless they are given the run's shared one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.function import parse_function_config
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.supervisor.policy import RestartPolicy
from pulsar_runtimes.worker.worker import Worker

SAMPLES = Path(__file__).parents[1] / "functions" / "samples.py"

Run = Callable[..., Worker]
Build = Callable[..., FunctionSpec]


@pytest.fixture
def run(tmp_path: Path, broker_url: str) -> Iterator[Run]:
    """``run("process")`` is a started worker, stopped when the test ends. ``embedded`` gives it its own broker."""
    with ExitStack() as workers:

        def start(
            factory: str,
            *,
            embedded: bool = False,
            policy: RestartPolicy | None = None,
            state_dir: Path | None = None,
            **keys: Any,
        ) -> Worker:
            document: dict[str, Any] = {"functionRuntimeFactoryClassName": factory}
            if factory == "process":
                document["functionRuntimeFactoryConfigs"] = {"logDirectory": str(tmp_path / "logs")}
            if not embedded:
                document |= {"pulsarServiceUrl": broker_url}
            config = parse_worker_config(parse_document(json.dumps(document | keys)), {})
            worker = Worker(config, state_dir=state_dir or tmp_path / "state", restart_policy=policy)
            return workers.enter_context(worker)

        yield start


@pytest.fixture
def build(topic: Callable[[str], str]) -> Build:
    """``build("Exclaim")`` is the spec of a sample function between topics that no other test has."""

    def parse(class_name: str, *, name: str = "f", **keys: Any) -> FunctionSpec:
        document = {
            "name": name,
            "className": f"samples.{class_name}",
            "py": str(SAMPLES),
            "inputs": [topic(f"{name}-in")],
            "output": topic(f"{name}-out"),
            "subscriptionPosition": "Earliest",
        }
        return parse_function_config(parse_document(json.dumps(document | keys)))

    return parse
