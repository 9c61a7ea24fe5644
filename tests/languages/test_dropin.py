"""pfrun's Python instance in place of the reference's: alone, and under the worker inside a real Apache Pulsar."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pulsar
import pytest

from pulsar_runtimes.dropin import SCRIPT
from pulsar_runtimes.model.function import ConsumerSpec, SinkSpec, SourceSpec
from pulsar_runtimes.testing import function_spec
from tests.channel import Channel
from tests.standalone import standalone
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone
from tests.waiting import is_alive, until

SAMPLES = Path(__file__).parents[1] / "functions" / "samples.py"

Admin = Callable[..., str]


# The script


def script(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60)


def test_the_module_prints_the_path_of_the_script() -> None:
    printed = script(sys.executable, "-m", "pulsar_runtimes.dropin")
    assert (printed.returncode, printed.stdout, printed.stderr) == (0, f"{SCRIPT}\n", "")
    assert SCRIPT.is_file()


def test_it_is_the_instance_with_its_command_line(tmp_path: Path) -> None:
    run = script(sys.executable, SCRIPT, "--py", "f.py", "--instance_id", "0")
    assert run.returncode == 1
    assert run.stderr.startswith("these options are missing: --function_details, --function_id")


def test_its_own_directory_is_no_place_for_modules(tmp_path: Path) -> None:
    code = (
        "import runpy, sys; sys.path.insert(0, sys.argv[1]); sys.argv = ['x', '--help']\n"
        "try: runpy.run_path(sys.path[0] + '/python_instance_main.py', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "import python_instance_main"
    )
    run = script(sys.executable, "-c", code, SCRIPT.parent)
    assert "usage: " in run.stdout
    assert run.stderr.endswith("No module named 'python_instance_main'\n")


def test_the_logging_configuration_of_the_reference_is_understood(tmp_path: Path) -> None:
    """Its class is in a module ``log``, which a function may have, too."""
    (tmp_path / "log.py").write_text("MINE = True\n")
    (tmp_path / "logging.ini").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=file\n[formatters]\nkeys=plain\n[formatter_plain]\nformat=%(message)s\n"
        "[logger_root]\nlevel=INFO\nhandlers=file\n[handler_file]\nclass=log.CreatePathRotatingFileHandler\n"
        "formatter=plain\nargs=('made/for/it.log', 5, 10 * 1024 * 1024)\n"
    )
    code = (
        "import logging.config; from pulsar_runtimes.dropin.rotating_file import answer_to_its_name\n"
        "answer_to_its_name(); logging.config.fileConfig('logging.ini'); logging.info('hello')\n"
        "import log; assert log.MINE; logging.log(logging.INFO, 'again')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "made/for/it.log").read_text() == "hello\nagain\n"


class TestAnotherPython:
    """``-S`` leaves a Python without what is installed for it, ``-E`` without what the environment adds."""

    def test_it_is_told_in_one_line(self, tmp_path: Path) -> None:
        copy = self.installed(tmp_path)
        run = script(sys.executable, "-E", "-S", copy)
        assert run.returncode == 1
        assert run.stdout == ""
        (line,) = run.stderr.splitlines()
        assert line.startswith(f"{sys.executable} cannot run the pulsar_runtimes of {copy.parents[2]}: No module named")
        assert line.endswith(
            "; find the Python that has it: put its directory first on the PATH of the worker, "
            "where python3 is looked for"
        )

    def test_the_one_that_has_pfrun_is_named(self, tmp_path: Path) -> None:
        copy = self.installed(tmp_path)
        python = tmp_path / "bin" / "python3.11"
        python.parent.mkdir()
        python.write_text("")
        python.chmod(0o755)
        assert f"; {python} has it: put" in script(sys.executable, "-E", "-S", copy).stderr

    def test_the_one_of_a_checkout_is_named(self, tmp_path: Path) -> None:
        copy = self.installed(tmp_path)
        python = copy.parents[2] / ".venv" / "bin" / "python3"
        python.parent.mkdir(parents=True)
        python.symlink_to(sys.executable)
        assert f"; {python} has it: put" in script(sys.executable, "-E", "-S", copy).stderr

    def test_one_that_lacks_a_library_says_which(self, tmp_path: Path) -> None:
        run = script(sys.executable, "-S", SCRIPT, PYTHONPATH=str(SCRIPT.parents[2]))
        assert run.returncode == 1
        (line,) = run.stderr.splitlines()
        assert ": No module named '" in line

    @staticmethod
    def installed(prefix: Path) -> Path:
        place = prefix / "lib" / "python3.11" / "site-packages" / "pulsar_runtimes" / "dropin"
        place.mkdir(parents=True)
        return Path(shutil.copy(SCRIPT, place))


# Under a worker


@pytest.fixture(scope="module")
def java_worker(pulsar_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A Pulsar whose own worker runs Python functions with pfrun's instance."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    started = or_skip(
        lambda: standalone.start(
            tmp_path_factory.mktemp("dropin"),
            pulsar_home,
            os.environ | {"PATH": path, "PULSAR_HOME": str(pulsar_home)},  # bin/pulsar sets the second, too
            functions_worker="process",
            worker_settings={"functionRuntimeFactoryConfigs": {"pythonInstanceLocation": str(SCRIPT)}},
            dies_with_caller=True,
        )
    )
    yield started
    started.stop()


@pytest.fixture(scope="module")
def admin(java_worker: Standalone) -> Admin:
    """``admin("functions", "list")`` is what the distribution's own ``pulsar-admin`` answers."""

    def ask(*arguments: str) -> str:
        command = [str(java_worker.home / "bin" / "pulsar-admin"), "--admin-url", java_worker.admin_url, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return ask


@pytest.fixture
def client(java_worker: Standalone) -> Iterator[pulsar.Client]:
    client = pulsar.Client(java_worker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield client
    client.close()


@pytest.mark.slow
@pytest.mark.standalone
def test_under_the_worker_of_apache_pulsar_it_does_what_the_reference_does(
    java_worker: Standalone, admin: Admin, client: pulsar.Client, topic: Callable[[str], str]
) -> None:
    function = function_spec(
        name="dropped-in",
        source=SourceSpec(input_specs={topic("in"): ConsumerSpec()}),
        sink=SinkSpec(topic=topic("out")),
    )
    channel = Channel(client, function)
    named = ("--tenant", function.tenant, "--namespace", function.namespace, "--name", function.name)
    ends = ("--inputs", topic("in"), "--output", topic("out"), "--subs-position", "Earliest")
    channel.send(f"word {number}" for number in range(50))

    admin("functions", "create", *named, "--py", str(SAMPLES), "--classname", "samples.Exclaim", *ends)

    channel.await_all((f"word {number}!" for number in range(50)), seconds=60)
    (process,) = instances(java_worker)
    assert process.name().startswith("python")
    channel.send(f"more {number}" for number in range(50))
    channel.await_all(f"more {number}!" for number in range(50))
    assert len(channel.received) == 100

    (instance,) = json.loads(admin("functions", "status", *named))["instances"]
    status: dict[str, Any] = instance["status"]
    assert status["running"] is True
    assert status["numRestarts"] == 0
    assert (status["numReceived"], status["numSuccessfullyProcessed"]) == (100, 100)
    assert status["lastInvocationTime"] > 0
    stats = json.loads(admin("functions", "stats", *named))
    assert (stats["receivedTotal"], stats["processedSuccessfullyTotal"]) == (100, 100)
    assert stats["userExceptionsTotal"] == 0
    assert stats["avgProcessLatency"] > 0

    (log,) = java_worker.directory.rglob("dropped-in-0.log")
    assert "public/default/dropped-in:0 is ready" in log.read_text()

    admin("functions", "delete", *named)
    until(lambda: not is_alive(process.pid))
    assert instances(java_worker) == []


def instances(java_worker: Standalone) -> list[psutil.Process]:
    """The Python instances that the worker has started."""
    children = psutil.Process(java_worker.identity.pid).children(recursive=True)
    return [child for child in children if is_alive(child.pid) and str(SCRIPT) in child.cmdline()]
