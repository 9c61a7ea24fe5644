"""``python -m pulsar_runtimes.instance`` with the reference's command line, as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.instance.control import check_health, fetch_stats
from pulsar_runtimes.instance.environment import CODE_CACHE_VARIABLE, LOGGING_CONFIG_FILE, NOTIFY_VARIABLE
from pulsar_runtimes.model.details import details_json
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec, ProcessingGuarantees
from pulsar_runtimes.runtimes.command import python_arguments
from tests.instance.test_archive import make_zip
from tests.instance.workbench import Workbench, user_file
from tests.waiting import until

pytestmark = pytest.mark.broker

_OF_THE_GRPC_CORE = re.compile(r"[EWI]\d{4} .*\.cc:\d+\] |WARNING: All log messages before absl::InitializeLog")
SAME = "def process(value, context):\n    return value\n"


@dataclass
class Child:
    """An instance that runs as a process, and what it has written so far."""

    process: subprocess.Popen[bytes]
    log: Path
    notices: int | None = None

    def text(self) -> str:
        return self.log.read_text()

    def await_ready(self) -> None:
        until(lambda: "is ready" in self.text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.text()

    def end(self) -> int:
        """Its exit code, once it has ended."""
        until(self.process.poll, lambda code: code is not None)
        return self.process.wait()


class Launcher:
    """Starts instances with the reference's full command line; ends what is left of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.children: list[Child] = []

    def arguments(self, spec: InstanceSpec) -> list[str]:
        return python_arguments(
            spec, logging_directory=str(self.directory / "logs"), logging_config_file=LOGGING_CONFIG_FILE
        )

    def start(self, arguments: list[str], *, notify: bool = False) -> Child:
        log = self.directory / f"log-{len(self.children)}"
        environment = os.environ | {CODE_CACHE_VARIABLE: str(self.directory / "cache")}
        reader, writer = os.pipe() if notify else (None, None)
        if writer is not None:
            environment[NOTIFY_VARIABLE] = str(writer)
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "pulsar_runtimes.instance", *arguments],
                stdout=file,
                stderr=file,
                env=environment,
                cwd=self.directory,
                pass_fds=() if writer is None else (writer,),
            )
        if writer is not None:
            os.close(writer)
        self.children.append(Child(process, log, reader))
        return self.children[-1]

    def clear(self) -> None:
        for child in self.children:
            child.process.kill()
            child.process.wait()
            if child.notices is not None:
                os.close(child.notices)


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    yield launcher
    launcher.clear()


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def spec_of(workbench: Workbench, tmp_path: Path) -> Callable[..., InstanceSpec]:
    """``spec_of(source)`` is an instance of the code ``source`` on ports that are free."""

    def build(source: str, **changes: Any) -> InstanceSpec:
        file = user_file(tmp_path / "code", source)
        port, metrics_port = free_ports(2)
        spec = workbench.spec(**changes)
        return replace(
            spec,
            function=replace(spec.function, class_name=file.stem),
            code_file=str(file),
            port=port,
            metrics_port=metrics_port,
            auth=ClientAuth(),
            secrets_provider="secretsprovider.ClearTextSecretsProvider",
        )

    return build


SpecOf = Callable[..., InstanceSpec]

# Running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_instance_handles_messages_answers_and_ends_with_0(
    number: signal.Signals, launcher: Launcher, spec_of: SpecOf, workbench: Workbench
) -> None:
    spec = spec_of(SAME)
    child = launcher.start(launcher.arguments(spec))
    child.await_ready()
    workbench.publish("hello")
    assert workbench.outputs(1) == ["hello"]
    assert check_health(spec.port)
    assert fetch_stats(spec.port).processed == 1
    with urllib.request.urlopen(f"http://127.0.0.1:{spec.metrics_port}/metrics", timeout=5) as page:
        assert b'pulsar_function_received_total{cluster="standalone",fqfn="public/default/f"' in page.read()
    child.process.send_signal(number)
    assert child.end() == 0
    assert "Traceback" not in child.text()
    assert workbench.left_over(spec) == []


