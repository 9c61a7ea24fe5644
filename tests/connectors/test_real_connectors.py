"""Connectors in Apache Pulsar's Java instance on a real Apache Pulsar: one of Pulsar's own, and one compiled here."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pulsar
import pytest
from pulsar.schema import StringSchema

from tests.admin.conftest import Kept, serve_worker
from tests.standalone.distribution import fetch_connector
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone
from tests.waiting import until
from tests.workers import Run

from .conftest import Api

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

HERE = Path(__file__).parent
SMALL = {
    "runtimeFlags": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "resources": {"cpu": 0.5, "ram": 128 << 20, "disk": 1 << 30},
}
STARTS_WITHIN = 90.0


@pytest.fixture(scope="module")
def data_generator() -> Path:
    return or_skip(lambda: fetch_connector(os.environ))


@pytest.fixture(scope="module")
def copier(compile_java: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nar with the classes of ``sources/Copier.java``."""
    classes = compile_java(HERE / "sources" / "Copier.java")
    target = tmp_path_factory.mktemp("nar") / "copier.nar"
    definition = {
        "name": "copier",
        "sinkClass": "sample.Copier",
        "sinkConfigClass": "sample.Copier$Settings",
        "functionClass": "sample.Copier$Upper",
    }
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nNar-Id: copier\n")
        archive.writestr("META-INF/services/pulsar-io.yaml", json.dumps(definition))
        archive.writestr("META-INF/bundled-dependencies/", "")  # without it, Pulsar takes the file for a plain jar
        for file in sorted(classes.rglob("*.class")):
            archive.write(file, f"META-INF/bundled-dependencies/{file.relative_to(classes)}")
    return target


@pytest.fixture
def api(run: Run, tmp_path: Path, pulsar_standalone: Standalone, data_generator: Path, copier: Path) -> Iterator[Api]:
    for name, nar in (("connectors", data_generator), ("connectors", copier), ("functions", copier)):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{nar.stem}.nar").symlink_to(nar)
    worker = run(
        "process",
        environment={"PULSAR_HOME": str(pulsar_standalone.home)},
        pulsarServiceUrl=pulsar_standalone.service_url,
        connectorsDirectory=str(tmp_path / "connectors"),
        functionsDirectory=str(tmp_path / "functions"),
        narExtractionDirectory=str(tmp_path / "extracted"),
    )
    with ExitStack() as open_:
        kept = Kept()
        server, service = serve_worker(worker, tmp_path, None, open_, kept)
        http = open_.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60))
        yield Api(http, service, kept, tmp_path)


@pytest.fixture
def client(pulsar_standalone: Standalone) -> Iterator[pulsar.Client]:
    opened = pulsar.Client(pulsar_standalone.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield opened
    opened.close()


def status_of(api: Api, path: str) -> dict[str, Any]:
    status: dict[str, Any] = api.get(f"{path}/0/status")
    return status


def counts(name: str, status: dict[str, Any]) -> bool:
    return bool(status[name] > 3)


def test_pulsars_own_source_writes_and_its_sink_reads(api: Api, topic: Callable[[str], str]) -> None:
    config = {"topicName": topic("people"), "sourceType": "data-generator", "configs": {"sleepBetweenMessages": 20}}
    created = api.call("POST", "sources/public/default/people", sourceConfig={**config, **SMALL})
    assert created.status_code == 204, created.text
    sink = {
        "inputs": [topic("people")],
        "archive": "builtin://data-generator",
        "sourceSubscriptionPosition": "Earliest",
    }
    created = api.call("POST", "sinks/public/default/printer", sinkConfig={**sink, **SMALL})
    assert created.status_code == 204, created.text
    counted = {"sources/public/default/people": "numWritten", "sinks/public/default/printer": "numWrittenToSink"}
    for path, name in counted.items():
        status = until(partial(status_of, api, path), partial(counts, name), seconds=STARTS_WITHIN)
        assert status["running"] and status["lastReceivedTime"], status
    assert (
        api.get("sources/public/default/people")["className"]
        == "org.apache.pulsar.io.datagenerator.DataGeneratorSource"
    )
    (field,) = api.get("sources/builtinsources/data-generator/configdefinition")
    assert field == {
        "fieldName": "sleepBetweenMessages",
        "typeName": "long",
        "attributes": {
            "help": "How long to sleep between emitting messages",
            "defaultValue": "50",
            "sensitive": "false",
            "required": "true",
        },
    }
    assert api.call("DELETE", "sources/public/default/people").status_code == 204


def test_a_compiled_sink_with_a_function_before_it(
    api: Api, copier: Path, client: pulsar.Client, topic: Callable[[str], str]
) -> None:
    consumer = client.subscribe(topic("out"), "test", initial_position=pulsar.InitialPosition.Earliest)
    config = {
        "inputs": [topic("in")],
        "sourceSubscriptionPosition": "Earliest",
        "configs": {"target": topic("out"), "prefix": "> "},
        "transformFunction": "builtin://copier",
        "transformFunctionConfig": '{"mark":"!"}',
    }
    created = api.call("POST", "sinks/public/default/c", copier, sinkConfig={**config, **SMALL})
    assert created.status_code == 204, created.text
    producer = client.create_producer(topic("in"), schema=StringSchema())
    producer.send("hello")
    message = consumer.receive(int(STARTS_WITHIN * 1000))
    assert message.data() == b"> HELLO!"
    fields = [each["fieldName"] for each in api.get("sinks/builtinsinks/copier/configdefinition")]
    assert fields == ["target", "prefix"]


def test_what_fails_in_a_sink_is_told_as_the_sinks(
    api: Api, client: pulsar.Client, topic: Callable[[str], str], tmp_path: Path
) -> None:
    config = {"inputs": [topic("in")], "sourceSubscriptionPosition": "Earliest", "archive": "builtin://copier"}
    created = api.call(
        "POST", "sinks/public/default/b", sinkConfig={**config, **SMALL, "configs": {"target": topic("out")}}
    )
    assert created.status_code == 204, created.text
    producer = client.create_producer(topic("in"), schema=StringSchema())
    producer.send("bad")
    status = until(
        lambda: status_of(api, "sinks/public/default/b"),
        lambda seen: seen["numSinkExceptions"] > 0 or "ends" in seen,
        seconds=STARTS_WITHIN,
    )
    # Its status has the last 50 lines; a JVM that is asked while it ends may write more of its own after these words.
    log = (tmp_path / "logs/functions/public/default/b/b-0.log").read_text("utf-8")
    assert "a bad one" in json.dumps(status) + log, status
