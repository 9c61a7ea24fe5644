"""What to send for a function: its config as the worker reads it, and its code. All problems are found before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from pulsar_runtimes.cli.function_name import fqfn_option, split_fqfn
from pulsar_runtimes.cli.local_flags import FUNCTION_FLAGS, Form, apply_flags, function_flags
from pulsar_runtimes.cli.options import given
from pulsar_runtimes.cli.output import print_warnings
from pulsar_runtimes.cli.package_file import base_directory, check_package, is_url
from pulsar_runtimes.config.function import PACKAGE_KEYS, parse_function_config, read_function_config
from pulsar_runtimes.config.function_input import INPUT_KEYS
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.component import BUILTIN
from pulsar_runtimes.model.function import FunctionSpec, Language
from pulsar_runtimes.model.names import FunctionKey

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class FunctionRequest:
    """``config`` is plain JSON data. The code is a ``file`` of this machine, a ``url``, or neither."""

    key: FunctionKey
    config: Mapping[str, Any]
    file: Path | None
    url: str


def request_options(command: F) -> F:
    """Every option from which :func:`read_request` makes a request."""
    file = click.option(
        "--function-config-file",
        "--functionConfigFile",
        metavar="FILE",
        type=click.Path(),
        callback=given,
        help="The function's configuration; flags come before what stands there.",
    )
    kind = click.option(
        "--function-type",
        "-t",
        metavar="NAME",
        callback=given,
        help="A function that the worker has built in, in place of --jar builtin://NAME.",
    )
    return file(fqfn_option(function_flags(kind(command))))


def read_request(
    *, update: bool, function_config_file: str | None, fqfn: str | None, function_type: str | None, **flags: Any
) -> FunctionRequest:
    """The request of a command line with :func:`request_options`. Warnings are printed.

    An ``update`` may leave out what stays as it is. ``ConfigError`` with every problem that can be told without the
    worker.
    """
    flags |= split_fqfn(fqfn, flags)
    if function_type:
        if flags.get("jar"):
            raise click.UsageError("--function-type cannot be given together with --jar")
        flags["jar"] = f"{BUILTIN}{function_type}"
    section = apply_flags(read_function_config(function_config_file), flags)
    try:
        return build_request(section, function_config_file or "", update=update)
    finally:
        print_warnings(section.warnings)


def build_request(section: Section, file: str, *, update: bool = False) -> FunctionRequest:
    """The request for the function of ``section``, which was read from ``file`` or from flags (``""``)."""
    package_key, package = _package(section)
    if package:
        check_package(section, package, file)
        if package.startswith(BUILTIN) and package_key != "jar":
            section.problem(package_key, f"{BUILTIN} is for functions in Java, with jar")
    spec = _parse_update(section) if update else parse_function_config(section)
    config = _config(section, spec)
    if package:
        config["runtime"] = PACKAGE_KEYS[package_key].name
    if package.startswith(BUILTIN):
        return FunctionRequest(spec.key, {**config, "jar": package}, None, "")
    if not package or is_url(package):
        return FunctionRequest(spec.key, config, None, package)
    return FunctionRequest(spec.key, config, base_directory(package, file) / package, "")


def _package(section: Section) -> tuple[str, str]:
    """The key that names the code, and what it says."""
    for key in PACKAGE_KEYS:
        if section.values.get(key) and isinstance(section.values[key], str):
            return key, section.values[key].strip()
    return "", ""


def _parse_update(section: Section) -> FunctionSpec:
    """The function as far as an update tells it: something harmless stands for what it leaves out."""
    values = section.values
    if not any(values.get(key) for key in ("name", "fqfn", "className")):
        section.problem("name", "must be given: it says which function to update")
    for key, value in _stand_ins(values).items():
        section = section.with_value((key,), value, "stand-in")
    return parse_function_config(section)


def _stand_ins(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not any(values.get(key) for key in PACKAGE_KEYS):
        stated = Language.__members__.get(str(values.get("runtime") or "").upper(), Language.JAVA)
        found[next(key for key, language in PACKAGE_KEYS.items() if language is stated)] = "as before"
    if not any(values.get(key) for key in INPUT_KEYS):
        found["inputs"] = ["as-before"]
    if not values.get("className"):
        found["className"] = "as.Before"
        if not values.get("name") and not values.get("fqfn"):
            found["name"] = "as-before"
    if values.get("deadLetterTopic") and values.get("maxMessageRetries") is None and not values.get("runtime"):
        found["maxMessageRetries"] = 0
    return found


def _config(section: Section, spec: FunctionSpec) -> dict[str, Any]:
    """What ``section`` says, under the names the function has, with flags as the types that they mean."""
    names = {"tenant": spec.tenant, "namespace": spec.namespace, "name": spec.name}
    left_out = {*PACKAGE_KEYS, *names, "fqfn"}
    told = {key: value for key, value in section.values.items() if key not in left_out and value is not None}
    for flag in FUNCTION_FLAGS:
        key, _, member = flag.key.partition(".")
        inner = told.get(key)
        if not member and isinstance(inner, str):
            told[key] = _typed(inner, flag.form)
        elif isinstance(inner, dict) and isinstance(inner.get(member), str):
            told[key] = {**inner, member: _typed(inner[member], flag.form)}
    return {**names, **told}


def _typed(text: str, form: Form) -> Any:
    """``text``, which was checked already, as JSON has it."""
    if form is Form.BOOLEAN:
        return text.strip().lower() == "true"
    if form is not Form.NUMBER:
        return text
    number = float(text)
    return int(number) if number.is_integer() else number
