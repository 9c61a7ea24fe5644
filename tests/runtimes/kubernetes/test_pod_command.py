"""What a container runs: the reference's command, with nothing in it that a user can make a command of."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.model.details import parse_details
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import ClientAuth, ConsumerSpec, Language, SourceSpec
from pulsar_runtimes.runtimes.kubernetes.config import KubernetesConfig
from pulsar_runtimes.runtimes.kubernetes.pod_command import PodPlaces, build_pod_command, clean_file_name
from pulsar_runtimes.testing import function_spec, instance_spec

PLACES = PodPlaces("/pulsar/download/pulsar_functions", "/CP")
AUTH = ClientAuth(plugin="PLUGIN", params="PARAMS", tls_trust_certs_file="/ca.pem")
NASTY = "f $(touch pwned); x"

RECORDER = """#!/bin/sh
printf '%s\\0' "$(basename "$0")" "PYTHONPATH=$PYTHONPATH" "$@" END >> "$RECORD"
"""
DOWNLOADER = """
while [ "$1" != --destination-file ]; do shift; done
cp "$(dirname "$0")/java" "$2"
"""


def expanded(command: str, environment: dict[str, str]) -> str:
    """What Kubernetes makes of a command: $(NAME) is replaced where there is such a variable, $$ is $."""
    return re.sub(
        r"\$(\$|\(([^)]*)\))",
        lambda found: "$" if found[1] == "$" else environment.get(found[2], found[0]),
        command,
    )


Run = Callable[..., list[list[str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a pod's command in a real shell; what it called, each as the program's name, PYTHONPATH and arguments."""
    root = tmp_path / "root dir"
    (root / "bin").mkdir(parents=True)
    (root / "download").mkdir()
    for name, text in (("pulsar-admin", RECORDER + DOWNLOADER), ("java", RECORDER), ("python3", RECORDER)):
        (root / "bin" / name).write_text(text)
        (root / "bin" / name).chmod(0o755)
    place = tmp_path / "place"
    place.mkdir()

    def run(config: dict[str, Any] | None = None, **changes: Any) -> list[list[str]]:
        settings = KubernetesConfig(pulsar_root_dir=str(root), **(config or {}))
        spec = instance_spec(instance_id=-1, code_name="my fünc é.jar", auth=AUTH, **changes)
        command = build_pod_command(spec, settings, PodPlaces(f"{root}/download", "/CP/*")).command
        record = tmp_path / "record"
        variables = {
            "POD_NAME": "pf-t-n-f-7",
            "PYTHONPATH": "/before",
            "HOME_OF_USER": "/home of/u",
            "EVIL": "'; touch pwned; '",
        }
        own = {"PATH": f"{root}/bin:{os.environ['PATH']}", "RECORD": str(record)}
        subprocess.run(
            [*command[:2], expanded(command[2], variables)],
            cwd=place,
            env={**os.environ, **own, **variables},
            check=True,
            timeout=10,
            capture_output=True,
        )
        assert list(place.iterdir()) == []  # nothing that a user wrote ran
        return [call.split("\0") for call in record.read_text().split("\0END\0") if call]

    return run


