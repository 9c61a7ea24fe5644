"""The way to a real Apache Pulsar: it is fetched, comes up, carries messages, and goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pulsar
import pytest

from tests.standalone import distribution, standalone
from tests.standalone.distribution import DistributionError, UnavailableError
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone
from tests.waiting import is_alive, until

ROOT = Path(__file__).resolve().parents[2]


def one_message_through(service_url: str, topic: str, payload: bytes) -> bytes:
    client = pulsar.Client(service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        consumer = client.subscribe(topic, "test", initial_position=pulsar.InitialPosition.Earliest)
        client.create_producer(topic).send(payload)
        return bytes(consumer.receive(20_000).data())
    finally:
        client.close()


@pytest.fixture
def java() -> str:
    return or_skip(lambda: distribution.find_java(os.environ))


@pytest.mark.slow
@pytest.mark.standalone
class TestRealPulsar:
    def test_a_message_goes_through(self, pulsar_standalone: Standalone, topic: Callable[[str], str]) -> None:
        assert one_message_through(pulsar_standalone.service_url, topic("t"), b"hello") == b"hello"

    def test_it_listens_on_loopback_only(self, pulsar_standalone: Standalone) -> None:
        listening = {
            connection.laddr.ip
            for connection in psutil.Process(pulsar_standalone.identity.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}

    @pytest.mark.usefixtures("java", "pulsar_home")
    def test_the_script_starts_and_stops_it(
        self, pulsar_home: Path, tmp_path: Path, topic: Callable[[str], str]
    ) -> None:
        started = script("start", str(tmp_path / "data"))
        assert started.returncode == 0, started.stderr
        urls = json.loads(started.stdout)
        try:
            assert one_message_through(urls["serviceUrl"], topic("t"), b"hello") == b"hello"
            again = script("start", str(tmp_path / "data"))
            assert again.returncode == 1
            assert again.stderr.endswith(f"in use by process {urls['pid']}; stop that one first\n")
        finally:
            stopped = script("stop", str(tmp_path / "data"))
        assert stopped.returncode == 0, stopped.stderr
        assert not is_alive(urls["pid"])
        assert script("stop", str(tmp_path / "data")).returncode == 0

    @pytest.mark.usefixtures("java")
    def test_one_that_dies_with_its_caller_does(self, pulsar_home: Path, tmp_path: Path) -> None:
        code = (
            "import os, sys; from pathlib import Path; from tests.standalone.standalone import start\n"
            "pulsar = start(Path(sys.argv[1]), Path(sys.argv[2]), os.environ, dies_with_caller=True)\n"
            "print(pulsar.identity.pid, flush=True); os.kill(os.getpid(), 9)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), str(pulsar_home)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        until(lambda: not is_alive(int(done.stdout)))


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.standalone", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)


class TestDistribution:
    @pytest.mark.parametrize(
        ("environment", "wanted"),
        [
            ({"PFRUN_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, Path("/c/pulsar-4.0.8")),
            ({"XDG_CACHE_HOME": "/x"}, Path("/x/pfrun/pulsar-4.0.8")),
            ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache/pfrun/pulsar-4.0.8"),
            ({}, Path.home() / ".cache/pfrun/pulsar-4.0.8"),
        ],
    )
    def test_its_directory(self, environment: dict[str, str], wanted: Path) -> None:
        assert distribution.home(environment) == wanted

    def test_what_is_there_needs_no_maven(self, tmp_path: Path) -> None:
        (tmp_path / "pulsar-4.0.8").mkdir()
        assert distribution.fetch({"PFRUN_CACHE": str(tmp_path), "PATH": ""}) == tmp_path / "pulsar-4.0.8"

    def test_no_maven_is_said_with_the_remedy(self, tmp_path: Path) -> None:
        with pytest.raises(UnavailableError, match=r"no mvn on the PATH.*apt-get install .*maven"):
            distribution.fetch({"PFRUN_CACHE": str(tmp_path / "c"), "PATH": str(tmp_path)})

    def test_a_maven_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        environment = with_program(tmp_path, "mvn", "echo cannot resolve; exit 3")
        with pytest.raises(UnavailableError, match="exit code 3; its last lines:\ncannot resolve"):
            distribution.fetch(environment)
        assert not list((tmp_path / "c").glob("*partial*"))

    def test_another_archive_is_refused(self, tmp_path: Path) -> None:
        environment = with_program(tmp_path, "mvn", "echo other > other.tar.gz")
        with pytest.raises(DistributionError, match=r"sha256 is [0-9a-f]{64}, it must be 35c7d064"):
            distribution.fetch(environment)
        assert not distribution.home(environment).exists()

    def test_what_an_interrupted_run_left_is_removed(self, tmp_path: Path) -> None:
        environment = with_program(tmp_path, "mvn", "exit 1")
        left_over = tmp_path / "c" / "pulsar-4.0.8.partial-x"
        left_over.mkdir(parents=True)
        with pytest.raises(UnavailableError):
            distribution.fetch(environment)
        assert not left_over.exists()


class TestFindJava:
    @pytest.mark.parametrize(
        "version", ['openjdk version "17.0.15" 2025-04-15', 'openjdk version "21" 2023-09-19', "javac 25.0.1"]
    )
    def test_17_and_newer_will_do(self, tmp_path: Path, version: str) -> None:
        environment = with_program(tmp_path, "java", f"echo '{version}' >&2")
        assert distribution.find_java(environment) == str(tmp_path / "bin" / "java")

    @pytest.mark.parametrize("version", ['java version "1.8.0_402"', 'openjdk version "11.0.2"', "segmentation fault"])
    def test_an_older_one_is_named(self, tmp_path: Path, version: str) -> None:
        environment = with_program(tmp_path, "java", f"echo '{version}' >&2")
        with pytest.raises(UnavailableError, match="Java 17 or newer is needed"):
            distribution.find_java(environment)

    def test_a_java_home_without_java_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(UnavailableError, match=f"no java \\(JAVA_HOME is {tmp_path}\\)"):
            distribution.find_java(os.environ | {"JAVA_HOME": str(tmp_path)})


def test_a_java_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    environment = with_program(
        tmp_path, "java", 'test "$1" = -version && echo "java 17" || { echo no memory; exit 4; }'
    )
    with pytest.raises(standalone.StandaloneError, match=r"ended with exit code 4\nno memory\nsee .*/standalone.log"):
        standalone.start(tmp_path / "data", tmp_path / "home", environment)
    assert standalone.read(tmp_path / "data") is None


def with_program(directory: Path, name: str, body: str) -> dict[str, str]:
    """An environment whose PATH has a shell script ``name`` before everything else."""
    program = directory / "bin" / name
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "PFRUN_CACHE": str(directory / "c")}