def test_a_stop_in_the_middle_loses_nothing(launcher: Launcher, spec_of: SpecOf, workbench: Workbench) -> None:
    spec = spec_of(SAME)
    sent = [f"m{number}" for number in range(3000)]
    # Not in batches: one that was handled in part comes again as a whole.
    producer = workbench.client.create_producer(workbench.topic("in"), block_if_queue_full=True, batching_enabled=False)
    for text in sent:
        producer.send_async(text.encode(), lambda result, _: None)
    producer.flush()
    producer.close()
    child = launcher.start(launcher.arguments(spec))
    workbench.outputs(50)
    child.process.terminate()
    assert child.end() == 0
    outputs, left = set(workbench.all_of()), set(workbench.left_over(spec))
    assert outputs | left == set(sent)
    assert outputs.isdisjoint(left), f"published, and not acknowledged: {sorted(outputs & left)}"
    assert left, "it was not stopped in the middle"


def test_the_command_line_of_the_reference_s_worker_is_taken_as_it_is(
    launcher: Launcher, spec_of: SpecOf, workbench: Workbench
) -> None:
    """With every option; what the worker quotes stays quoted, as its process builder uses no shell."""
    spec = replace(spec_of(SAME), secrets_provider_config={"k": "it's"}, expected_health_check_seconds=30)
    arguments = launcher.arguments(spec)
    assert "--tls_allow_insecure" in arguments
    assert arguments[arguments.index("--function_details") + 1] == f"'{details_json(spec.function)}'"
    more = {
        "logging_level": "WARNING",
        "dependency_repository": "http://127.0.0.1:1/simple",
        "extra_dependency_repository": "http://127.0.0.1:1/more",
        "install_usercode_dependencies": "True",
    }
    launcher.start([*arguments, *(part for name, value in more.items() for part in (f"--{name}", value))])
    workbench.publish("hello")
    assert workbench.outputs(1) == ["hello"]


def test_the_launcher_is_told_of_ports_and_of_the_end(launcher: Launcher, spec_of: SpecOf) -> None:
    spec = replace(spec_of(SAME), port=0, metrics_port=0)
    child = launcher.start(launcher.arguments(spec), notify=True)
    assert child.notices is not None
    with open(child.notices, closefd=False) as notices:
        event = json.loads(notices.readline())
        assert event.keys() == {"event", "port", "metrics_port"}
        assert event["event"] == "ready"
        assert check_health(event["port"])
        child.process.terminate()
        assert child.end() == 0
        assert notices.read() == ""


def test_one_that_nobody_asks_for_its_health_ends_by_itself(launcher: Launcher, spec_of: SpecOf) -> None:
    child = launcher.start(launcher.arguments(replace(spec_of(SAME), expected_health_check_seconds=1)))
    assert child.end() == 0
    assert "no health check for 3 s: the worker is gone" in child.text()


def test_the_log_file_s_place_is_given_to_the_logging_configuration(
    launcher: Launcher, spec_of: SpecOf, tmp_path: Path
) -> None:
    ini = tmp_path / "logging.ini"
    ini.write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=file\n[formatters]\nkeys=\n"
        "[logger_root]\nlevel=INFO\nhandlers=file\n"
        "[handler_file]\nclass=FileHandler\nargs=(__import__('os').environ['LOG_FILE'],)\n"
    )
    file = tmp_path / "logs/public/default/f/f-0.log"
    file.parent.mkdir(parents=True)
    arguments = launcher.arguments(spec_of(SAME))
    arguments[arguments.index("--logging_config_file") + 1] = str(ini)
    child = launcher.start(arguments)
    until(lambda: file.is_file() and "is ready" in file.read_text())
    child.process.terminate()
    assert child.end() == 0


@pytest.mark.parametrize(
    ("ini", "reason"),
    [(None, "there is no such file"), ("[handlers]\nkeys=x\n", "KeyError: 'formatters'")],
)
def test_a_logging_configuration_that_cannot_be_used_is_a_warning(
    ini: str | None, reason: str, launcher: Launcher, spec_of: SpecOf, tmp_path: Path
) -> None:
    file = tmp_path / "logging.ini"
    if ini is not None:
        file.write_text(ini)
    arguments = launcher.arguments(spec_of(SAME))
    arguments[arguments.index("--logging_config_file") + 1] = str(file)
    child = launcher.start(arguments)
    child.await_ready()
    assert f"WARNING:root:logging configuration {file} cannot be used: {reason}" in child.text()


# What the user did wrong


