"""The command line of ``python_instance_main.py``, option by option, so that pfrun's instance can stand in.

Source: Apache Pulsar 4.0.8 (``instance-contract``): underscored options, an optional ini file that fills what
the command line leaves open, and a list of the missing ones with exit code 1.
"""

from __future__ import annotations

import argparse
import configparser
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pulsar_runtimes.model.details import parse_details
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec

_REQUIRED = (
    "function_details",
    "py",
    "instance_id",
    "function_id",
    "function_version",
    "pulsar_serviceurl",
    "port",
    "metrics_port",
    "max_buffered_tuples",
    "logging_directory",
    "logging_file",
    "logging_config_file",
    "expected_healthcheck_interval",
    "cluster_name",
)
_OPTIONAL = (
    "client_auth_plugin",
    "client_auth_params",
    "use_tls",
    "hostname_verification_enabled",
    "tls_trust_cert_path",
    "logging_level",
    "secrets_provider",
    "secrets_provider_config",
    "install_usercode_dependencies",
    "dependency_repository",
    "extra_dependency_repository",
    "state_storage_serviceurl",
    "config_file",
    "client_memory_bytes",
    "first_consumer_number",
)

_MAX_PORT = (1 << 16) - 1


@dataclass(frozen=True, slots=True)
class InstanceArguments:
    """Everything an instance is told: what it is, how it logs, and where its dependencies come from."""

    spec: InstanceSpec
    logging_directory: str
    logging_file: str
    logging_config_file: str
    logging_level: str = ""
    install_dependencies: bool = False
    dependency_repository: str = ""
    extra_dependency_repository: str = ""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as for every other mistake, and without values: they may be secrets."""

    def error(self, message: str) -> NoReturn:
        sys.exit(f"a wrong option: {message}")


def parse_arguments(argv: Sequence[str]) -> InstanceArguments:
    """Read a command line. ``SystemExit`` with code 1 and a message on stderr when it cannot be used."""
    known, unknown = _parser().parse_known_args(argv)
    if unknown:
        names = [argument.partition("=")[0] for argument in unknown if argument.startswith("--")]
        sys.exit(f"a wrong option: unknown: {', '.join(names) or 'a value that belongs to no option'}")
    options = vars(known)
    if options["config_file"]:
        _fill_from_file(options, options["config_file"])
    missing = [name for name in _REQUIRED if options[name] in (None, "")]
    if missing:
        sys.exit(f"these options are missing: {', '.join('--' + name for name in missing)}")
    try:
        return _build(options)
    except ValueError as error:
        sys.exit(f"a wrong option: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m pulsar_runtimes.instance",
        description="Runs one instance of a Python function, in place of Apache Pulsar's python_instance_main.py.",
        allow_abbrev=False,
    )
    for name in (*_REQUIRED, *_OPTIONAL):
        parser.add_argument(f"--{name}", metavar="VALUE")
    # The worker sends the short form, which the reference understands as an abbreviation only.
    parser.add_argument("--tls_allow_insecure_connection", "--tls_allow_insecure", metavar="VALUE")
    return parser


def _fill_from_file(options: dict[str, Any], path: str) -> None:
    parser = configparser.RawConfigParser()
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, UnicodeError) as error:
        sys.exit(f"--config_file {path}: cannot be read: {error}")
    except configparser.Error as error:  # its text quotes lines, which may hold secrets
        sys.exit(f"--config_file {path}: is no ini file: {_place(error)}")
    for name, value in parser.defaults().items():
        if name in options and not options[name]:
            options[name] = value


def _place(error: configparser.Error) -> str:
    lines = [line for line, _ in getattr(error, "errors", ())] or [getattr(error, "lineno", None)]
    return f"{type(error).__name__} in line {', '.join(str(line) for line in lines)}"


def _build(options: dict[str, Any]) -> InstanceArguments:
    try:
        function = parse_details(options["function_details"])
    except ValueError as error:
        raise ValueError(f"--function_details: {error}") from error
    auth = ClientAuth(
        plugin=options["client_auth_plugin"] or "",
        params=options["client_auth_params"] or "",
        use_tls=options["use_tls"] == "true",
        tls_allow_insecure=options["tls_allow_insecure_connection"] == "true",
        tls_hostname_verification=options["hostname_verification_enabled"] == "true",
        tls_trust_certs_file=options["tls_trust_cert_path"] or "",
    )
    spec = InstanceSpec(
        function=function,
        instance_id=_integer(options, "instance_id"),
        function_id=options["function_id"],
        function_version=options["function_version"],
        code_file=options["py"],
        service_url=options["pulsar_serviceurl"],
        cluster_name=options["cluster_name"],
        port=_port(options, "port"),
        metrics_port=_port(options, "metrics_port"),
        max_buffered_tuples=_integer(options, "max_buffered_tuples"),
        expected_health_check_seconds=_integer(options, "expected_healthcheck_interval"),
        client_memory_bytes=_integer(options, "client_memory_bytes") or None,
        first_consumer_number=_integer(options, "first_consumer_number"),
        auth=auth,
        state_storage_url=options["state_storage_serviceurl"] or "",
        secrets_provider=options["secrets_provider"] or "",
        secrets_provider_config=_secrets_config(options["secrets_provider_config"]),
    )
    return InstanceArguments(
        spec=spec,
        logging_directory=options["logging_directory"],
        logging_file=options["logging_file"],
        logging_config_file=options["logging_config_file"],
        logging_level=options["logging_level"] or "",
        install_dependencies=bool(options["install_usercode_dependencies"]),
        dependency_repository=options["dependency_repository"] or "",
        extra_dependency_repository=options["extra_dependency_repository"] or "",
    )


def _integer(options: dict[str, Any], name: str) -> int:
    text = options[name] or "0"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"--{name} must be an integer (got {text!r})") from None


def _port(options: dict[str, Any], name: str) -> int:
    number = _integer(options, name)
    if not 0 <= number <= _MAX_PORT:
        raise ValueError(f"--{name} must be a port number, or 0 for a free one (got {number})")
    return number


def _secrets_config(text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    if len(text) >= 2 and text[0] == text[-1] == "'":
        text = text[1:-1]
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError("--secrets_provider_config must be a JSON object")
    return value
