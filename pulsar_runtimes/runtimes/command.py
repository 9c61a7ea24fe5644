"""The command line of a Python instance, and what it shares with a Java one, as Apache Pulsar's worker writes it.

Source: ``RuntimeUtils#composeCmd`` of Apache Pulsar 4.0.8. Pure: one frozen spec in, one list out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from pulsar_runtimes.model.details import details_json, html_safe_json
from pulsar_runtimes.model.function import InstanceSpec, Language

PYTHON_SECRETS_PROVIDER = "secretsprovider.ClearTextSecretsProvider"
"""The provider an instance uses when the worker names none: the secret's object itself, as text."""

SECRET_OPTIONS = (
    "--function_details",
    "--client_auth_params",
    "--secrets_provider_config",
    "--dependency_repository",
    "--extra_dependency_repository",
)
"""Options whose values may hold secrets: function details carry ``secretsMap`` in clear text, URLs a password."""

_OUTSIDE_QUOTES = re.compile(r'\s(?=(?:[^"]*"[^"]*")*[^"]*$)', re.ASCII)


def split_flags(flags: str) -> list[str]:
    """Split ``runtimeFlags`` as the reference does.

    At each single whitespace character followed by an even number of double quotes; quotes are kept, single
    quotes protect nothing, and leading or doubled blanks give empty arguments.
    """
    if not flags:
        return []
    parts = _OUTSIDE_QUOTES.split(flags)
    while parts and not parts[-1]:
        parts.pop()
    return parts


@dataclass(frozen=True, slots=True)
class PythonDependencies:
    """That an instance installs what its function asks for, and where from; empty is the installer's default.

    Without ``install`` the repositories are those of what the instance installs in any case.
    """

    repository: str = field(default="", repr=False)
    extra_repository: str = field(default="", repr=False)
    install: bool = True

    def masked(self) -> Self:
        """The same, fit to be shown: a URL may hold a password."""
        return replace(self, repository=self.repository and "***", extra_repository=self.extra_repository and "***")


def python_arguments(
    spec: InstanceSpec,
    *,
    logging_directory: str,
    logging_config_file: str,
    dependencies: PythonDependencies | None = None,
    number: str = "",
) -> list[str]:
    """What follows the instance script on a Python instance's command line; ``number`` as in common_arguments."""
    return [
        *("--py", spec.code_file),
        *("--logging_directory", logging_directory),
        *("--logging_file", spec.function.name),
        *("--logging_config_file", logging_config_file),
        *_dependency_arguments(dependencies),
        *common_arguments(spec, number),
        *_own_arguments(spec),
    ]


def _dependency_arguments(dependencies: PythonDependencies | None) -> Iterable[str]:
    if dependencies is None:
        return
    if dependencies.install:
        yield from ("--install_usercode_dependencies", "True")
    if dependencies.repository:
        yield from ("--dependency_repository", dependencies.repository)
    if dependencies.extra_repository:
        yield from ("--extra_dependency_repository", dependencies.extra_repository)


def _own_arguments(spec: InstanceSpec) -> Iterable[str]:
    """Options that only pfrun's own instance has; none of them unless somebody asked for what they do."""
    if spec.client_memory_bytes is not None:
        yield from ("--client_memory_bytes", str(spec.client_memory_bytes))
    if spec.first_consumer_number:
        yield from ("--first_consumer_number", str(spec.first_consumer_number))
    if spec.embedded_state_url and not spec.state_storage_url:
        yield from ("--state_storage_serviceurl", spec.embedded_state_url)


def common_arguments(spec: InstanceSpec, number: str = "") -> Iterable[str]:
    """The options that Java and Python instances share, in their order.

    ``number`` stands for the instance's own where that is only known when it starts.
    """
    yield from ("--instance_id", number or str(spec.instance_id))
    yield from ("--function_id", spec.function_id)
    yield from ("--function_version", spec.function_version)
    yield from ("--function_details", f"'{details_json(spec.function)}'")
    java = spec.function.language is Language.JAVA
    yield from ("--pulsar_serviceurl", spec.service_url)
    if java and spec.expose_admin and spec.web_service_url.strip():
        yield from ("--web_serviceurl", spec.web_service_url, "--expose_pulsaradmin")
    yield from _auth_arguments(spec)
    yield from ("--max_buffered_tuples", str(spec.max_buffered_tuples))
    yield from ("--port", str(spec.port))
    yield from ("--metrics_port", str(spec.metrics_port))
    if java:
        yield from ("--pending_async_requests", str(spec.pending_async_requests))
        if spec.ignore_unknown_config_fields:
            yield "--ignore_unknown_config_fields"
    if spec.state_storage_url:
        yield from ("--state_storage_serviceurl", spec.state_storage_url)
    yield from ("--expected_healthcheck_interval", str(spec.expected_health_check_seconds))
    if spec.secrets_provider:
        yield from ("--secrets_provider", spec.secrets_provider)
        if spec.secrets_provider_config is not None:
            yield from ("--secrets_provider_config", f"'{html_safe_json(dict(spec.secrets_provider_config))}'")
    yield from ("--cluster_name", spec.cluster_name)
    if java and spec.nar_extraction_directory:
        yield from ("--nar_extraction_directory", spec.nar_extraction_directory)


def _auth_arguments(spec: InstanceSpec) -> Iterable[str]:
    auth = spec.auth
    if auth is None:
        return
    if auth.plugin.strip() and auth.params.strip():
        yield from ("--client_auth_plugin", auth.plugin, "--client_auth_params", auth.params)
    yield from ("--use_tls", _flag(auth.use_tls))
    yield from ("--tls_allow_insecure", _flag(auth.tls_allow_insecure))
    yield from ("--hostname_verification_enabled", _flag(auth.tls_hostname_verification))
    if auth.tls_trust_certs_file.strip():
        yield from ("--tls_trust_cert_path", auth.tls_trust_certs_file)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def without_secrets(arguments: Iterable[str]) -> tuple[list[str], Mapping[str, str]]:
    """``arguments`` less the options that may hold secrets, and those options (without dashes) apart.

    A Python instance takes the second part through ``--config_file``, which fills whatever the command line
    leaves open; so a process listing shows no secret.
    """
    kept: list[str] = []
    secret: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        if argument in SECRET_OPTIONS:
            secret[argument.removeprefix("--")] = next(rest)
        else:
            kept.append(argument)
    return kept, secret


def masked_spec(spec: InstanceSpec) -> InstanceSpec:
    """``spec`` fit to be shown: every value that is or may be a secret replaced by ``***``."""
    function = replace(spec.function, secrets_map=dict.fromkeys(spec.function.secrets_map, "***"))
    auth = replace(spec.auth, params="***") if spec.auth is not None and spec.auth.params else spec.auth
    config = spec.secrets_provider_config
    return replace(
        spec,
        function=function,
        auth=auth,
        secrets_provider_config=None if config is None else dict.fromkeys(config, "***"),
    )
