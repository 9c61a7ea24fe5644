"""The command line of the reference's ``python_instance_main.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.instance.arguments import InstanceArguments, parse_arguments
from pulsar_runtimes.model.details import details_json
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec
from pulsar_runtimes.runtimes.command import python_arguments, without_secrets
from pulsar_runtimes.testing import function_spec, instance_spec

SECRET = "s3cret-value"
MINIMAL = {
    "function_details": f"'{details_json(function_spec())}'",
    "py": "/code/exclaim.py",
    "instance_id": "0",
    "function_id": "FID",
    "function_version": "FVER",
    "pulsar_serviceurl": "pulsar://h:6650",
    "port": "1111",
    "metrics_port": "2222",
    "max_buffered_tuples": "1024",
    "logging_directory": "/logs",
    "logging_file": "exclaim",
    "logging_config_file": "/conf/logging.ini",
    "expected_healthcheck_interval": "30",
    "cluster_name": "standalone",
}


def command_line(**changes: str | None) -> list[str]:
    """The shortest command line there is, with ``changes``; ``None`` takes an option away."""
    options = {name: value for name, value in (MINIMAL | changes).items() if value is not None}
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def refusal(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of a command line that is refused; always one line and exit code 1."""
    with pytest.raises(SystemExit) as caught:
        parse_arguments(argv)
    assert capsys.readouterr() == ("", "")
    text = caught.value.code
    assert isinstance(text, str), f"must be a text, which means exit code 1 (got {text!r})"
    assert len(text.splitlines()) == 1
    return text


# What is read

FULL = instance_spec(
    function=function_spec(user_config={"k": "it's <1> & 2"}, secrets_map={"P": {"path": "a=b"}}, package=""),
    instance_id=7,
    service_url="pulsar+ssl://h:6651",
    web_service_url="",
    cluster_name="c",
    port=1,
    metrics_port=65535,
    max_buffered_tuples=5,
    expected_health_check_seconds=-1,
    client_memory_bytes=1 << 30,
    first_consumer_number=12,
    auth=ClientAuth("token", "PARAMS", True, True, True, "/ca.pem"),
    state_storage_url="bk://h:4181",
    secrets_provider="secretsprovider.ClearTextSecretsProvider",
    secrets_provider_config={"k": "it's"},
)


@pytest.mark.parametrize(
    "spec",
    [
        FULL,
        replace(FULL, auth=ClientAuth()),
        replace(FULL, secrets_provider="", secrets_provider_config=None),
        replace(FULL, client_memory_bytes=None, first_consumer_number=0, state_storage_url=""),
        replace(FULL, instance_id=-1, expected_health_check_seconds=0),
        replace(FULL, function=function_spec(name="f ü", package="")),
    ],
)
def test_what_the_worker_writes_is_read_back_as_it_was(spec: InstanceSpec) -> None:
    arguments = parse_arguments(python_arguments(spec, logging_directory="/l", logging_config_file="/l.ini"))
    assert arguments == InstanceArguments(
        spec, logging_directory="/l", logging_file=spec.function.name, logging_config_file="/l.ini"
    )


