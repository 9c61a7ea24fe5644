"""Command lines, argument by argument as Apache Pulsar 4.0.8 writes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pulsar_runtimes.model.details import parse_details
from pulsar_runtimes.model.function import (
    ClientAuth,
    ComponentType,
    ConsumerSpec,
    FunctionSpec,
    InstanceSpec,
    Language,
    Resources,
    SinkSpec,
    SourceSpec,
)
from pulsar_runtimes.runtimes.command import masked_spec, python_arguments, split_flags, without_secrets
from pulsar_runtimes.testing import function_spec, instance_spec

FUNCTION = FunctionSpec(
    tenant="public",
    namespace="default",
    name="f1",
    class_name="fn.Fn",
    language=Language.PYTHON,
    auto_ack=True,
    parallelism=1,
    source=SourceSpec(input_specs={"persistent://public/default/in": ConsumerSpec()}, cleanup_subscription=True),
    sink=SinkSpec(topic="persistent://public/default/out"),
    resources=Resources(cpu=1.0, ram=1073741824, disk=10737418240),
    runtime_flags='-Dfoo="a b" -Dbar=1',
    component_type=ComponentType.FUNCTION,
)
INSTANCE = InstanceSpec(
    function=FUNCTION,
    instance_id=0,
    function_id="FID",
    function_version="FVER",
    code_file="/pkg/code",
    service_url="pulsar://h:6650",
    port=1111,
    metrics_port=2222,
    auth=ClientAuth("PLUGIN", "PARAMS", use_tls=True, tls_trust_certs_file="/ca.pem"),
    secrets_provider="SPCLASS",
    secrets_provider_config={"k": "v"},
)
# What follows the instance script in the vector that Apache Pulsar's own classes gave for this function.
MEASURED = r"""--py
/pkg/code
--logging_directory
logs/functions
--logging_file
f1
--logging_config_file
LOGCFG
--instance_id
0
--function_id
FID
--function_version
FVER
--function_details
'{"tenant":"public","namespace":"default","name":"f1","className":"fn.Fn","runtime":"PYTHON","autoAck":true,"parallelism":1,"source":{"inputSpecs":{"persistent://public/default/in":{}},"cleanupSubscription":true},"sink":{"topic":"persistent://public/default/out"},"resources":{"cpu":1.0,"ram":"1073741824","disk":"10737418240"},"runtimeFlags":"-Dfoo\u003d\"a b\" -Dbar\u003d1","componentType":"FUNCTION"}'
--pulsar_serviceurl
pulsar://h:6650
--client_auth_plugin
PLUGIN
--client_auth_params
PARAMS
--use_tls
true
--tls_allow_insecure
false
--hostname_verification_enabled
false
--tls_trust_cert_path
/ca.pem
--max_buffered_tuples
1024
--port
1111
--metrics_port
2222
--expected_healthcheck_interval
30
--secrets_provider
SPCLASS
--secrets_provider_config
'{"k":"v"}'
--cluster_name
standalone
""".splitlines()  # noqa: E501


def arguments(spec: InstanceSpec) -> list[str]:
    return python_arguments(spec, logging_directory="logs/functions", logging_config_file="LOGCFG")


def option(spec: InstanceSpec, name: str) -> str | None:
    given = arguments(spec)
    return given[given.index(name) + 1] if name in given else None


def test_a_python_instance_gets_the_arguments_the_reference_gives_it() -> None:
    assert arguments(INSTANCE) == MEASURED


@pytest.mark.parametrize(
    ("auth", "options"),
    [
        (None, []),
        (ClientAuth(), ["--use_tls", "--tls_allow_insecure", "--hostname_verification_enabled"]),
        (ClientAuth("PLUGIN", " "), ["--use_tls", "--tls_allow_insecure", "--hostname_verification_enabled"]),
        (ClientAuth(" ", "PARAMS"), ["--use_tls", "--tls_allow_insecure", "--hostname_verification_enabled"]),
        (
            ClientAuth(tls_trust_certs_file="/ca"),
            ["--use_tls", "--tls_allow_insecure", "--hostname_verification_enabled", "--tls_trust_cert_path"],
        ),
    ],
)
def test_credentials_are_given_only_when_complete(auth: ClientAuth | None, options: list[str]) -> None:
    names = [argument for argument in arguments(replace(INSTANCE, auth=auth)) if argument.startswith("--")]
    of_auth = ("--client_auth", "--use_tls", "--tls", "--hostname")
    assert [name for name in names if name.startswith(of_auth)] == options


def test_what_nobody_asked_for_is_not_on_the_command_line() -> None:
    names = {argument for argument in arguments(instance_spec()) if argument.startswith("--")}
    absent = {"--state_storage_serviceurl", "--secrets_provider", "--client_memory_bytes", "--first_consumer_number"}
    assert not names & absent


def test_the_state_store_stands_before_the_health_check_interval() -> None:
    given = arguments(replace(INSTANCE, state_storage_url="bk://h:4181"))
    place = given.index("--state_storage_serviceurl")
    assert given[place : place + 3] == ["--state_storage_serviceurl", "bk://h:4181", "--expected_healthcheck_interval"]


def test_the_embedded_state_store_is_given_where_none_is_configured() -> None:
    embedded = replace(INSTANCE, embedded_state_url="sqlite:///state.db")
    assert arguments(embedded) == [*MEASURED, "--state_storage_serviceurl", "sqlite:///state.db"]
    configured = replace(embedded, state_storage_url="bk://h:4181")
    assert arguments(configured) == arguments(replace(INSTANCE, state_storage_url="bk://h:4181"))


def test_what_only_pfrun_knows_stands_behind_what_the_reference_gives() -> None:
    given = arguments(replace(INSTANCE, client_memory_bytes=1 << 20, first_consumer_number=3))
    assert given == [*MEASURED, "--client_memory_bytes", "1048576", "--first_consumer_number", "3"]


@pytest.mark.parametrize("text", ["it's", "a=b", "<b>&amp;</b>", 'a "quoted" word', "line\nbreak", "käse", "\\"])
def test_function_details_hold_no_raw_quote_and_are_read_as_written(text: str) -> None:
    spec = replace(INSTANCE, function=replace(FUNCTION, user_config={"k": text}))
    details = option(spec, "--function_details")
    assert details is not None
    assert (details[0], details[-1]) == ("'", "'")
    assert not set(details[1:-1]) & set("'=<>&\n")
    assert parse_details(details) == spec.function


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ("", []),
        ("-u", ["-u"]),
        ("-u -X dev", ["-u", "-X", "dev"]),
        ('-Dfoo="a b" -Dbar=1', ['-Dfoo="a b"', "-Dbar=1"]),
        ("  -u", ["", "", "-u"]),
        ("-u  -O", ["-u", "", "-O"]),
        ("-u   ", ["-u"]),
        ("   ", []),
        ("-u\t-O\n-B", ["-u", "-O", "-B"]),
        ("-D'a b'", ["-D'a", "b'"]),
        ('-D\\"a b\\" c', ['-D\\"a b\\"', "c"]),
        # with an odd quote inside and outside change places
        ('a" b c', ['a"', "b", "c"]),
        ('a b" c', ['a b"', "c"]),
        ("a\u00a0b", ["a\u00a0b"]),
        ('""', ['""']),
    ],
)
def test_runtime_flags_are_split_at_each_blank_outside_double_quotes(flags: str, arguments: list[str]) -> None:
    assert split_flags(flags) == arguments


def test_without_secrets_takes_out_what_may_hold_one_and_nothing_else() -> None:
    kept, secret = without_secrets(MEASURED)
    assert set(secret) == {"function_details", "client_auth_params", "secrets_provider_config"}
    assert secret["client_auth_params"] == "PARAMS"
    joined = [part for name, value in secret.items() for part in (f"--{name}", value)]
    assert sorted(kept + joined) == sorted(MEASURED)
    assert kept == [argument for argument in MEASURED if argument not in joined]


def test_a_masked_spec_shows_names_but_no_values_of_secrets() -> None:
    spec = replace(
        INSTANCE,
        function=function_spec(secrets_map={"PASSWORD": "s3cret"}),
        auth=ClientAuth("PLUGIN", "token:s3cret"),
        secrets_provider_config={"path": "s3cret"},
    )
    shown = arguments(masked_spec(spec))
    assert not [argument for argument in shown if "s3cret" in argument]
    assert '\'{"path":"***"}\'' in shown
    assert "PASSWORD" in (option(masked_spec(spec), "--function_details") or "")


def test_masking_what_has_no_secrets_changes_nothing() -> None:
    plain = instance_spec()
    assert masked_spec(plain) == plain
