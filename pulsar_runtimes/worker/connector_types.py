"""The class of a source or sink and the type it works with, read from its package.

Source: ``SinkConfigUtils#validateAndExtractDetails`` and ``SourceConfigUtils#validateAndExtractDetails`` of Apache
Pulsar 4.0.8, and their messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pulsar_runtimes.config.archive_definition import DEFINITION_ENTRY, ArchiveDefinition
from pulsar_runtimes.java.jar import Jar, JarError
from pulsar_runtimes.java.signature import JavaType, erased
from pulsar_runtimes.java.type_arguments import (
    JavaTypeError,
    check_serde,
    is_batch_source,
    sink_type,
    source_type,
    transform_input,
)
from pulsar_runtimes.model.component import BATCH_CLASS_KEY, BATCH_SOURCE_EXECUTOR, component_of, connector_class
from pulsar_runtimes.model.errors import AdmissionError, ConfigError
from pulsar_runtimes.model.function import ComponentType, FunctionSpec

from .archives import read_definition


def resolve_connector(function: FunctionSpec) -> FunctionSpec:
    """A source or sink whose package is known, with its class, and the type that its package tells.

    ``AdmissionError`` when the package is damaged, has no such class, or the class is no connector of that kind.
    """
    is_sink = component_of(function) is ComponentType.SINK
    path = Path(function.package)
    try:
        with Jar(path) as jar:
            return _resolve_sink(function, jar, path) if is_sink else _resolve_source(function, jar, path)
    except (JavaTypeError, ConfigError) as error:
        raise AdmissionError(f"{function.key}: {error} ({path})") from None
    except JarError as error:
        raise AdmissionError(f"{function.key}: {error}") from None


def _resolve_source(function: FunctionSpec, jar: Jar, path: Path) -> FunctionSpec:
    source = function.source
    class_name = connector_class(function) or _named(jar, path, "Source", lambda found: found.source_class)
    has_batch_config = source.class_name == BATCH_SOURCE_EXECUTOR
    is_batch = is_batch_source(jar, class_name)
    if is_batch and not has_batch_config:
        raise JavaTypeError(
            f"Source class {class_name} implements org.apache.pulsar.io.core.BatchSource "
            "but batch source source config is not specified"
        )
    found = source_type(jar, class_name)
    if has_batch_config and not is_batch:
        raise JavaTypeError(f"Source class {class_name} is no batch source, but has a batchSourceConfig")
    check_serde(jar, function.sink.ser_de_class_name, found, is_input=False)
    if has_batch_config:
        source = replace(source, configs={**source.configs, BATCH_CLASS_KEY: class_name})
    else:
        source = replace(source, class_name=class_name)
    return replace(
        function,
        source=replace(source, type_class_name=erased(found)),
        sink=replace(function.sink, type_class_name=erased(found)),
    )


def _resolve_sink(function: FunctionSpec, jar: Jar, path: Path) -> FunctionSpec:
    class_name = connector_class(function) or _named(jar, path, "Sink", lambda found: found.sink_class)
    own_type = sink_type(jar, class_name)
    if function.transform_package:
        function_class, found = _resolve_transform(function, Path(function.transform_package))
    else:
        function_class, found = function.class_name, own_type
        _check_serdes(function, jar, found)
    return replace(
        function,
        class_name=function_class,
        source=replace(function.source, type_class_name=erased(found)),
        sink=replace(function.sink, class_name=class_name, type_class_name=erased(found)),
    )


def _resolve_transform(function: FunctionSpec, path: Path) -> tuple[str, JavaType]:
    """The class of the sink's function, and what it takes."""
    with Jar(path) as jar:
        class_name = function.class_name or _named(jar, path, "Function", lambda found: found.function_class)
        found = transform_input(jar, class_name)
        _check_serdes(function, jar, found)
    return class_name, found


def _check_serdes(function: FunctionSpec, jar: Jar, found: JavaType) -> None:
    for serde in dict.fromkeys(spec.serde_class_name for spec in function.source.input_specs.values()):
        check_serde(jar, serde, found, is_input=True)


def _named(jar: Jar, path: Path, kind: str, pick: Callable[[ArchiveDefinition], str]) -> str:
    """The class that the package names itself."""
    definition = read_definition(jar, str(path))
    if definition is None:
        raise JavaTypeError(f"{kind} package doesn't contain the {DEFINITION_ENTRY} file.")
    name = pick(definition)
    if not name:
        raise JavaTypeError(f"Failed to extract {kind.lower()} class from archive")
    return name
