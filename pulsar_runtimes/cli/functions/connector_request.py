"""What to send for a sink or source: its config as the worker reads it, and its archive."""

from __future__ import annotations

from collections.abc import Callable

from pulsar_runtimes.cli.package_file import base_directory, check_package, is_url
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.sink import parse_sink_config
from pulsar_runtimes.config.source import parse_source_config
from pulsar_runtimes.model.component import BUILTIN
from pulsar_runtimes.model.function import FunctionSpec

from .function_request import FunctionRequest


def build_sink_request(section: Section, file: str) -> FunctionRequest:
    """The request for the sink of ``section``, which was read from ``file``. ``ConfigError`` with every problem."""
    return _build(section, file, parse_sink_config, "sinkType")


def build_source_request(section: Section, file: str) -> FunctionRequest:
    """The same for a source."""
    return _build(section, file, parse_source_config, "sourceType")


def _build(section: Section, file: str, parse: Callable[[Section], FunctionSpec], type_key: str) -> FunctionRequest:
    named = section.values.get("archive")
    if isinstance(named, str) and named.strip():
        check_package(section, named.strip(), file, ["archive"])
    spec = parse(section)
    archive = spec.package  # also where the type names it
    names = {"tenant": spec.tenant, "namespace": spec.namespace, "name": spec.name}
    left_out = {*names, "archive", type_key}
    told = {key: value for key, value in section.values.items() if key not in left_out and value is not None}
    config = {**names, **told}
    if archive.startswith(BUILTIN):
        return FunctionRequest(spec.key, {**config, "archive": archive}, None, "")
    if is_url(archive):
        return FunctionRequest(spec.key, config, None, archive)
    return FunctionRequest(spec.key, config, base_directory(archive, file) / archive, "")
