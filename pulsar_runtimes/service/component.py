"""What functions, sinks and sources differ in, for a service that treats them alike."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pulsar_runtimes.config.connector_update import merge_sink_update, merge_source_update
from pulsar_runtimes.config.function import PACKAGE_KEYS, parse_function_config
from pulsar_runtimes.config.function_json import build_function_config
from pulsar_runtimes.config.function_update import merge_update
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.sink import parse_sink_config
from pulsar_runtimes.config.sink_json import build_sink_config
from pulsar_runtimes.config.source import parse_source_config
from pulsar_runtimes.config.source_json import build_source_config
from pulsar_runtimes.model.component import BUILTIN, component_of
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.model.function import ComponentType, FunctionSpec, Language
from pulsar_runtimes.model.names import FunctionKey

from .errors import RefusedError

ELSEWHERE = "the package"
"""The package of a function whose code comes with the request, or by a URL."""

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Component:
    """One kind of component. ``path`` is its place in the admin API, below ``/admin/v3``.

    ``parse`` makes the function of a config whose names are those of the key; ``build`` is its inverse; ``merge`` gives
    the config after an update, from the one that is there and the changes; ``carry_over`` gives a function what its
    config does not tell, from the one before. All raise ``RefusedError`` with every problem.
    """

    type: ComponentType
    title: str
    path: str
    config_part: str
    parse: Callable[[FunctionKey, Config], FunctionSpec]
    build: Callable[[FunctionSpec], dict[str, Any]]
    merge: Callable[[Config, Config], dict[str, Any]]
    carry_over: Callable[[FunctionSpec, FunctionSpec], FunctionSpec]
    type_key: str = ""

    def holds(self, function: FunctionSpec) -> bool:
        """Whether ``function`` is a component of this kind."""
        return self.type in (ComponentType.UNKNOWN, component_of(function))

    def missing(self, name: str) -> str:
        """That there is none of that name."""
        return f"{self.title} {name} doesn't exist"

    def missing_instance(self, name: str, number: int) -> str:
        """That the one of that name has no such instance."""
        return f"{self.title} {name} doesn't have instance with id {number}"


def parse_config_text(text: str, part: str = "functionConfig") -> dict[str, Any]:
    """A config as it comes with a request, in ``part`` of it. ``RefusedError`` when it is no JSON object."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{part}: is not valid JSON ({error})") from None
    if not isinstance(config, dict):
        raise RefusedError(f"{part}: must be a JSON object")
    return config


def _names(key: FunctionKey) -> dict[str, str]:
    return {"tenant": key.tenant, "namespace": key.namespace, "name": key.name}


def _parse_function(key: FunctionKey, config: Config) -> FunctionSpec:
    given = {name: value for name, value in config.items() if name not in (*PACKAGE_KEYS, "fqfn")}
    language = _language(config)
    jar = str(config.get("jar") or "")
    code = {name: ELSEWHERE for name, implied in PACKAGE_KEYS.items() if implied is language}
    if language is Language.JAVA and jar.startswith(BUILTIN):
        code = {"jar": jar}
    with refusing():
        return parse_function_config(Section({**given, **_names(key), **code}))


def _parse_sink(key: FunctionKey, config: Config) -> FunctionSpec:
    with refusing():
        return parse_sink_config(Section({**config, **_names(key), **_archive(config, "sinkType")}))


def _parse_source(key: FunctionKey, config: Config) -> FunctionSpec:
    with refusing():
        return parse_source_config(Section({**config, **_names(key), **_archive(config, "sourceType")}))


def _archive(config: Config, type_key: str) -> dict[str, str]:
    """The ``archive`` of a config, unless it names something that is built in."""
    is_builtin = str(config.get("archive") or "").startswith(BUILTIN) or config.get(type_key)
    return {} if is_builtin else {"archive": ELSEWHERE}


def _language(config: Config) -> Language:
    """As ``runtime`` says, else as the package's key does."""
    stated = config.get("runtime")
    if stated:
        language = Language.__members__.get(str(stated).upper())
        if language is None:
            known = ", ".join(Language.__members__)
            raise RefusedError(f"runtime: must be one of {known} (got {stated!r})")
        return language
    for name, implied in PACKAGE_KEYS.items():
        if config.get(name):
            return implied
    raise RefusedError("Function language runtime is either not set or cannot be determined")


def _carry_over_function(before: FunctionSpec, after: FunctionSpec) -> FunctionSpec:
    source = replace(after.source, skip_to_latest=before.source.skip_to_latest)
    sink = replace(
        after.sink,
        schema_properties=before.sink.schema_properties,
        consumer_properties=before.sink.consumer_properties,
    )
    if before.language is not Language.JAVA:  # those of Java are read from the code
        source = replace(source, type_class_name=before.source.type_class_name)
        sink = replace(sink, type_class_name=before.sink.type_class_name)
    return replace(after, source=source, sink=sink)


def _carry_over_nothing(before: FunctionSpec, after: FunctionSpec) -> FunctionSpec:
    return after


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """What is wrong with a config is the request's fault."""
    try:
        yield
    except ConfigError as error:
        raise RefusedError("; ".join(str(problem) for problem in error.problems)) from None


def _refused(merge: Callable[[Config, Config], dict[str, Any]]) -> Callable[[Config, Config], dict[str, Any]]:
    def merged(existing: Config, given: Config) -> dict[str, Any]:
        with refusing():
            return merge(existing, given)

    return merged


FUNCTIONS = Component(
    ComponentType.FUNCTION,
    "Function",
    "functions",
    "functionConfig",
    _parse_function,
    build_function_config,
    _refused(merge_update),
    _carry_over_function,
)
SINKS = Component(
    ComponentType.SINK,
    "Sink",
    "sinks",
    "sinkConfig",
    _parse_sink,
    build_sink_config,
    _refused(merge_sink_update),
    _carry_over_nothing,
    "sinkType",
)
SOURCES = Component(
    ComponentType.SOURCE,
    "Source",
    "sources",
    "sourceConfig",
    _parse_source,
    build_source_config,
    _refused(merge_source_update),
    _carry_over_nothing,
    "sourceType",
)
ANY = replace(FUNCTIONS, type=ComponentType.UNKNOWN)
"""Whatever there is: for looking at, not for changing."""
