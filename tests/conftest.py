"""What tests of real functions share: a client of the run's broker, topics of their own, and the sample functions."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.function import parse_function_config
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.function import (
    ConsumerSpec,
    FunctionSpec,
    InstanceSpec,
    SinkSpec,
    SourceSpec,
    SubscriptionPosition,
)
from pulsar_runtimes.supervisor.policy import RestartPolicy
from pulsar_runtimes.testing import function_spec, instance_spec
from pulsar_runtimes.worker.worker import Worker
from tests.channel import Channel
from tests.kubernetes import cluster, programs, real_node
from tests.kubernetes.python_image import NAME as IMAGE
from tests.kubernetes.python_image import build_python_image
from tests.standalone import standalone
from tests.standalone.distribution import fetch
from tests.standalone.java_source import compile_source
from tests.standalone.requirement import or_skip
from tests.workers import SAMPLES, Build, Run

FUNCTIONS = Path(__file__).parent / "functions"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--on-pulsar", action="store_true", help="tests that share a broker use a real Apache Pulsar")
    parser.addoption("--no-build", action="store_true", help="skip tests of a Kubernetes that is not built yet")


@pytest.fixture(scope="session")
def broker_url(request: pytest.FixtureRequest) -> str:
    """The broker that all tests share: the embedded one, or with ``--on-pulsar`` a real Apache Pulsar."""
    if request.config.getoption("--on-pulsar"):
        broker: standalone.Standalone = request.getfixturevalue("pulsar_standalone")
        return broker.service_url
    embedded: str = request.getfixturevalue("broker_url")
    return embedded


@pytest.fixture
def embedded_only(request: pytest.FixtureRequest) -> None:
    """Skips a test that is about the embedded broker itself where that is not used."""
    if request.config.getoption("--on-pulsar"):
        pytest.skip("it is about the embedded broker")


@pytest.fixture(scope="session")
def pulsar_client(broker_url: str) -> Iterator[pulsar.Client]:
    """A client of the broker that all tests share. It says nothing unless something fails."""
    client = pulsar.Client(broker_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield client
    client.close()


@pytest.fixture(scope="session")
def pulsar_home() -> Path:
    """The unpacked server distribution of Apache Pulsar, downloaded when it is not in the cache."""
    return or_skip(lambda: fetch(os.environ))


@pytest.fixture(scope="session")
def compile_java(pulsar_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """``compile_java(source)`` is the directory of the classes, compiled against all of Pulsar."""

    def compiled(source: Path) -> Path:
        target = tmp_path_factory.mktemp("classes")
        or_skip(lambda: compile_source(source, target, pulsar_home, os.environ))
        return target

    return compiled


@pytest.fixture(scope="session")
def pulsar_standalone(pulsar_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[standalone.Standalone]:
    """An Apache Pulsar that all tests of the run share: give each topics of its own, and mark it ``standalone``."""
    directory = tmp_path_factory.mktemp("standalone")
    pulsar = or_skip(lambda: standalone.start(directory, pulsar_home, os.environ, dies_with_caller=True))
    yield pulsar
    pulsar.stop()


@pytest.fixture(scope="session")
def pulsar_table_service(
    pulsar_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[standalone.Standalone]:
    """The same with BookKeeper's table service and Pulsar's own functions worker, which keeps state there."""
    directory = tmp_path_factory.mktemp("table-service")
    start = partial(standalone.start, functions_worker="process", table_service=True, dies_with_caller=True)
    pulsar = or_skip(lambda: start(directory, pulsar_home, os.environ))
    yield pulsar
    pulsar.stop()


@pytest.fixture(scope="session")
def kubernetes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    """A Kubernetes that all tests of the run share, its programs built when they are not in the cache.

    Give each test a namespace of its own (``job_namespace``), and mark it ``kubernetes``.
    """
    if request.config.getoption("--no-build") and not programs.home(os.environ).is_dir():
        pytest.skip("Kubernetes is not built here; scripts/test --all builds it, in a quarter of an hour")
    built = or_skip(lambda: programs.build(os.environ))
    running = cluster.start(tmp_path_factory.mktemp("kubernetes"), built, dies_with_caller=True)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def kubernetes_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    """Another Kubernetes that all tests of the run share, with a node on which pods really run; root only.

    Give each test a namespace of its own (``node_namespace``), and mark it ``kubernetes`` and ``slow``.
    """
    or_skip(lambda: real_node.check_machine(os.environ))
    built, node = or_skip(lambda: (programs.build(os.environ), programs.build_node(os.environ)))
    directory = tmp_path_factory.mktemp("kubernetes-node")
    running = cluster.start(directory, built, node_programs=node, dies_with_caller=True)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def python_image(kubernetes_node: cluster.Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an image with pfrun, which pods of ``kubernetes_node`` find."""
    assert kubernetes_node.node is not None
    directory = tmp_path_factory.mktemp("image")
    kubernetes_node.node.load(build_python_image(directory))
    shutil.rmtree(directory)
    return IMAGE


