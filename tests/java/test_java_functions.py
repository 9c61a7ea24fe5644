"""Real Java functions through the process runtime, on a real Apache Pulsar and on the embedded broker."""

from __future__ import annotations

import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulsar
import pytest
from pulsar.schema import StringSchema

from pulsar_runtimes import AdmissionError, FunctionSpec, PfrunError, RestartPolicy, State, Worker
from tests.standalone.standalone import Standalone
from tests.waiting import is_alive, until
from tests.workers import Build, Run

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

HERE = Path(__file__).parent
SMALL = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
RESOURCES = {"cpu": 0.5, "ram": 128 << 20, "disk": 1 << 30}
STARTS_WITHIN = 90.0


@pytest.fixture(scope="module")
def greeter(compile_java: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    classes = compile_java(HERE / "sources" / "Greeter.java")
    target = tmp_path_factory.mktemp("jar") / "greeter.jar"
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(classes.rglob("*.class")):
            archive.write(file, file.relative_to(classes))
    return target


@pytest.fixture
def java(run: Run, pulsar_standalone: Standalone) -> Callable[..., Worker]:
    def start(**keys: Any) -> Worker:
        environment = {"PULSAR_HOME": str(pulsar_standalone.home)}
        return run("process", environment=environment, **{"pulsarServiceUrl": pulsar_standalone.service_url} | keys)

    return start


class Ends:
    """Both ends of a function whose topics have the string schema."""

    def __init__(self, url: str, function: FunctionSpec) -> None:
        (source,) = function.source.input_specs
        self.client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
        self.consumer = self.client.subscribe(
            function.sink.topic, "observer", schema=StringSchema(), initial_position=pulsar.InitialPosition.Earliest
        )
        self.producer = self.client.create_producer(source, schema=StringSchema(), block_if_queue_full=True)

    def await_all(self, wanted: set[str]) -> None:
        missing = set(wanted)
        while missing:
            message = self.consumer.receive(60_000)
            self.consumer.acknowledge(message)
            missing.discard(message.value())


@pytest.fixture
def ends() -> Iterator[Callable[[str, FunctionSpec], Ends]]:
    opened: list[Ends] = []

    def build(url: str, function: FunctionSpec) -> Ends:
        opened.append(Ends(url, function))
        return opened[-1]

    yield build
    for each in opened:
        each.client.close()


Open = Callable[[str, FunctionSpec], Ends]


def _java(build: Build, jar: Path, class_name: str = "sample.Greeter", **keys: Any) -> FunctionSpec:
    defaults = {"resources": RESOURCES, "runtimeFlags": SMALL}
    return build("", className=class_name, py=None, jar=str(jar), **defaults | keys)


def _pids(worker: Worker, function: FunctionSpec) -> list[int]:
    worker.wait_running(function.key, seconds=STARTS_WITHIN)
    runtimes = [worker.replica(instance.key) for instance in worker.status(function.key).instances]
    return [runtime.pid for runtime in runtimes]  # type: ignore[union-attr]


def test_a_compiled_function_runs_with_its_config_its_secret_and_its_numbers(
    java: Callable[..., Worker], build: Build, greeter: Path, ends: Open
) -> None:
    worker = java(additionalJavaRuntimeArguments=["-Dpfrun.test=yes"])
    function = _java(build, greeter, userConfig={"word": "Good 'day' \"\\"}, secrets={"PASSWORD": "hunter2"})
    worker.submit(function)
    talk = ends(worker.service_url, function)
    talk.producer.send("you")
    worker.wait_running(function.key, seconds=STARTS_WITHIN)

    talk.await_all({"Good 'day' \"\\, you (7)"})

    (pid,) = _pids(worker, function)
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    assert "hunter2" not in " ".join(command)
    assert {"-Dpfrun.test=yes", f"-Xmx{128 << 20}", *SMALL.split()} <= set(command)
    (instance,) = worker.status(function.key, stats=True).instances
    assert instance.stats is not None
    assert (instance.stats.received, instance.stats.processed) == (1, 1)
    worker.remove(function.key)
    until(lambda: is_alive(pid), lambda alive: not alive)


def test_an_example_of_the_distribution_survives_its_instances(
    java: Callable[..., Worker], build: Build, pulsar_standalone: Standalone, ends: Open
) -> None:
    worker = java()
    jar = pulsar_standalone.home / "examples" / "api-examples.jar"
    function = _java(build, jar, "org.apache.pulsar.functions.api.examples.ExclamationFunction", parallelism=2)
    worker.submit(function)
    talk = ends(worker.service_url, function)
    worker.wait_running(function.key, seconds=STARTS_WITHIN)
    words = [f"word {number}" for number in range(400)]
    for number, word in enumerate(words):
        talk.producer.send_async(word, lambda result, _: None)
        if number in (100, 200):
            talk.producer.flush()
            os.kill(_pids(worker, function)[number // 200], signal.SIGKILL)
    talk.producer.flush()

    talk.await_all({f"{word}!" for word in words})

    until(lambda: sum(instance.restarts for instance in worker.status(function.key).instances), lambda seen: seen == 2)


def test_an_instance_that_hangs_is_found_and_replaced_with_its_stacks_kept(
    java: Callable[..., Worker], build: Build, greeter: Path, tmp_path: Path, ends: Open
) -> None:
    worker = java()
    function = _java(build, greeter)
    worker.submit(function)
    worker.wait_running(function.key, seconds=STARTS_WITHIN)
    (pid,) = _pids(worker, function)

    os.kill(pid, signal.SIGSTOP)
    status = worker.wait(function.key, lambda seen: seen.instances[0].state is State.BACKOFF, seconds=10)

    assert "it hung" in status.instances[0].reason
    worker.wait_running(function.key, seconds=STARTS_WITHIN)
    (log,) = (tmp_path / "logs").rglob("f-0.log")
    assert "Full thread dump" in log.read_text()
    talk = ends(worker.service_url, function)
    talk.producer.send("again")
    talk.await_all({"Hello, again"})


@pytest.mark.broker
@pytest.mark.usefixtures("embedded_only")
def test_java_works_on_the_embedded_broker_when_its_schemas_are_named(
    java: Callable[..., Worker], build: Build, greeter: Path, broker_url: str, ends: Open, topic: Callable[[str], str]
) -> None:
    worker = java(pulsarServiceUrl=broker_url)
    with pytest.raises(AdmissionError, match=r"a Java function without a schemaType for .*f-in.*f-out"):
        worker.submit(_java(build, greeter))
    named: dict[str, Any] = {"inputSpecs": {topic("f-in"): {"schemaType": "STRING"}}, "outputSchemaType": "STRING"}
    function = _java(build, greeter, inputs=None, **named)
    worker.submit(function)
    worker.wait_running(function.key, seconds=STARTS_WITHIN)
    talk = ends(broker_url, function)
    talk.producer.send("small one")
    talk.await_all({"Hello, small one"})


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"class_name": "sample.Nobody"}, r"Function class sample.Nobody must be in class path"),
        ({"jar": HERE / "conftest.py"}, r"conftest\.py"),
        ({"outputSerdeClassName": "sample.NoSerDe"}, r"sample.NoSerDe does not exist"),
    ],
)
def test_what_is_wrong_with_a_package_is_told_before_anything_starts(
    keys: dict[str, Any], complaint: str, java: Callable[..., Worker], build: Build, greeter: Path
) -> None:
    worker = java()
    with pytest.raises(AdmissionError, match=complaint):
        worker.submit(_java(build, **{"jar": greeter} | keys))


def test_a_crash_loop_ends_with_its_reason(
    java: Callable[..., Worker], build: Build, greeter: Path, run: Run, pulsar_standalone: Standalone
) -> None:
    worker = java(policy=RestartPolicy(initial_seconds=0.05, give_up_after=2))
    worker.submit(_java(build, greeter, runtimeFlags="-XX:+NoSuchFlag"))
    with pytest.raises(PfrunError, match=r"exit code 1: .*"):
        worker.wait_running("public/default/f", seconds=STARTS_WITHIN)
    (instance,) = worker.status("public/default/f").instances
    assert any("NoSuchFlag" in line for line in instance.last_lines)