OPTIONS: list[tuple[str, str, Callable[[InstanceArguments], Any], Any]] = [
    ("py", "/a.zip", lambda a: a.spec.code_file, "/a.zip"),
    ("instance_id", "3", lambda a: a.spec.instance_id, 3),
    ("instance_id", "-1", lambda a: a.spec.instance_id, -1),
    ("function_id", "i", lambda a: a.spec.function_id, "i"),
    ("function_version", "v", lambda a: a.spec.function_version, "v"),
    ("function_details", details_json(function_spec(name="g")), lambda a: a.spec.function.name, "g"),
    ("pulsar_serviceurl", "pulsar://x:1", lambda a: a.spec.service_url, "pulsar://x:1"),
    ("port", "5", lambda a: a.spec.port, 5),
    ("metrics_port", "6", lambda a: a.spec.metrics_port, 6),
    ("metrics_port", "0", lambda a: a.spec.metrics_port, 0),
    ("max_buffered_tuples", "7", lambda a: a.spec.max_buffered_tuples, 7),
    ("expected_healthcheck_interval", "8", lambda a: a.spec.expected_health_check_seconds, 8),
    ("expected_healthcheck_interval", "-1", lambda a: a.spec.expected_health_check_seconds, -1),
    ("cluster_name", "c", lambda a: a.spec.cluster_name, "c"),
    ("logging_directory", "/d", lambda a: a.logging_directory, "/d"),
    ("logging_file", "f", lambda a: a.logging_file, "f"),
    ("logging_config_file", "/i", lambda a: a.logging_config_file, "/i"),
    ("logging_level", "DEBUG", lambda a: a.logging_level, "DEBUG"),
    ("client_auth_plugin", "p", lambda a: a.spec.auth and a.spec.auth.plugin, "p"),
    ("client_auth_params", "p", lambda a: a.spec.auth and a.spec.auth.params, "p"),
    ("use_tls", "true", lambda a: a.spec.auth and a.spec.auth.use_tls, True),
    ("use_tls", "True", lambda a: a.spec.auth and a.spec.auth.use_tls, False),
    ("tls_allow_insecure", "true", lambda a: a.spec.auth and a.spec.auth.tls_allow_insecure, True),
    ("tls_allow_insecure_connection", "true", lambda a: a.spec.auth and a.spec.auth.tls_allow_insecure, True),
    ("hostname_verification_enabled", "true", lambda a: a.spec.auth and a.spec.auth.tls_hostname_verification, True),
    ("tls_trust_cert_path", "/c", lambda a: a.spec.auth and a.spec.auth.tls_trust_certs_file, "/c"),
    ("secrets_provider", "s", lambda a: a.spec.secrets_provider, "s"),
    ("secrets_provider_config", '{"a": 1}', lambda a: a.spec.secrets_provider_config, {"a": 1}),
    ("secrets_provider_config", "'{}'", lambda a: a.spec.secrets_provider_config, {}),
    ("install_usercode_dependencies", "no", lambda a: a.install_dependencies, True),
    ("install_usercode_dependencies", "", lambda a: a.install_dependencies, False),
    ("dependency_repository", "r", lambda a: a.dependency_repository, "r"),
    ("extra_dependency_repository", "r", lambda a: a.extra_dependency_repository, "r"),
    ("state_storage_serviceurl", "bk://x", lambda a: a.spec.state_storage_url, "bk://x"),
    ("client_memory_bytes", "9", lambda a: a.spec.client_memory_bytes, 9),
    ("client_memory_bytes", "0", lambda a: a.spec.client_memory_bytes, None),
    ("first_consumer_number", "9", lambda a: a.spec.first_consumer_number, 9),
]


@pytest.mark.parametrize(("option", "value", "read", "expected"), OPTIONS)
def test_each_option_of_the_reference_is_taken(
    option: str, value: str, read: Callable[[InstanceArguments], Any], expected: Any
) -> None:
    assert read(parse_arguments(command_line(**{option: value}))) == expected
    assert read(parse_arguments([*command_line(**{option: None}), f"--{option}={value}"])) == expected


@pytest.mark.parametrize("quoted", ["{}", "'{}'"])
def test_function_details_may_stand_in_single_quotes(quoted: str) -> None:
    details = quoted.format(details_json(function_spec(package="")))
    assert parse_arguments(command_line(function_details=details)).spec.function == function_spec(package="")


# The ini file


def test_a_config_file_fills_what_the_command_line_leaves_open(tmp_path: Path) -> None:
    ini = tmp_path / "instance.ini"
    ini.write_text("[DEFAULT]\nport = 7\ncluster_name = from the file\nclient_auth_params = 50%\nunknown = 1\n")
    arguments = parse_arguments(command_line(config_file=str(ini), port=None, cluster_name=""))
    assert arguments.spec.port == 7
    assert arguments.spec.cluster_name == "from the file"
    assert arguments.spec.auth == ClientAuth(params="50%")
    assert parse_arguments(command_line(config_file=str(ini))).spec.port == 1111


