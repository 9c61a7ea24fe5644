"""The embedded broker with its real binary and the real Pulsar client."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pulsar
import pytest

from pulsar_runtimes.brokers.broker_log import LIMIT_BYTES
from pulsar_runtimes.brokers.broker_record import BrokerRecord
from pulsar_runtimes.brokers.directory_lock import DirectoryLock
from pulsar_runtimes.brokers.lite import LiteBroker, find_binary
from pulsar_runtimes.brokers.process_identity import ProcessIdentity
from pulsar_runtimes.model.errors import BrokerError
from pulsar_runtimes.model.observation import Observation, Phase

pytestmark = pytest.mark.broker

RECEIVE_MILLIS = 10_000

OWNER = """
import os, sys, time
from pathlib import Path
from pulsar_runtimes.brokers.lite import LiteBroker

broker = LiteBroker.from_state_dir(Path(sys.argv[1]), os.environ)
print(broker.start(), flush=True)
if sys.argv[2:] == ["fork"]:
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def broker(state_dir: Path) -> Iterator[LiteBroker]:
    broker = LiteBroker.from_state_dir(state_dir, os.environ)
    yield broker
    broker.stop(grace_seconds=5)


def wait_until(met: Callable[[], bool], seconds: float, *, seen: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() >= deadline:
            pytest.fail(f"not met after {seconds} s; last seen: {seen()}")
        time.sleep(0.02)


def wait_for_phase(broker: LiteBroker, phase: Phase) -> Observation:
    wait_until(lambda: broker.observe().phase is phase, 10, seen=broker.observe)
    return broker.observe()


def record(state_dir: Path) -> BrokerRecord:
    found = BrokerRecord.read(state_dir / "broker" / "broker.json")
    assert found is not None
    return found


def kill_binary(state_dir: Path) -> None:
    os.kill(record(state_dir).process.pid, signal.SIGKILL)


@contextlib.contextmanager
def client_of(url: str) -> Iterator[Any]:
    client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        yield client
    finally:
        # shutdown, not close: it waits for nothing, so a broker that has gone cannot hold the test up.
        client.shutdown()


def produce(url: str, *messages: bytes) -> None:
    with client_of(url) as client:
        producer = client.create_producer("persistent://public/default/numbers")
        for message in messages:
            producer.send(message)


def consume(url: str, count: int) -> list[bytes]:
    with client_of(url) as client:
        consumer = client.subscribe(
            "persistent://public/default/numbers", "test", initial_position=pulsar.InitialPosition.Earliest
        )
        return [consumer.receive(RECEIVE_MILLIS).data() for _ in range(count)]


@contextlib.contextmanager
def owner_of(state_dir: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A worker process that has started a broker; killed -9 at the end if it still lives."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(state_dir), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline().startswith("pulsar://127.0.0.1:")
            yield owner
        finally:
            owner.kill()


def script(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


# --- working -------------------------------------------------------------------------------------------------


def test_messages_go_through(broker: LiteBroker) -> None:
    url = broker.start()
    produce(url, b"one", b"two")
    assert consume(url, 2) == [b"one", b"two"]


def test_messages_and_port_survive_a_stop_by_another_broker_object(broker: LiteBroker, state_dir: Path) -> None:
    url = broker.start()
    produce(url, b"one", b"two")
    broker.stop(grace_seconds=5)

    successor = LiteBroker.from_state_dir(state_dir, os.environ)
    try:
        assert successor.start() == url
        assert consume(url, 2) == [b"one", b"two"]
    finally:
        successor.stop(grace_seconds=5)


def test_messages_and_port_survive_sigkill_of_the_binary(broker: LiteBroker, state_dir: Path) -> None:
    url = broker.start()
    produce(url, b"one", b"two")
    kill_binary(state_dir)

    seen = wait_for_phase(broker, Phase.EXITED)
    assert seen.exit_code == -signal.SIGKILL
    assert seen.reason == f"pulsar-lite: killed by SIGKILL; see {state_dir}/broker/broker.log"
    assert broker.start() == url
    assert broker.observe() == Observation(Phase.RUNNING)
    assert consume(url, 2) == [b"one", b"two"]


def test_a_connected_client_goes_on_after_the_broker_came_back(broker: LiteBroker, state_dir: Path) -> None:
    url = broker.start()
    with client_of(url) as client:
        producer = client.create_producer("again")
        consumer = client.subscribe("again", "test", initial_position=pulsar.InitialPosition.Earliest)
        producer.send(b"before")
        message = consumer.receive(RECEIVE_MILLIS)
        assert message.data() == b"before"
        consumer.acknowledge(message)

        kill_binary(state_dir)
        wait_for_phase(broker, Phase.EXITED)
        broker.start()
        producer.send(b"after")

        # An acknowledgement that was lost with the broker brings "before" back: at least once.
        wait_until(lambda: bool(consumer.receive(RECEIVE_MILLIS).data() == b"after"), 30)


def test_the_broker_outlives_the_thread_that_started_it(broker: LiteBroker) -> None:
    starting = threading.Thread(target=broker.start)
    starting.start()
    starting.join()
    assert broker.observe() == Observation(Phase.RUNNING)
    url = broker.start()
    produce(url, b"one")
    assert consume(url, 1) == [b"one"]


def test_the_phases_of_one_life(broker: LiteBroker) -> None:
    assert broker.observe() == Observation(Phase.CREATED)
    broker.start()
    assert broker.observe() == Observation(Phase.RUNNING)
    broker.stop(grace_seconds=5)
    assert broker.observe() == Observation(Phase.EXITED, reason="pulsar-lite: was stopped")


def test_start_while_it_runs_changes_nothing(broker: LiteBroker, state_dir: Path) -> None:
    url = broker.start()
    process = record(state_dir).process
    assert broker.start() == url
    assert record(state_dir).process == process


def test_only_loopback_is_listened_on(broker: LiteBroker, state_dir: Path) -> None:
    url = broker.start()
    process = psutil.Process(record(state_dir).process.pid)
    listening = [c.laddr for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert [f"pulsar://{address.ip}:{address.port}" for address in listening] == [url]
    assert url.startswith("pulsar://127.0.0.1:")


def test_what_is_written_is_the_owners_alone(broker: LiteBroker, state_dir: Path) -> None:
    broker.start()
    paths = [state_dir, *state_dir.rglob("*")]
    assert {path.name for path in paths} >= {"broker.json", "broker.log", "lock", "data.rocksdb"}
    assert [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_the_limits_name_what_needs_a_real_pulsar() -> None:
    lacking = {name for name in LiteBroker.limits.__slots__ if getattr(LiteBroker.limits, name) is False}
    assert lacking == {
        "patterns",
        "schemas_from_registry",
        "last_message_id",
        "compaction",
        "authentication",
        "tls",
        "admin",
        "geo_replication",
        "tells_consumers_apart",
        "deduplication",
    }
    assert {language.name for language in LiteBroker.limits.languages} == {"JAVA", "PYTHON"}


# --- stopping ------------------------------------------------------------------------------------------------


def test_stop_is_idempotent_and_allowed_before_start(broker: LiteBroker, state_dir: Path) -> None:
    broker.stop(grace_seconds=5)
    assert broker.observe().phase is Phase.CREATED
    broker.start()
    broker.stop(grace_seconds=5)
    broker.stop(grace_seconds=5)
    assert not record(state_dir).process.is_alive()


def test_stop_after_the_binary_was_killed(broker: LiteBroker, state_dir: Path) -> None:
    broker.start()
    kill_binary(state_dir)
    wait_for_phase(broker, Phase.EXITED)
    broker.stop(grace_seconds=5)
    assert broker.observe() == Observation(Phase.EXITED, reason="pulsar-lite: was stopped")


def test_stop_ends_a_binary_that_does_not_answer_sigterm(broker: LiteBroker, state_dir: Path) -> None:
    broker.start()
    process = record(state_dir).process
    os.kill(process.pid, signal.SIGSTOP)
    broker.stop(grace_seconds=0.1)
    assert not process.is_alive()


def test_stop_ends_a_binary_whose_guard_does_not_answer(broker: LiteBroker, state_dir: Path) -> None:
    broker.start()
    process = record(state_dir).process
    os.kill(psutil.Process(process.pid).ppid(), signal.SIGSTOP)
    broker.stop(grace_seconds=0)
    assert not process.is_alive()


# --- owners, left-overs --------------------------------------------------------------------------------------


def test_a_second_owner_is_refused_with_the_first_ones_pid(broker: LiteBroker, state_dir: Path) -> None:
    with owner_of(state_dir) as owner:
        with pytest.raises(BrokerError) as refused:
            broker.start()
        assert str(refused.value) == (
            f"{state_dir}: in use by the worker with pid {owner.pid}; "
            "stop that one, or give this worker a state directory of its own"
        )
        assert broker.observe() == Observation(Phase.EXITED, reason=str(refused.value))
        assert record(state_dir).process.is_alive()


def test_the_state_directory_is_free_after_stop(broker: LiteBroker, state_dir: Path) -> None:
    broker.start()
    broker.stop(grace_seconds=5)
    with owner_of(state_dir) as owner:
        assert owner.poll() is None


def test_an_owner_killed_leaves_no_broker(state_dir: Path) -> None:
    with owner_of(state_dir) as owner:
        process = record(state_dir).process
        guard = ProcessIdentity.of(psutil.Process(process.pid).ppid())
        assert process.is_alive()
        assert guard.is_alive()
        owner.kill()
        wait_until(lambda: not process.is_alive() and not guard.is_alive(), 5)


def test_an_owner_killed_leaves_no_broker_though_a_forked_child_holds_the_pipe(state_dir: Path) -> None:
    with owner_of(state_dir, "fork") as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        process = record(state_dir).process
        try:
            owner.kill()
            wait_until(lambda: not process.is_alive(), 5)
            assert psutil.pid_exists(child)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_guard_killed_takes_the_binary_along(broker: LiteBroker, state_dir: Path) -> None:
    url = broker.start()
    process = record(state_dir).process
    os.kill(psutil.Process(process.pid).ppid(), signal.SIGKILL)
    wait_until(lambda: not process.is_alive(), 5)
    assert wait_for_phase(broker, Phase.EXITED).exit_code == -signal.SIGKILL
    assert broker.start() == url


def test_sigterm_to_the_guard_ends_the_binary(broker: LiteBroker, state_dir: Path) -> None:
    broker.start()
    process = record(state_dir).process
    os.kill(psutil.Process(process.pid).ppid(), signal.SIGTERM)
    wait_until(lambda: not process.is_alive(), 5)
    assert wait_for_phase(broker, Phase.EXITED).exit_code == -signal.SIGTERM


def test_a_left_over_is_ended_before_the_next_start(
    broker: LiteBroker, state_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a guard that was killed before it could tie its child to itself."""
    url = broker.start()
    broker.stop(grace_seconds=5)
    directory = state_dir / "broker"
    with subprocess.Popen(
        [find_binary(), "--config", directory / "pulsar-lite.toml", "--db-path", directory / "data"],
        stderr=subprocess.DEVNULL,
    ) as left_over:
        port = record(state_dir).port
        BrokerRecord(ProcessIdentity.of(left_over.pid), port, "left over").write(directory / "broker.json")
        with caplog.at_level(logging.WARNING):
            assert broker.start() == url
        assert left_over.wait(5) == -signal.SIGTERM
    assert caplog.messages == [f"pulsar-lite: ends process {left_over.pid}, which an earlier worker left"]


def test_a_stranger_with_the_recorded_pid_is_left_alone(broker: LiteBroker, state_dir: Path) -> None:
    (state_dir / "broker").mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            earlier = ProcessIdentity(stranger.pid, ProcessIdentity.of(stranger.pid).start_time - 1)
            BrokerRecord(earlier, 0, "x").write(state_dir / "broker" / "broker.json")
            broker.start()
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": null, "start_time": 1, "port": 1, "binary": "x"}'])
def test_a_record_that_cannot_be_understood_is_no_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broker.json"
    path.write_text(text)
    assert BrokerRecord.read(path) is None


def test_the_record_says_what_runs(broker: LiteBroker, state_dir: Path) -> None:
    url = broker.start()
    values = json.loads((state_dir / "broker" / "broker.json").read_text())
    assert values == {
        "pid": values["pid"],
        "start_time": ProcessIdentity.of(values["pid"]).start_time,
        "port": int(url.rpartition(":")[2]),
        "binary": str(find_binary()),
    }


# --- ports ---------------------------------------------------------------------------------------------------


def test_a_recorded_port_that_is_taken_is_given_up(broker: LiteBroker, state_dir: Path) -> None:
    url = broker.start()
    broker.stop(grace_seconds=5)
    with socket.create_server(("127.0.0.1", record(state_dir).port)):
        other = broker.start()
    assert other != url


def test_a_bind_race_is_retried_on_another_port(state_dir: Path, tmp_path: Path) -> None:
    ports = tmp_path / "ports"
    binary = script(
        tmp_path / "racing",
        f'grep ^addr "$2" >> {ports}\n'
        f'[ $(wc -l < {ports}) -ge 2 ] && exec {find_binary()} "$@"\n'
        "echo 'Error: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }' >&2; exit 1\n",
    )
    broker = LiteBroker(state_dir, os.environ, binary=binary)
    try:
        url = broker.start()
        first, second = ports.read_text().splitlines()
        assert first != second
        assert second == f'addr = "{url.removeprefix("pulsar://")}"'
    finally:
        broker.stop(grace_seconds=5)


def test_a_promised_port_that_is_taken_is_an_error(state_dir: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    binary = script(
        tmp_path / "binary",
        f'[ -e {taken} ] || exec {find_binary()} "$@"\necho "Error: AddrInUse" >&2; exit 1\n',
    )
    broker = LiteBroker(state_dir, os.environ, binary=binary)
    try:
        url = broker.start()
        taken.touch()
        kill_binary(state_dir)
        wait_for_phase(broker, Phase.EXITED)
        with pytest.raises(BrokerError, match=r"^127\.0\.0\.1:\d+: another process listens there; end it, or "):
            broker.start()
        taken.unlink()
        assert broker.start() == url
    finally:
        broker.stop(grace_seconds=5)


# --- what goes wrong -----------------------------------------------------------------------------------------


def test_a_package_that_is_not_installed_is_named_with_the_remedy() -> None:
    with pytest.raises(BrokerError) as missing:
        find_binary("pulsar_lite_that_is_not_there")
    assert str(missing.value) == (
        "pulsarServiceUrl: not set, and the package pulsar_lite_that_is_not_there is not installed; "
        "pip install pulsar-lite, or set pulsarServiceUrl to use a broker of your own"
    )


def test_a_package_without_the_binary_or_with_one_that_is_not_executable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "pulsar_lite_broken"
    (package / "bin").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BrokerError, match=r"pulsar_lite_broken: has no bin/pulsar-lite; pip install pulsar-lite, or "):
        find_binary("pulsar_lite_broken")
    binary = package / "bin" / "pulsar-lite"
    binary.touch(mode=0o600)
    with pytest.raises(BrokerError) as refused:
        find_binary("pulsar_lite_broken")
    assert str(refused.value) == f"{binary}: not executable; chmod +x it, or set pulsarServiceUrl"


def test_a_binary_that_fails_is_reported_with_the_end_of_its_log(state_dir: Path, tmp_path: Path) -> None:
    binary = script(tmp_path / "failing", "for n in $(seq 1 20); do echo line $n; done; exit 3\n")
    broker = LiteBroker(state_dir, os.environ, binary=binary)
    with pytest.raises(BrokerError) as failed:
        broker.start()
    first, *lines = str(failed.value).splitlines()
    assert first == (f"pulsar-lite: did not start: exit code 3; the last lines of {state_dir}/broker/broker.log:")
    assert lines == [f"  line {n}" for n in range(11, 21)]
    assert broker.observe() == Observation(Phase.EXITED, reason=first)
    assert broker.log_lines(1) == ["line 20"]


def test_a_binary_that_cannot_be_executed_is_reported(state_dir: Path, tmp_path: Path) -> None:
    broker = LiteBroker(state_dir, os.environ, binary=tmp_path / "none")
    with pytest.raises(BrokerError, match=r"exit code 127; .*\n  .*/none: cannot be executed \(No such file or dir"):
        broker.start()


def test_a_binary_that_never_listens_is_ended_and_the_directory_given_back(state_dir: Path, tmp_path: Path) -> None:
    broker = LiteBroker(state_dir, {}, binary=script(tmp_path / "deaf", "exec sleep 60\n"), ready_seconds=0.3)
    with pytest.raises(BrokerError, match=r"accepts no connection after 0\.3 s; the last lines of .* \(none\)"):
        broker.start()
    assert not record(state_dir).process.is_alive()
    lock = DirectoryLock(state_dir / "broker" / "lock", state_dir)
    lock.acquire()
    lock.release()


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    broker = LiteBroker.from_state_dir(tmp_path / "file" / "state", os.environ)
    with pytest.raises(BrokerError, match=r"/file/state: cannot be used \(Not a directory\); the worker needs a "):
        broker.start()


def test_a_long_log_is_put_aside_at_the_start(broker: LiteBroker, state_dir: Path) -> None:
    directory = state_dir / "broker"
    directory.mkdir(parents=True)
    (directory / "broker.log").write_bytes(b"x" * (LIMIT_BYTES + 1))
    broker.start()
    assert (directory / "broker.log.1").stat().st_size == LIMIT_BYTES + 1
    assert (directory / "broker.log").stat().st_size < LIMIT_BYTES
    assert broker.log_lines(5) == []


def test_an_empty_environment_is_enough(state_dir: Path) -> None:
    broker = LiteBroker.from_state_dir(state_dir, {})
    try:
        broker.start()
        assert broker.observe().phase is Phase.RUNNING
    finally:
        broker.stop(grace_seconds=5)
