"""A worker of Apache Pulsar on the topics that pfrun wrote, and the other way round."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pulsar
import pytest

from pulsar_runtimes.dropin import SCRIPT
from pulsar_runtimes.metadata.admin_client import AdminClient
from pulsar_runtimes.metadata.assignments import AssignmentTable
from pulsar_runtimes.metadata.registrations import RegistrationTable
from pulsar_runtimes.metadata.topic_admin import ensure_topics
from pulsar_runtimes.metadata.topic_names import TopicNames
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import (
    ComponentType,
    ConsumerSpec,
    Language,
    ProcessingGuarantees,
    ProducerSpec,
    Resources,
    SinkSpec,
    SourceSpec,
    SubscriptionPosition,
)
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import PackageLocation, Registration
from pulsar_runtimes.testing import function_spec
from tests.channel import Channel
from tests.standalone import standalone
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone
from tests.waiting import until
from tests.workers import SAMPLES

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

NAMES = TopicNames()
PATH = "/admin/v3/functions/public/default"
CONFIG: dict[str, Any] = {
    "className": "samples.Exclaim",
    "runtime": "PYTHON",
    "inputs": ["persistent://public/default/java-in"],
    "output": "persistent://public/default/java-out",
    "parallelism": 2,
    "processingGuarantees": "ATLEAST_ONCE",
    "userConfig": {"word": "grüße", "nested": {"n": [1, 2.5, None]}},
    "secrets": {"PASSWORD": {"path": "vault"}},
    "resources": {"cpu": 0.5, "ram": 268435456, "disk": 1073741824},
    "logTopic": "persistent://public/default/log",
    "subscriptionPosition": "Earliest",
    "autoAck": True,
}

Start = Callable[[bool], Standalone]


@pytest.fixture(params=[False, True], ids=["requests", "compacted"])
def compacted(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def start(pulsar_home: Path, tmp_path: Path, compacted: bool) -> Iterator[Start]:
    """``start(True)`` is a Pulsar with its own worker, and without the one of before, always on the same data."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PULSAR_HOME": str(pulsar_home),
    }
    with ExitStack() as running:

        def started(with_worker: bool) -> Standalone:
            running.close()
            one = or_skip(
                lambda: standalone.start(
                    tmp_path / "pulsar",
                    pulsar_home,
                    environment,
                    functions_worker="process" if with_worker else None,
                    worker_settings={
                        "useCompactedMetadataTopic": compacted,
                        "functionRuntimeFactoryConfigs": {"pythonInstanceLocation": str(SCRIPT)},
                    },
                    dies_with_caller=True,
                )
            )
            running.callback(one.stop)
            return one

        yield started


@pytest.fixture
def connect() -> Iterator[Callable[[Standalone], pulsar.Client]]:
    with ExitStack() as opened:

        def build(broker: Standalone) -> pulsar.Client:
            client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
            opened.callback(client.shutdown)
            return client

        yield build


def test_both_have_the_same_functions(
    start: Start, connect: Callable[[Standalone], pulsar.Client], compacted: bool
) -> None:
    # What the worker of Apache Pulsar registers, pfrun reads.
    java = start(True)
    create_and_delete(java)
    create(java, "made-by-java", CONFIG)
    client = connect(java)
    table = load(client, compacted)
    made = check_what_was_sent(table)
    assert table.registrations().keys() == {made.key}

    told: list[Registration | None] = []
    table.follow(lambda _, found: told.append(found))
    with pytest.raises(MetadataError, match="another worker writes it"):
        table.lead()
    create(java, "made-by-java", CONFIG | {"parallelism": 1}, method="PUT")
    changed = until(lambda: table.get(made.key), lambda found: found is not None and found.version == 1)
    # An update of the reference writes an empty producer setting where there was none.
    sink = replace(made.function.sink, producer_spec=ProducerSpec())
    assert changed is not None and changed.function == replace(made.function, parallelism=1, sink=sink)
    ask(java, "POST", f"{PATH}/made-by-java/stop")
    stopped = until(lambda: table.get(made.key), lambda found: found is not None and found.version == 2)
    assert stopped is not None and stopped.is_all_stopped
    assert told == [changed, stopped]
    assignments = AssignmentTable(client, NAMES.assignments, worker_id="pfrun")
    assignments.load()
    assignments.follow(lambda *_: None)
    (worker,) = ask(java, "GET", "/admin/v2/worker/cluster")
    instance = InstanceKey(made.key, 0)
    seen = until(lambda: assignments.get(instance), lambda found: found is not None and found.registration == stopped)
    assert seen is not None and seen.worker_id == worker["workerId"]
    until(assignments.assignments, lambda found: found.keys() == {instance})
    assignments.close()
    table.close()
    config = ask(java, "GET", f"{PATH}/made-by-java")
    theirs = policies(java, NAMES.namespace)
    client.shutdown()

    # What pfrun registers, the worker of Apache Pulsar has, and runs.
    broker = start(False)
    admin = AdminClient(broker.admin_url)
    ensure_topics(admin, replace(NAMES, namespace="public/ours"))
    admin.close()
    assert policies(broker, "public/ours") == theirs
    client = connect(broker)
    table = load(client, compacted)
    assert table.registrations() == {made.key: stopped}
    table.lead()
    copy = replace(changed, function=replace(changed.function, name="a-copy", parallelism=2), version=0)
    table.put(copy)
    own = registered_here(made.package)
    for version in range(3):
        table.put(replace(own, version=version))
    removed = replace(own, function=replace(own.function, name="removed"))
    table.put(removed)
    table.delete(removed.key, 1)
    table.delete(made.key, 3)
    wanted = table.registrations()
    table.close()
    client.shutdown()

    java = start(True)
    assert sorted(ask(java, "GET", PATH)) == ["a-copy", "made-by-pfrun"]
    assert ask(java, "GET", f"{PATH}/a-copy") == config | {"name": "a-copy", "parallelism": 2}
    found = ask(java, "GET", f"{PATH}/made-by-pfrun")
    assert found["className"] == "samples.Exclaim" and found["userConfig"] == {"k": "v"}
    client = connect(java)
    assert Channel(client, copy.function).ask("hi", seconds=60) == "hi!"
    table = load(client, compacted)
    assert table.registrations() == wanted

    # It counts on from the version that it found.
    ask(java, "POST", f"{PATH}/made-by-pfrun/stop")
    table.follow(lambda *_: None)
    key = own.key
    stopped = until(lambda: table.get(key), lambda found: found is not None and found.version == 3)
    assert stopped is not None and stopped.stopped == {0: True} and stopped.function == own.function
    table.close()