@pytest.fixture
def job_namespace(kubernetes: cluster.Cluster) -> Iterator[str]:
    """The name of a namespace that no other test has."""
    yield from _new_namespace(kubernetes)


@pytest.fixture
def node_namespace(kubernetes_node: cluster.Cluster) -> Iterator[str]:
    """The same where pods really run."""
    yield from _new_namespace(kubernetes_node)


def _new_namespace(kubernetes: cluster.Cluster) -> Iterator[str]:
    name = f"jobs-{uuid.uuid4().hex[:10]}"
    kubernetes.add_namespace(name)
    yield name
    kubernetes.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def topic() -> Callable[[str], str]:
    """``topic("in")`` is a topic that no other test has, and the same one each time within the test."""
    mark = uuid.uuid4().hex[:12]
    return lambda name: f"persistent://public/default/{name}-{mark}"


@pytest.fixture
def sample(broker_url: str, topic: Callable[[str], str]) -> Callable[..., InstanceSpec]:
    """``sample("Exclaim", name="f")`` is an instance of a class in ``samples.py``, between topics of its own."""

    def build(
        class_name: str, *, name: str = "f", package: Path = FUNCTIONS / "samples.py", **changes: object
    ) -> InstanceSpec:
        function = function_spec(
            name=name,
            class_name=f"{package.stem}.{class_name}",
            package=str(package),
            source=SourceSpec(
                input_specs={topic(f"{name}-in"): ConsumerSpec()},
                subscription_position=SubscriptionPosition.EARLIEST,
            ),
            sink=SinkSpec(topic=topic(f"{name}-out")),
            **changes,
        )
        return instance_spec(
            function=function,
            code_file=str(package),
            service_url=broker_url,
            secrets_provider="secretsprovider.ClearTextSecretsProvider",
        )

    return build


@pytest.fixture
def channel(pulsar_client: pulsar.Client) -> Iterator[Callable[[FunctionSpec], Channel]]:
    """``channel(function)`` talks to a function through its topics."""
    opened: list[Channel] = []

    def build(function: FunctionSpec) -> Channel:
        opened.append(Channel(pulsar_client, function))
        return opened[-1]

    yield build
    for each in opened:
        each.close()


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    """``run("process")`` is a started worker, stopped when the test ends.

    It uses the broker that all tests share, unless ``embedded`` gives it its own or a key names another.
    """
    with ExitStack() as workers:

        def start(
            factory: str,
            *,
            embedded: bool = False,
            policy: RestartPolicy | None = None,
            state_dir: Path | None = None,
            environment: Mapping[str, str] | None = None,
            **keys: Any,
        ) -> Worker:
            document: dict[str, Any] = {"functionRuntimeFactoryClassName": factory}
            if factory == "process":
                document["functionRuntimeFactoryConfigs"] = {"logDirectory": str(tmp_path / "logs")}
            if not embedded and "pulsarServiceUrl" not in keys:
                document |= {"pulsarServiceUrl": request.getfixturevalue("broker_url")}
            config = parse_worker_config(parse_document(json.dumps(document | keys)), {})
            worker = Worker(
                config,
                state_dir=state_dir or tmp_path / "state",
                restart_policy=policy,
                environment=os.environ | (environment or {}),
            )
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