def test_what_is_taken_off_the_command_line_may_come_by_the_file(tmp_path: Path) -> None:
    argv, secret = without_secrets(python_arguments(FULL, logging_directory="/l", logging_config_file="/l.ini"))
    ini = tmp_path / "instance.ini"
    ini.write_text("[DEFAULT]\n" + "".join(f"{name} = {value}\n" for name, value in secret.items()))
    assert parse_arguments([*argv, "--config_file", str(ini)]).spec == FULL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file or directory"),
        (b"\xff\xfe", "codec can't decode"),
        (f"client_auth_params = {SECRET}".encode(), "is no ini file: MissingSectionHeaderError in line 1"),
        (f"[DEFAULT]\nport = 1\n{SECRET}".encode(), "is no ini file: ParsingError in line 3"),
        (f"[DEFAULT]\nport = 1\nport = {SECRET}".encode(), "is no ini file: DuplicateOptionError in line 3"),
    ],
)
def test_a_config_file_that_cannot_be_read_is_an_error_without_its_lines(
    text: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ini = tmp_path / "instance.ini"
    if text is not None:
        ini.write_bytes(text)
    said = refusal(command_line(config_file=str(ini)), capsys)
    assert said.startswith(f"--config_file {ini}: ")
    assert message in said
    assert SECRET not in said


# What is refused


@pytest.mark.parametrize("name", MINIMAL)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_option_is_named(name: str, value: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(command_line(**{name: value}), capsys) == f"these options are missing: --{name}"


def test_all_missing_options_are_named_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    names = ", ".join(f"--{name}" for name in MINIMAL)
    assert refusal([], capsys) == f"these options are missing: {names}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instance_id": "one"}, "a wrong option: --instance_id must be an integer (got 'one')"),
        ({"port": "1.5"}, "a wrong option: --port must be an integer (got '1.5')"),
        ({"port": "65536"}, "a wrong option: --port must be a port number, or 0 for a free one (got 65536)"),
        ({"metrics_port": "-1"}, "a wrong option: --metrics_port must be a port number, or 0 for a free one (got -1)"),
        ({"secrets_provider_config": "[]"}, "a wrong option: --secrets_provider_config must be a JSON object"),
        ({"secrets_provider_config": "{"}, "a wrong option: --secrets_provider_config must be a JSON object"),
        ({"function_details": "[]"}, "a wrong option: --function_details: function details must be a JSON object (got list)"),  # noqa: E501
        ({"function_details": '{"parallelism": "two"}'}, "a wrong option: --function_details: parallelism: cannot be read (got 'two')"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_read_is_named(
    changes: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(command_line(**changes), capsys) == message


@pytest.mark.parametrize("text", ["{", "", "'", "''", "{'a': 1}", '{"a": 1', "null", "1"])
def test_malformed_function_details_are_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(command_line(function_details=text), capsys)
    assert "--function_details" in said


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--no_such_option", SECRET], "a wrong option: unknown: --no_such_option"),
        ([f"--functiondetails={SECRET}"], "a wrong option: unknown: --functiondetails"),
        (["--one", "1", "--two", "2"], "a wrong option: unknown: --one, --two"),
        ([SECRET], "a wrong option: unknown: a value that belongs to no option"),
        (["--pulsar_service", SECRET], "a wrong option: unknown: --pulsar_service"),
        (["--port"], "a wrong option: argument --port: expected one argument"),
    ],
)
def test_an_option_nobody_knows_is_named_without_its_value(
    more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal([*command_line(), *more], capsys) == message


@pytest.mark.parametrize(
    "changes",
    [
        {"function_details": f'{{"secretsMap": "{SECRET}"}}'},
        {"function_details": f'{{"secretsMap": "[\\"{SECRET}\\"]"}}'},
        {"function_details": f'{{"userConfig": "{{{SECRET}"}}'},
        {"function_details": f'{{"secretsMap": "{{\\"P\\": \\"{SECRET}\\"}}"'},
        {"secrets_provider_config": f'["{SECRET}"]'},
        {"secrets_provider_config": SECRET},
        {"client_auth_params": SECRET, "port": "x"},
    ],
)
def test_no_refusal_shows_a_secret(changes: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert SECRET not in refusal(command_line(**changes), capsys)


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert [name for name, *_ in OPTIONS if f"--{name} " not in shown] == []