def policies(broker: Standalone, namespace: str) -> Any:
    return ask(broker, "GET", f"/admin/v2/namespaces/{namespace}")


def load(client: pulsar.Client, compacted: bool) -> RegistrationTable:
    table = RegistrationTable(client, NAMES.metadata, worker_id="pfrun", compacted=compacted)
    table.load()
    return table


def check_what_was_sent(table: RegistrationTable) -> Registration:
    """The function of ``CONFIG`` in the table, compared with it."""
    registration = table.get(FunctionKey("public", "default", "made-by-java"))
    assert registration is not None
    function = registration.function
    assert (function.class_name, function.language) == ("samples.Exclaim", Language.PYTHON)
    assert function.parallelism == 2 and function.auto_ack
    assert function.processing_guarantees is ProcessingGuarantees.ATLEAST_ONCE
    assert function.user_config == CONFIG["userConfig"]
    assert function.secrets_map == CONFIG["secrets"]
    assert function.resources == Resources(0.5, 268435456, 1073741824)
    assert function.log_topic == CONFIG["logTopic"]
    assert function.source.input_specs == {CONFIG["inputs"][0]: ConsumerSpec()}
    assert function.source.subscription_position is SubscriptionPosition.EARLIEST
    assert function.sink.topic == CONFIG["output"]
    assert function.component_type is ComponentType.FUNCTION
    assert registration.package.original_file_name == "samples.py" and registration.package.path
    assert (registration.version, registration.stopped, registration.unknown) == (0, {}, b"")
    assert registration.created_ms > 1_700_000_000_000
    return registration


def registered_here(package: PackageLocation) -> Registration:
    function = function_spec(
        name="made-by-pfrun",
        class_name="samples.Exclaim",
        package="",
        user_config={"k": "v"},
        source=SourceSpec(
            input_specs={"persistent://public/default/in": ConsumerSpec()},
            subscription_position=SubscriptionPosition.EARLIEST,
        ),
        sink=SinkSpec(topic="persistent://public/default/out"),
    )
    return Registration(function, package, created_ms=1_700_000_000_000)


def create_and_delete(broker: Standalone) -> None:
    """A function that is gone again, and a worker that leads: it says 503 until it does.

    That answer leaves the package behind, so the same name cannot be tried again.
    """
    names = (f"gone-{number}" for number in itertools.count())
    name = until(lambda: (each := next(names), send(broker, each, CONFIG).status_code), lambda seen: seen[1] != 503)[0]
    ask(broker, "DELETE", f"{PATH}/{name}")


def create(broker: Standalone, name: str, config: dict[str, Any], method: str = "POST") -> None:
    answer = send(broker, name, config, method)
    assert answer.is_success, answer.text


def send(broker: Standalone, name: str, config: dict[str, Any], method: str = "POST") -> httpx.Response:
    document = json.dumps(config | {"tenant": "public", "namespace": "default", "name": name})
    parts: dict[str, Any] = {
        "functionConfig": (None, document, "application/json"),
        "data": (SAMPLES.name, SAMPLES.read_bytes(), "application/octet-stream"),
    }
    return httpx.request(method, f"{broker.admin_url}{PATH}/{name}", timeout=60, files=parts)


def ask(broker: Standalone, method: str, path: str) -> Any:
    """The answer; to what changes something only once the worker leads."""
    answer = until(
        lambda: httpx.request(method, f"{broker.admin_url}{path}", timeout=60),
        lambda seen: seen.status_code != 503,
        seconds=30,
    )
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None
