"""How instances are launched pfrun's own way, and where an installation of Apache Pulsar is found."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import CLEAR_TEXT_AUTH_PROVIDER, TOKEN_PLUGIN, WorkerConfig
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec, Language
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.command import PythonDependencies
from pulsar_runtimes.runtimes.go_command import SECRET_KEYS
from pulsar_runtimes.runtimes.process.factory import ProcessRuntimeFactory
from pulsar_runtimes.runtimes.process.launch import Launch, fingerprint, plan_launch, plan_reference_launch
from pulsar_runtimes.runtimes.process.launcher import OPTIONS
from pulsar_runtimes.runtimes.process.places import Places, read_places
from pulsar_runtimes.testing import function_spec, instance_spec

SECRETS = ("hunter2", "open-sesame")


def spec_of(language: Language, **function: object) -> InstanceSpec:
    return instance_spec(
        function=function_spec(language=language, secrets_map={"PASSWORD": "hunter2"}, **function),
        auth=ClientAuth("TOKEN", "token:open-sesame"),
        port=4001,
        metrics_port=4002,
    )


def places_of(environment: dict[str, str] | None = None, **keys: Any) -> Places:
    return read_places(Section({"logDirectory": "/var/log/pf", **keys}), environment or {"PULSAR_HOME": "/opt/pulsar"})


def launch(spec: InstanceSpec, places: Places) -> Launch:
    return plan_launch(spec, places, code_cache=Path("/state/code"), inherited_path="/inherited")


@pytest.mark.parametrize(
    ("language", "keys"),
    [
        (Language.JAVA, {}),
        (Language.GO, {}),
        (Language.PYTHON, {"pythonInstanceLocation": "/opt/python_instance_main.py"}),
    ],
)
def test_no_secret_is_on_a_command_line_and_each_is_in_the_options(language: Language, keys: dict[str, Any]) -> None:
    launched = launch(spec_of(language), places_of(**keys))
    assert launched.command is not None
    for secret in SECRETS:
        assert secret not in " ".join(launched.command)
        assert secret in launched.options
        assert secret not in repr(launched)
    assert sum(OPTIONS in argument for argument in launched.command) == 1
    assert not launched.tells


def test_a_python_instance_with_flags_gets_its_secrets_by_file_too() -> None:
    launched = launch(spec_of(Language.PYTHON, runtime_flags="-O"), places_of())
    assert launched.command is not None and launched.tells
    assert launched.command[:5] == (sys.executable, "-P", "-O", "-m", "pulsar_runtimes.instance")
    assert not [secret for secret in SECRETS if secret in " ".join(launched.command)]


def test_a_python_instance_without_flags_is_forked() -> None:
    launched = launch(spec_of(Language.PYTHON), places_of())
    assert launched.command is None and launched.tells and "--py" in launched.arguments


@pytest.mark.parametrize(
    ("language", "keys", "knows"),
    [
        (Language.PYTHON, {}, {"bk://h:4181", "sqlite:///state.db"}),
        (Language.PYTHON, {"pythonInstanceLocation": "/opt/python_instance_main.py"}, {"bk://h:4181"}),
        (Language.JAVA, {}, {"bk://h:4181"}),
    ],
)
def test_only_our_python_instance_is_told_of_the_embedded_state_store(
    language: Language, keys: dict[str, Any], knows: set[str]
) -> None:
    spec = replace(spec_of(language), embedded_state_url="sqlite:///state.db")
    told = set()
    for each in (spec, replace(spec, state_storage_url="bk://h:4181")):
        for planned in (launch(each, places_of(**keys)), plan_reference_launch(each, places_of(**keys))):
            words = [*(planned.command or ()), *planned.arguments]
            told |= {word for word in words if word.startswith(("bk://", "sqlite://"))}
    assert told == knows


def test_java_gets_its_argument_file_last_and_the_memory_limit_as_direct_memory() -> None:
    spec = replace(spec_of(Language.JAVA), client_memory_bytes=1 << 26, java_arguments=("-XX:MaxDirectMemorySize=1g",))
    command = launch(spec, places_of()).command
    assert command is not None
    assert command[-1] == f"@{OPTIONS}"
    # The last one wins, so that an operator can have it otherwise.
    assert command.index("-XX:MaxDirectMemorySize=67108864") < command.index("-XX:MaxDirectMemorySize=1g")
    assert command[command.index("--expected_healthcheck_interval") + 1] == "-1"


def test_the_options_of_java_are_quoted_for_its_argument_file() -> None:
    spec = spec_of(Language.JAVA, user_config={"q": 'a "b" \\ c'})
    name, value, *_ = launch(spec, places_of()).options.splitlines()
    assert name == "--function_details"
    unquoted = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    assert json.loads(json.loads(unquoted.strip("'"))["userConfig"]) == {"q": 'a "b" \\ c'}


def test_go_is_shown_what_is_no_secret_and_its_file_has_everything() -> None:
    launched = launch(spec_of(Language.GO), places_of())
    assert launched.command is not None
    shown, everything = json.loads(launched.command[2]), json.loads(launched.options)
    assert everything | shown == everything
    assert everything.keys() - shown.keys() == set(SECRET_KEYS)
    assert shown["port"] == 4001 and everything["clientAuthenticationParameters"] == "token:open-sesame"


def test_the_file_of_go_is_yaml_whatever_stands_in_it() -> None:
    odd = {"face": "\U0001f600", "delete": "\x7f", "c1": "\x85", "mark": "\ufeff", "quote": "'\"\\"}
    options = launch(spec_of(Language.GO, user_config=odd), places_of()).options
    assert json.loads(yaml.safe_load(options)["userConfig"]) == odd


def test_the_python_path_is_what_will_be_used() -> None:
    launched = launch(spec_of(Language.JAVA), places_of(extraFunctionDependenciesDir="/deps"))
    assert launched.environment == {"PYTHONPATH": "/inherited:/deps"}
    assert launch(spec_of(Language.JAVA), places_of()).environment == {}
    named = {"PULSAR_FUNCTIONS_EXTRA_DEPS_DIR": "/deps"}
    assert launch(spec_of(Language.JAVA), places_of(named)).environment == {"PYTHONPATH": "/inherited:/deps"}
    assert launch(spec_of(Language.JAVA), places_of(named, extraFunctionDependenciesDir="")).environment == {}


@pytest.mark.parametrize(
    ("environment", "keys", "jar"),
    [
        ({"PULSAR_HOME": "/opt/pulsar"}, {}, "/opt/pulsar/instances/java-instance.jar"),
        ({"PULSAR_HOME": "/p", "PULSAR_JAVA_INSTANCE_JAR": "/e.jar"}, {}, "/e.jar"),
        ({"PULSAR_JAVA_INSTANCE_JAR": "/e.jar"}, {"javaInstanceJarLocation": "/k.jar"}, "/k.jar"),
    ],
)
def test_the_java_instance_is_found_by_key_then_variable_then_home(
    environment: dict[str, str], keys: dict[str, Any], jar: str
) -> None:
    assert places_of(environment, **keys).java.instance_jar == jar


def test_the_class_path_is_that_beside_the_instance_unless_it_is_named() -> None:
    assert places_of().java.class_path == "/opt/pulsar/lib/*"
    assert places_of(functionInstanceClassPath="/x/*").java.class_path == "/x/*"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"function_id": "other", "function_version": "other"}, True),
        ({"port": 1, "metrics_port": 2, "first_consumer_number": 7}, True),
        ({"service_url": "pulsar://elsewhere:6650"}, False),
        ({"auth": ClientAuth("TOKEN", "token:other")}, False),
        ({"function": function_spec(secrets_map={"PASSWORD": "other"})}, False),
        ({"function": function_spec(user_config={"a": 1})}, False),
        ({"instance_id": 1}, False),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_fingerprint_tells_whether_an_instance_would_be_the_same(change: dict[str, Any], same: bool) -> None:
    def mark(spec: InstanceSpec) -> str:
        return fingerprint(spec, lambda same: launch(same, places_of()))

    spec = spec_of(Language.PYTHON)
    assert (mark(spec) == mark(replace(spec, **change))) is same


def test_a_fingerprint_changes_with_the_code(tmp_path: Path) -> None:
    code = tmp_path / "f.py"
    spec = replace(spec_of(Language.PYTHON), code_file=str(code))
    code.write_text("one")
    before = fingerprint(spec, lambda same: launch(same, places_of()))
    code.write_text("two")
    assert fingerprint(spec, lambda same: launch(same, places_of())) != before


@pytest.mark.parametrize(
    "keys", [{}, {"pythonInstanceLocation": "/opt/python_instance_main.py"}], ids=["ours", "theirs"]
)
def test_a_python_instance_is_told_to_install_and_a_password_of_a_repository_is_hidden(keys: dict[str, Any]) -> None:
    wanted = PythonDependencies("https://me:hunter3@host/simple")
    spec = spec_of(Language.PYTHON, runtime_flags="-O")
    launched = plan_launch(spec, places_of(**keys), code_cache=Path("/c"), dependencies=wanted)
    assert launched.command is not None
    assert "--install_usercode_dependencies" in launched.command
    assert "hunter3" not in " ".join(launched.command) and "hunter3" in launched.options
    assert "hunter3" not in repr(wanted) + repr(wanted.masked())


@pytest.mark.parametrize(
    ("provider", "enabled", "kept", "plugin", "params"),
    [
        (CLEAR_TEXT_AUTH_PROVIDER, True, "t0ken", TOKEN_PLUGIN, "token:t0ken"),
        (CLEAR_TEXT_AUTH_PROVIDER, True, "", None, None),
        (CLEAR_TEXT_AUTH_PROVIDER, False, "t0ken", "TOKEN", "token:open-sesame"),
        ("", True, "", "TOKEN", "token:open-sesame"),
    ],
)
def test_a_process_has_the_credentials_of_its_function_where_each_has_its_own(
    provider: str, enabled: bool, kept: str, plugin: str | None, params: str | None, tmp_path: Path
) -> None:
    worker = WorkerConfig(authentication_enabled=enabled, function_auth_provider_class_name=provider)
    factory = ProcessRuntimeFactory.from_config(Section({}), FactoryContext(tmp_path, 1 << 30, {}, worker=worker))
    spec = replace(spec_of(Language.PYTHON), auth_data=kept)
    told = list(factory.launch(spec).arguments)
    found = [
        told[told.index(name) + 1] if name in told else None
        for name in ("--client_auth_plugin", "--client_auth_params")
    ]
    assert found == [plugin, params]
    assert "--use_tls" in told
    assert "t0ken" not in factory.render(spec)
    factory.close()