def _after(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


def test_no_name_is_a_command(run: Run) -> None:
    function = function_spec(tenant=NASTY, namespace="it's", name=NASTY, language=Language.JAVA)
    download, java = run(function=function)
    assert download[0] == "pulsar-admin"
    assert [_after(download, option) for option in ("--tenant", "--namespace", "--name")] == [NASTY, "it's", NASTY]
    assert _after(download, "--destination-file").endswith("/root dir/download/my_func_e.jar")
    assert java[0] == "java"
    assert f"-Dpulsar.function.log.file={NASTY}-7" in java
    assert _after(java, "--instance_id") == "7"
    assert parse_details(_after(java, "--function_details")) == replace(function, package="")


def test_a_dollar_of_a_user_survives_kubernetes_itself(run: Run) -> None:
    """$(NAME) in a command is a variable to Kubernetes, and its value could end the quoting."""
    config = {"price": "5 $$", "path": "$(EVIL)$HOME_OF_USER$$(EVIL)", "open": "$("}
    function = function_spec(name="f $(EVIL)", user_config=config)
    download, python = run(function=function)
    assert _after(download, "--name") == "f $(EVIL)"
    assert parse_details(_after(python, "--function_details")).user_config == config
    assert _after(python, "--instance_id") == "7"


def test_flags_of_java_are_read_by_the_shell_and_run_nothing(run: Run) -> None:
    flags = '-Xms64m -Dgreeting="good day" -Dhome="$HOME_OF_USER" -Dx=$(touch pwned);touch pwned'
    function = function_spec(language=Language.JAVA, runtime_flags=flags)
    _, java = run(function=function, java_arguments=("-Dfoo='a b'", "-Dbar=`touch pwned`"))
    at = java.index("-Dfoo=a b")
    assert java[at : java.index("-Xmx1073741824")] == [
        "-Dfoo=a b",
        "-Dbar=`touch",
        "pwned`",
        "-Xms64m",
        "-Dgreeting=good day",
        "-Dhome=/home of/u",
        "-Dx=$(touch",
        "pwned);touch",
        "pwned",
    ]
    assert "/CP/*" in " ".join(java)


def test_a_python_instance_is_told_all_of_it(run: Run) -> None:
    config = {
        "python_dependency_repository": "http://pypi",
        "install_user_code_dependencies": True,
        "extra_function_dependencies_dir": "/deps $(touch pwned)",
    }
    _, python = run(config, function=function_spec(user_config={"k": "it's"}, runtime_flags="-OO -X 'importtime'"))
    assert python[:5] == ["python3", "PYTHONPATH=/before:/deps $(touch pwned)", "-OO", "-X", "importtime"]
    assert python[5].endswith("/instances/python-instance/python_instance_main.py")
    assert _after(python, "--install_usercode_dependencies") == "True"
    assert _after(python, "--dependency_repository") == "http://pypi"
    assert _after(python, "--instance_id") == "7"
    assert _after(python, "--expected_healthcheck_interval") == "30"


def test_repositories_are_told_without_the_installing_too() -> None:
    config = KubernetesConfig(python_extra_dependency_repository="http://more")
    words = shlex.split(build_pod_command(instance_spec(), config, PLACES).command[2])
    assert _after(words, "--extra_dependency_repository") == "http://more"
    assert "--install_usercode_dependencies" not in words


def test_a_go_program_gets_its_config_in_one_piece_and_its_own_number(run: Run) -> None:
    config = {"k": "it's", "x": '"instanceID":-1', "y": "$(touch pwned)"}
    function = function_spec(language=Language.GO, user_config=config, parallelism=8)
    _, program = run(function=function, secrets_provider="")
    assert program[0] == "my_func_e.jar"
    conf = json.loads(_after(program, "-instance-conf"))
    assert json.loads(conf["userConfig"]) == config
    assert conf["instanceID"] == 7


def test_strictly_a_go_program_is_told_no_number(run: Run) -> None:
    _, program = run({"strict_reference": True}, function=function_spec(language=Language.GO))
    assert json.loads(_after(program, "-instance-conf"))["instanceID"] == -1


def test_a_transform_function_is_downloaded_as_well(run: Run) -> None:
    function = function_spec(language=Language.JAVA)
    package, transform, java = run(function=function, transform_file="/w/trans form.nar", transform_id="T")
    assert (package[-1], transform[-1]) == (package[package.index("--destination-file") + 1], "--transform-function")
    assert _after(transform, "--destination-file") == _after(java, "--transform_function_jar")
    assert _after(java, "--transform_function_jar").endswith("/trans_form.nar")


def test_a_transform_function_of_the_same_name_is_a_file_of_its_own(run: Run) -> None:
    function = function_spec(language=Language.JAVA)
    for strict, name in ((False, "transform_my_func_e.jar"), (True, "my_func_e.jar")):
        java = run({"strict_reference": strict}, function=function, transform_file="/w/my fünc é.jar")[-1]
        assert _after(java, "--transform_function_jar").endswith(f"/download/{name}")


def test_the_admin_command_proves_who_it_is(run: Run) -> None:
    auth = replace(AUTH, params='{"a": "$(touch pwned)"}', tls_allow_insecure=True, tls_hostname_verification=True)
    settings = KubernetesConfig(pulsar_root_dir="/pulsar", config_admin_cli="/bin/pulsar-admin")
    words = shlex.split(expanded(build_pod_command(instance_spec(auth=auth), settings, PLACES).command[2], {}))
    assert words[: words.index("functions")] == [
        "/pulsar/bin/pulsar-admin",
        *("--admin-url", "http://localhost:8080"),
        *("--auth-plugin", "PLUGIN", "--auth-params", '{"a": "$(touch pwned)"}'),
        *("--tls-allow-insecure", "--tls-enable-hostname-verification", "--tls-trust-cert-path", "/ca.pem"),
    ]


@pytest.mark.parametrize("auth", [None, ClientAuth(plugin="P", params=" "), ClientAuth()])
def test_without_credentials_it_says_nothing_of_them(auth: ClientAuth | None) -> None:
    words = shlex.split(build_pod_command(instance_spec(auth=auth), KubernetesConfig(), PLACES).command[2])
    assert words[3] == "functions"


def test_a_quote_that_is_not_closed_is_refused() -> None:
    spec = instance_spec(function=function_spec(runtime_flags="-Dname=O'Neil"))
    with pytest.raises(AdmissionError, match="runtimeFlags: a single quote is not closed"):
        build_pod_command(spec, KubernetesConfig(), PLACES)
    strictly = build_pod_command(spec, KubernetesConfig(strict_reference=True), PLACES)
    assert "-Dname=O'Neil" in shlex.split(strictly.command[2])


@pytest.mark.parametrize(
    ("name", "strictly", "cleaned"),
    [
        ("my fünc é.jar", "my_func_e.jar", "my_func_e.jar"),
        ("ünï cødé(1).py", "uni_cde_1_.py", "uni_cde_1_.py"),
        ("a/b.jar", "a_b.jar", "a_b.jar"),
        ("函数.py", ".py", "function.py"),
        ("函数", "", "function"),
        ("..", "..", "function"),
        ("greeter", "greeter", "greeter"),
    ],
)
def test_a_file_name_is_cleaned(name: str, strictly: str, cleaned: str) -> None:
    assert clean_file_name(name, strict=True) == strictly
    assert clean_file_name(name) == cleaned


@pytest.mark.parametrize("language", list(Language))
def test_strictly_the_command_is_the_reference_s(language: Language) -> None:
    """Measured: what the classes of Apache Pulsar 4.0.8 put together from the same settings."""
    java = language is Language.JAVA
    function = function_spec(
        name="f1",
        class_name="com.ex.Fn" if java else "fn.Fn",
        language=language,
        runtime_flags='-Dfoo="a b" -Dbar=1',
        source=SourceSpec(input_specs={"persistent://public/default/in": ConsumerSpec()}, cleanup_subscription=True),
    )
    spec = instance_spec(
        function=function,
        instance_id=-1,
        function_id="FID",
        function_version="FVER",
        code_name="my fünc é.jar",
        service_url="pulsar://h:6650",
        web_service_url="http://h:8080",
        auth=AUTH,
        port=9093,
        metrics_port=9094,
        expected_health_check_seconds=-1,
        java_arguments=("-XX:+ExitOnOutOfMemoryError", "-Dx=y"),
        nar_extraction_directory="/tmp/nar",
        secrets_provider={
            Language.JAVA: "org.apache.pulsar.functions.secretsprovider.ClearTextSecretsProvider",
            Language.PYTHON: "secretsprovider.ClearTextSecretsProvider",
        }.get(language, ""),
    )
    config = KubernetesConfig(
        strict_reference=True,
        install_user_code_dependencies=True,
        python_dependency_repository="http://pypi",
        python_extra_dependency_repository="http://extra",
    )
    measured = json.loads((Path(__file__).parent / "reference_commands.json").read_text(encoding="utf-8"))
    made = shlex.split(build_pod_command(spec, config, PLACES).command[2])
    assert made == shlex.split(measured[language.name])


SECRETS = {"KEY": "it's a s3cret"}


def _hidden(language: Language) -> tuple[list[str], str]:
    function = function_spec(language=language, secrets_map=SECRETS)
    spec = instance_spec(instance_id=-1, auth=AUTH, function=function)
    made = build_pod_command(spec, KubernetesConfig(), PLACES, hides=True)
    assert "s3cret" not in made.command[2] + repr(made)
    return shlex.split(made.command[2]), made.options


def test_python_takes_its_secrets_from_a_file() -> None:
    words, options = _hidden(Language.PYTHON)
    assert words[-2:] == ["--config_file", "/etc/function/options"]
    parser = configparser.RawConfigParser()
    parser.read_string(options)
    assert parse_details(parser.defaults()["function_details"]).secrets_map == SECRETS
    assert "--function_details" not in words


def test_java_takes_its_secrets_from_a_file() -> None:
    words, options = _hidden(Language.JAVA)
    assert words[-1] == "@/etc/function/options"
    names = options.splitlines()[::2]
    assert names == ["--function_details", "--client_auth_params"]


def test_go_takes_its_secrets_from_a_file() -> None:
    words, options = _hidden(Language.GO)
    assert words[-2:] == ["-instance-conf-path", "/etc/function/options"]
    assert json.loads(json.loads(options)["secretsMap"]) == SECRETS
    assert '"instanceID":$SHARD_ID,' in _after(words, "-instance-conf")