def complaint(child: Child) -> str:
    """The one line that a failed instance leaves, less the time and the logger's name, and what gRPC's core says."""
    assert child.end() == 1, child.text()
    (line,) = [line for line in child.text().splitlines() if not _OF_THE_GRPC_CORE.match(line)]
    return re.sub(r"^\[.*?\] \[ERROR\] pulsar_runtimes\.instance\.main: ", "", line)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"code_file": "/no/such/file.py"}, "/no/such/file.py: there is no such file"),
        ({"class_name": "Gone"}, "there is no module 'Gone' in "),
        ({"class_name": "{stem}.Gone"}, "has no 'Gone'; it has process"),
        ({"code_file": "{no_zip}"}, "no.zip: is no readable zip archive (File is not a zip file)"),
        ({"code_file": "{hostile}"}, "hostile.zip: member '../x' would be written outside its directory"),
        ({"service_url": "nonsense"}, "the Pulsar client cannot be made for 'nonsense': "),
        ({"secrets_provider": "mine.Vault"}, "no secrets provider named 'mine.Vault'; known: "),
        ({"processing_guarantees": ProcessingGuarantees.EFFECTIVELY_ONCE}, "EFFECTIVELY_ONCE: not in this version"),
        ({"port": "taken"}, "the control service cannot listen on [::]:"),
        ({"metrics_port": "taken"}, "the metrics server cannot listen on 0.0.0.0:"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_line_and_exit_code_1(
    changes: dict[str, Any], message: str, launcher: Launcher, spec_of: SpecOf, tmp_path: Path
) -> None:
    spec = spec_of(SAME)
    (tmp_path / "no.zip").write_text("no archive")
    make_zip(tmp_path / "hostile.zip", {"../x": ""})
    places = {
        "stem": Path(spec.code_file).stem,
        "no_zip": tmp_path / "no.zip",
        "hostile": tmp_path / "hostile.zip",
    }
    with socket.create_server(("", 0)) as taken:
        for name, value in changes.items():
            if value == "taken":
                value = taken.getsockname()[1]
            elif isinstance(value, str):
                value = value.format(**places)
            if hasattr(spec, name):
                spec = replace(spec, **{name: value})
            else:
                spec = replace(spec, function=replace(spec.function, **{name: value}))
        assert message in complaint(launcher.start(launcher.arguments(spec)))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--function_details", "{'a"], "a wrong option: --function_details: "),
        (["--port", "x"], "a wrong option: --port must be an integer (got 'x')"),
        (["--no_such", "s3cret"], "a wrong option: unknown: --no_such"),
        (["--cluster_name", ""], "these options are missing: --cluster_name"),
        (["--logging_level", "loud"], "--logging_level: Unknown level: 'LOUD'"),
    ],
)
def test_a_wrong_option_is_one_clear_line_and_exit_code_1(
    more: list[str], message: str, launcher: Launcher, spec_of: SpecOf
) -> None:
    said = complaint(launcher.start([*launcher.arguments(spec_of(SAME)), *more]))
    assert said.startswith(message)
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("source", "class_name", "lines"),
    [
        ("def load():\n    return {}['table']\n\nTABLE = load()\n", "{stem}", ["TABLE = load()", "KeyError: 'table'"]),
        ("import no_such_library\n", "{stem}", ["import no_such_library", "No module named 'no_such_library'"]),
        ("def process(:\n", "{stem}", ["def process(:", "SyntaxError: invalid syntax"]),
        (
            "class Fn:\n    def __init__(self):\n        raise RuntimeError('no table')\n",
            "{stem}.Fn",
            ["raise RuntimeError('no table')", "its constructor failed: RuntimeError: no table"],
        ),
    ],
)
def test_an_exception_of_the_user_s_code_is_shown_with_its_traceback_and_nothing_of_ours(
    source: str, class_name: str, lines: list[str], launcher: Launcher, spec_of: SpecOf
) -> None:
    spec = spec_of(source)
    stem = Path(spec.code_file).stem
    spec = replace(spec, function=replace(spec.function, class_name=class_name.format(stem=stem)))
    child = launcher.start(launcher.arguments(spec), notify=True)
    assert child.end() == 1
    shown = child.text()
    assert [line for line in lines if line not in shown] == []
    assert f'File "{spec.code_file}", line ' in shown
    assert [line for line in shown.splitlines() if "File " in line and spec.code_file not in line] == []
    assert child.notices is not None
    with open(child.notices, closefd=False) as notices:
        event = json.loads(notices.read())
    assert event["event"] == "failed"
    assert event["reason"] in shown
