"""The worker as an embedding program uses it, with real instances on a real broker."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pulsar
import pytest

from pulsar_runtimes import AdmissionError, BrokerError, ConfigError, PfrunError, RestartPolicy, State, Worker
from pulsar_runtimes.brokers.broker_record import BrokerRecord
from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.function import FunctionSpec
from tests.channel import Channel
from tests.waiting import is_alive, until
from tests.workers import SAMPLES, Build, Run

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
FACTORIES = [
    "org.apache.pulsar.functions.runtime.thread.ThreadRuntimeFactory",
    "org.apache.pulsar.functions.runtime.process.ProcessRuntimeFactory",
    "subprocess",
    "pfrun_subprocess.factory:SubprocessRuntimeFactory",
]
IMPATIENT = RestartPolicy(initial_seconds=0.05, factor=3.0, give_up_after=3)

Open = Callable[[FunctionSpec], Channel]


# What runs


@pytest.mark.parametrize("factory", FACTORIES)
def test_the_same_function_runs_on_whatever_the_class_name_names(
    factory: str, run: Run, build: Build, channel: Open
) -> None:
    if "subprocess" in factory:
        pytest.importorskip("pfrun_subprocess", reason="the plug-in is not installed; scripts/setup does it")
    worker = run(factory)
    function = build("Exclaim", parallelism=2)
    worker.submit(function)

    status = worker.wait_running(function.key)

    assert [str(instance.key) for instance in status.instances] == ["public/default/f:0", "public/default/f:1"]
    talk = channel(function)
    talk.send(f"word {number}" for number in range(100))
    talk.await_all(f"word {number}!" for number in range(100))


def test_what_is_submitted_before_the_start_runs_after_it(
    tmp_path: Path, broker_url: str, build: Build, channel: Open
) -> None:
    function = build("Exclaim")
    with _worker(tmp_path, pulsarServiceUrl=broker_url, functionRuntimeFactoryClassName="thread") as worker:
        pass
    worker = _worker(tmp_path, pulsarServiceUrl=broker_url, functionRuntimeFactoryClassName="thread")
    worker.submit(function)
    assert [instance.state for instance in worker.status(function.key).instances] == []
    with worker:
        worker.wait_running(function.key)
        assert channel(function).ask("hi") == "hi!"


def test_a_changed_function_replaces_the_one_of_its_name(run: Run, build: Build, channel: Open) -> None:
    worker = run("process")
    worker.submit(build("Exclaim"))
    worker.wait_running("public/default/f")
    changed = build("Picky")
    worker.submit(changed)
    talk = channel(changed)

    def answers() -> list[str]:
        talk.send(["plain"])
        return talk.poll()

    until(answers, lambda received: "plain" in received)
    assert worker.functions() == (changed,)


def test_submitting_what_runs_already_changes_nothing(run: Run, build: Build) -> None:
    worker = run("thread")
    worker.submit(build("Exclaim"))
    before = worker.wait_running("public/default/f")
    runtime = worker.replica(before.instances[0].key)
    worker.submit(build("Exclaim"))
    assert worker.wait_running("public/default/f") == before
    assert worker.replica(before.instances[0].key) is runtime


def test_a_removed_function_ends_and_is_forgotten(run: Run, build: Build) -> None:
    worker = run("process")
    worker.submit(build("Exclaim"))
    (instance,) = worker.wait_running("public/default/f").instances
    runtime = worker.replica(instance.key)
    assert runtime is not None

    worker.remove("public/default/f")

    until(worker.statuses, lambda statuses: not statuses)
    assert not is_alive(runtime.pid)  # type: ignore[attr-defined]
    with pytest.raises(AdmissionError, match=r"public/default/f: there is no such function; there are: none"):
        worker.status("public/default/f")


def test_the_statistics_of_all_instances_are_counted(run: Run, build: Build, channel: Open) -> None:
    worker = run("process")
    function = build("Picky")
    worker.submit(function)
    worker.wait_running(function.key)
    channel(function).send(["good", "bad one", "good"])

    def counted() -> tuple[int, int]:
        (instance,) = worker.status(function.key, stats=True).instances
        assert instance.stats is not None
        return instance.stats.processed, instance.stats.user_exceptions

    until(counted, lambda seen: seen[0] >= 2 and seen[1] >= 1)
    (instance,) = worker.status(function.key, stats=True).instances
    assert instance.stats is not None
    assert "cannot take bad one" in instance.stats.latest_user_exceptions[0][0]


# What does not run


def test_a_crash_loop_ends_with_its_reason_and_a_fix_with_a_revive_brings_it_back(
    run: Run, build: Build, channel: Open, tmp_path: Path
) -> None:
    code = tmp_path / "fragile.py"
    code.write_text("table = {}\nlimit = table['limit']\n\ndef process(input):\n    return input\n")
    worker = run("process", policy=IMPATIENT)
    function = build("x", py=str(code), className="fragile")
    worker.submit(function)
    delays: list[float] = []

    def look() -> State:
        (instance,) = worker.status(function.key).instances
        if instance.retry_in_seconds is not None:
            delays.append(instance.retry_in_seconds)
        return instance.state

    until(look, lambda state: state is State.FAILED)

    (instance,) = worker.status(function.key).instances
    assert instance.restarts == 2
    assert "KeyError: 'limit'" in instance.reason
    assert any("fragile.py" in line for line in instance.last_lines), instance.last_lines
    assert [(end.exit_code, end.reason == instance.reason) for end in instance.ends] == [(1, True)] * 3
    assert instance.ends[-1].last_lines == instance.last_lines
    assert max(delays) > 0.1
    with pytest.raises(PfrunError, match="KeyError: 'limit'"):
        worker.wait_running(function.key)

    code.write_text("def process(input):\n    return input + ' fixed'\n")
    worker.revive(function.key)
    worker.wait_running(function.key)
    assert channel(function).ask("it is") == "it is fixed"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"py": "nowhere.py"}, r"package '.*nowhere\.py': there is no such file"),
        ({"py": "http://host/f.py"}, r"reads packages from local files only"),
        ({"processingGuarantees": "EFFECTIVELY_ONCE"}, r"EFFECTIVELY_ONCE"),
        ({"runtimeFlags": "-O"}, r"runtimeFlags"),
    ],
)
def test_what_cannot_run_is_refused_when_it_is_submitted(
    change: dict[str, str], complaint: str, run: Run, build: Build
) -> None:
    worker = run("thread")
    with pytest.raises((AdmissionError, ConfigError), match=complaint):
        worker.submit(build("Exclaim", **change))
    assert worker.functions() == ()


@pytest.mark.parametrize(
    ("keys", "lacking"),
    [
        ({"inputs": None, "topicsPattern": "persistent://public/default/.*"}, "input topics given by a pattern"),
        ({"py": None, "go": str(SAMPLES), "className": None}, "GO functions"),
    ],
)
def test_what_the_embedded_broker_cannot_serve_is_refused(
    keys: dict[str, object], lacking: str, tmp_path: Path, build: Build
) -> None:
    worker = _worker(tmp_path, functionRuntimeFactoryClassName="process")
    with pytest.raises(AdmissionError, match=rf"'pulsar-lite' cannot serve {lacking}; set pulsarServiceUrl"):
        worker.admit(build("Exclaim", **keys))


@pytest.mark.usefixtures("embedded_only")
def test_a_broker_that_is_only_named_is_recognised(run: Run, build: Build, channel: Open) -> None:
    worker = run("process")
    with pytest.raises(AdmissionError, match=r"'pulsar-lite' cannot serve input topics given by a pattern"):
        worker.submit(build("Exclaim", inputs=None, topicsPattern="persistent://public/default/.*"))

    function = build("Exclaim", parallelism=3)
    worker.submit(function)
    worker.wait_running(function.key)
    assert channel(function).ask("hi") == "hi!"


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({}, "functionRuntimeFactoryClassName: must name a runtime"),
        ({"functionRuntimeFactoryClassName": "thread"}, "functionRuntimeFactoryConfigs: must be there"),
        ({"functionRuntimeFactoryClassName": "thread", "functionRuntimeFactoryConfigs": {}}, ""),
        ({"threadContainerFactory": {}}, ""),
    ],
)
def test_strictly_a_worker_needs_what_the_reference_needs(
    keys: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    config = parse_worker_config(parse_document(json.dumps(keys)), {})
    environment = {"PFRUN_STRICT_REFERENCE": "1"}
    if complaint:
        with pytest.raises(ConfigError, match=complaint):
            Worker(config, state_dir=tmp_path, environment=environment)
    else:
        Worker(config, state_dir=tmp_path, environment=environment)


def test_a_secrets_provider_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"secretsProviderConfiguratorClassName: must be absent or"):
        _worker(tmp_path, secretsProviderConfiguratorClassName="com.example.Vault")


# Brokers and state


@pytest.mark.parametrize("factory", ["thread", "process"])
def test_nothing_is_lost_when_the_broker_is_killed(factory: str, run: Run, build: Build, tmp_path: Path) -> None:
    worker = run(factory, embedded=True)
    functions = [build("Exclaim", name=name, parallelism=2) for name in ("one", "two")]
    for function in functions:
        worker.submit(function)
    for function in functions:
        worker.wait_running(function.key)
    client = pulsar.Client(worker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    channels = [Channel(client, function) for function in functions]
    before, after = [f"before {n}" for n in range(300)], [f"after {n}" for n in range(300)]
    for each in channels:
        each.send(before)
    for each in channels:
        each.await_all(f"{word}!" for word in before[:30])  # under way, not over

    pid = _broker_pid(tmp_path / "state")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: _broker_pid(tmp_path / "state"), lambda now: now not in (None, pid))

    for each in channels:
        each.send(after)
        each.await_all([f"{word}!" for word in (*before, *after)], seconds=60)
    client.close()
    restarts = [instance.restarts for status in worker.statuses() for instance in status.instances]
    assert restarts == [0, 0, 0, 0]


def test_a_worker_that_comes_again_finds_its_broker_as_it_was(run: Run, build: Build, tmp_path: Path) -> None:
    function = build("Exclaim")
    state = tmp_path / "again"
    first = run("thread", embedded=True, state_dir=state)
    client = pulsar.Client(first.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    (topic,) = function.source.input_specs
    client.create_producer(topic).send(b"kept")
    client.close()
    first.stop()

    second = run("thread", embedded=True, state_dir=state)
    second.submit(function)
    client = pulsar.Client(second.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    Channel(client, function).await_all(["kept!"])
    client.close()
    assert second.service_url == first.service_url


def test_two_workers_do_not_share_a_state_directory(run: Run, tmp_path: Path) -> None:
    run("thread", embedded=True)
    with pytest.raises(BrokerError, match="in use by the worker with pid"):
        run("thread", embedded=True)


def test_no_name_and_no_secret_of_a_function_is_on_a_command_line(
    run: Run, build: Build, channel: Open, tmp_path: Path
) -> None:
    worker = run("process")
    functions = [
        build("Surroundings", name=name, secrets={"PASSWORD": "hunter2"}, **keys)
        for name, keys in (("forked", {}), ("spawned", {"runtimeFlags": "-O"}))
    ]
    for function in functions:
        worker.submit(function)
    for function in functions:
        worker.wait_running(function.key)
        seen = json.loads(channel(function).ask("look"))
        assert seen["secret"] == "hunter2"
        for path in (f"/proc/{seen['pid']}/cmdline", f"/proc/{seen['pid']}/environ"):
            assert b"hunter2" not in Path(path).read_bytes()
    assert "hunter2" not in "".join(path.read_text() for path in (tmp_path / "logs").rglob("*.log"))


# Embedding


def test_a_worker_takes_over_neither_signals_nor_logging(tmp_path: Path, build: Build) -> None:
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD]
    handlers = [signal.getsignal(number) for number in numbers]
    root = logging.getLogger()
    logged = (root.level, list(root.handlers), list(logging.getLogger("pulsar_runtimes").handlers))
    threads = set(threading.enumerate())
    stdout = sys.stdout

    for factory in ("thread", "process"):
        logs = {"logDirectory": str(tmp_path / "logs")} if factory == "process" else {}
        worker = _worker(tmp_path, functionRuntimeFactoryClassName=factory, functionRuntimeFactoryConfigs=logs)
        with worker:
            worker.submit(build("Exclaim", name=factory))
            worker.wait_running(f"public/default/{factory}")
            assert [signal.getsignal(number) for number in numbers] == handlers
            assert (root.level, list(root.handlers), list(logging.getLogger("pulsar_runtimes").handlers)) == logged
            assert sys.stdout is stdout
    left = set(threading.enumerate()) - threads
    assert not left, left


@pytest.mark.parametrize("conf", ["thread", "process"])
def test_the_embedding_example_runs(conf: str, tmp_path: Path) -> None:
    example = ROOT / "docs" / "embedding_example.py"
    statements = [line for line in example.read_text().splitlines()[1:] if line.strip() and not line.startswith("#")]
    assert len(statements) < 15
    environment = os.environ | {"PFRUN_STATE_DIR": str(tmp_path / "state"), "PULSAR_LOG_DIR": str(tmp_path / "logs")}
    environment |= (
        {"PF_functionRuntimeFactoryConfigs_logDirectory": str(tmp_path / "logs")} if conf == "process" else {}
    )
    ran = subprocess.run(
        [sys.executable, str(example), f"conf/functions_worker.{conf}.yml"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (0, "public/default/exclamation:0: running\n"), ran.stderr


def test_importing_the_package_loads_no_large_library() -> None:
    large = [
        "pulsar",
        "_pulsar",
        "grpc",
        "google.protobuf",
        "kubernetes",
        "yaml",
        "click",
        "psutil",
        "prometheus_client",
    ]
    script = f"import sys, pulsar_runtimes; print([name for name in {large!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


def _worker(tmp_path: Path, **keys: object) -> Worker:
    config = parse_worker_config(parse_document(json.dumps(keys)), {})
    return Worker(config, state_dir=tmp_path / "state")


def _broker_pid(state_dir: Path) -> int | None:
    """The process of the broker of this state directory now, as it was written down."""
    record = BrokerRecord.read(state_dir / "broker" / "broker.json")
    return record.process.pid if record is not None and record.process.is_alive() else None
