"""``pfrun localrun``: the flags of pulsar-admin, and one function in the foreground."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.cli import localrun
from pulsar_runtimes.cli.local_flags import LOCAL_FLAGS, Form, Target
from pulsar_runtimes.cli.workload import LoadedFunction
from pulsar_runtimes.model.function import FunctionSpec, ProcessingGuarantees
from pulsar_runtimes.worker.worker import Worker
from tests.channel import Channel
from tests.cli.daemon import Daemon, Ran, run_process

Pfrun = Callable[..., Ran]
Start = Callable[..., Daemon]
Write = Callable[[str, str], str]
Function = Callable[..., str]
Talk = Callable[[Daemon, str], Channel]

CODE = ["--py", "samples.py", "--classname", "samples.Exclaim", "--inputs", "in"]


@pytest.fixture
def asked(pfrun: Pfrun, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[FunctionSpec, Worker]]:
    """``asked(*flags)`` is the function and the worker that a command line would run; nothing is started."""
    served: list[tuple[FunctionSpec, Worker]] = []

    def serve(worker: Worker, functions: Sequence[LoadedFunction], *_: Any) -> int:
        (function,) = functions
        served.append((function.spec, worker))
        return 0

    monkeypatch.setattr(localrun, "serve", serve)
    monkeypatch.setattr(localrun, "set_up_logging", lambda verbose: None)

    def asked(*flags: str) -> tuple[FunctionSpec, Worker]:
        ran = pfrun("localrun", *flags)
        assert ran.code == 0, ran.err
        return served[-1]

    return asked


Asked = Callable[..., tuple[FunctionSpec, Worker]]


# Flags


@pytest.mark.parametrize(
    "flags",
    [
        """--py samples.py --classname samples.Exclaim --tenant t --namespace n --name f --inputs a,b --output o
        --log-topic log --processing-guarantees MANUAL --user-config {"k":1} --subs-name s --subs-position Earliest
        --retain-ordering true --parallelism 2 --auto-ack false --skip-to-latest false
        --custom-serde-inputs {"c":"x.Y"}""",
        """--py samples.py --className samples.Exclaim --tenant t --namespace n --name f -i a,b -o o
        --logTopic log --processingGuarantees MANUAL --userConfig {"k":1} --subsName s --subsPosition Earliest
        --retainOrdering --parallelism 2 --autoAck false --skipToLatest false --customSerdeInputs {"c":"x.Y"}""",
        """--py samples.py --classname=samples.Exclaim --fqfn t/n/f --inputs=a,b --output=o
        --log-topic=log --processing-guarantees=manual --user-config={"k":1} --subs-name=s --subs-position=earliest
        --retain-ordering --parallelism=2 --auto-ack=false --skip-to-latest=false --custom-serde-inputs={"c":"x.Y"}""",
    ],
    ids=["kebab", "camel", "equals"],
)
def test_each_spelling_of_the_flags_means_the_same(flags: str, asked: Asked) -> None:
    spec, _ = asked(*flags.split())
    assert str(spec.key) == "t/n/f"
    assert spec.class_name == "samples.Exclaim"
    assert [topic.rpartition("/")[2] for topic in sorted(spec.source.input_specs)] == ["a", "b", "c"]
    assert spec.sink.topic.endswith("/o")
    assert spec.processing_guarantees is ProcessingGuarantees.MANUAL
    assert (spec.parallelism, spec.auto_ack, spec.retain_ordering) == (2, False, True)
    assert (spec.source.subscription_name, spec.source.skip_to_latest) == ("s", False)
    assert spec.log_topic.endswith("log")
    assert spec.user_config == {"k": 1}


def test_flags_of_pulsar_admin_s_broker_settings_reach_the_worker(asked: Asked) -> None:
    _, worker = asked(
        *CODE,
        *("--brokerServiceUrl", "pulsar+ssl://there:6651", "--use_tls", "true", "--tls_trust_cert_path", "ca.pem"),
        *("--clientAuthPlugin", "a.B", "--clientAuthParams", "token:s3cret", "--tls_allow_insecure", "true"),
        "--hostname_verification_enabled",
    )
    auth = worker.config.broker_client_auth
    assert auth is not None
    assert worker.service_url == "pulsar+ssl://there:6651"
    assert (auth.plugin, auth.params, auth.use_tls) == ("a.B", "token:s3cret", True)
    assert (auth.tls_allow_insecure, auth.tls_hostname_verification, auth.tls_trust_certs_file) == (
        True,
        True,
        "ca.pem",
    )


@pytest.mark.parametrize(
    ("name", "factory"), [("THREAD", "thread"), ("process", "process"), ("subprocess", "subprocess")]
)
def test_the_runtime_is_chosen_by_name_in_any_case(name: str, factory: str, asked: Asked) -> None:
    assert asked(*CODE, "--runtime", name)[1].factory.name == factory


def test_flags_come_before_what_stands_in_the_file(asked: Asked, function: Function) -> None:
    spec, _ = asked("--functionConfigFile", function(more="parallelism: 2"), "--parallelism", "3", "--tenant", "t")
    assert (str(spec.key), spec.parallelism) == ("t/default/f", 3)


def test_every_old_spelling_is_taken_and_hidden(pfrun: Pfrun) -> None:
    shown = pfrun("localrun", "--help").out.partition("\nOptions:\n")[2]
    for flag in LOCAL_FLAGS:
        for name in flag.names:
            is_usual = name.islower() and "_" not in name
            is_shown = re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", shown) is not None
            assert is_shown == (is_usual and flag.target is not Target.REFUSED), name


@pytest.mark.parametrize(
    "flag", [flag for flag in LOCAL_FLAGS if flag.target is Target.REFUSED], ids=lambda f: f.names[0]
)
def test_a_flag_that_cannot_be_honoured_is_refused_with_the_reason(flag: Any, pfrun: Pfrun) -> None:
    for name in flag.names:
        ran = pfrun("localrun", *CODE, name, "x")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.endswith(f"{name if len(name) > 2 else flag.names[0]}: cannot be honoured: {flag.help}\n")


@pytest.mark.parametrize("flag", [flag for flag in LOCAL_FLAGS if flag.form is Form.MAPPING], ids=lambda f: f.names[0])
@pytest.mark.parametrize("value", ['{"s3cret": ', "[1]", "s3cret"])
def test_a_mapping_that_is_none_is_told_without_its_text(flag: Any, value: str, pfrun: Pfrun) -> None:
    ran = pfrun("localrun", *CODE, flag.names[0], value)
    assert (ran.code, ran.out) == (2, "")
    assert f"'{flag.names[0]}': must be a mapping in JSON" in ran.err
    assert "s3cret" not in ran.err


def test_all_wrong_flags_are_told_at_once(pfrun: Pfrun) -> None:
    ran = pfrun("localrun", *CODE, "--parallelism", "x", "--timeout-ms", "-1", "--runtime", "docker")
    assert (ran.code, ran.out) == (2, "")
    assert [line.split(": ")[0] for line in ran.err.splitlines()] == [
        "--runtime-factory",
        "--parallelism",
        "--timeout-ms",
    ]


def test_a_name_given_twice_is_refused(pfrun: Pfrun) -> None:
    ran = pfrun("localrun", *CODE, "--fqfn", "a/b/c", "--name", "d")
    assert (ran.code, "--fqfn cannot be given together with --name" in ran.err) == (2, True)


def test_a_full_name_of_two_parts_is_refused(pfrun: Pfrun) -> None:
    ran = pfrun("localrun", *CODE, "--fqfn", "a/b")
    assert (ran.code, "'--fqfn': must be tenant/namespace/name (got 'a/b')" in ran.err) == (2, True)


def test_without_any_code_there_is_a_word_on_what_is_missing(pfrun: Pfrun, tmp_path: Path) -> None:
    ran = pfrun("localrun")
    assert (ran.code, ran.out) == (2, "")
    assert "has no package: jar, py or go must say where the code is" in ran.err
    assert "has no input: give inputs, topicsPattern or inputSpecs" in ran.err
    assert not (tmp_path / "state").exists()


# Running


@pytest.mark.broker
@pytest.mark.parametrize("runtime", ["process", "thread", "subprocess"])
def test_a_function_runs_end_to_end_until_ctrl_c(runtime: str, daemon: Start, talk: Talk, function: Function) -> None:
    flags = ["--inputs", "f-in", "--output", "f-out", "--subs-position", "Earliest", "--name", "f"]
    started = daemon("localrun", *CODE[:4], *flags, "--runtime", runtime)
    assert talk(started, function()).ask("hello") == "hello!"
    started.descendants()
    started.interrupt()
    assert started.wait() == 0
    started.assert_nothing_left()
    assert "Traceback" not in started.err


@pytest.mark.broker
def test_user_config_and_secrets_reach_the_function_and_no_log(daemon: Start, talk: Talk, function: Function) -> None:
    file = function("Surroundings")
    started = daemon("localrun", "--function-config-file", file, "--secrets", '{"PASSWORD": "s3cret"}', "-v")
    assert json.loads(talk(started, file).ask("tell"))["secret"] == "s3cret"
    assert started.stop() == 0
    assert "s3cret" not in started.out + started.err


@pytest.mark.broker
@pytest.mark.parametrize("runtime", ["process", "thread"])
def test_a_function_that_is_given_up_ends_it_with_the_reason(runtime: str) -> None:
    flags = [*CODE[:2], "--classname", "samples.Unbuildable", "--inputs", "in", "--name", "f"]
    ran = run_process("localrun", *flags, "--runtime", runtime)
    assert ran.code == 1
    told = ran.err[ran.err.index("\npublic/default/f:0: given up after 3 starts: ") + 1 :].splitlines()
    assert told[0].endswith("its constructor failed: RuntimeError: no table of that name")
