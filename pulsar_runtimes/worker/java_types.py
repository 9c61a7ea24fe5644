"""The Java types of a function, read from its package as Apache Pulsar's worker infers them at registration.

Source: ``FunctionConfigUtils#convert`` and ``#doJavaChecks`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pulsar_runtimes.config.function_window import EXECUTOR_CLASS, USER_CONFIG_KEY
from pulsar_runtimes.java.jar import Jar, JarError
from pulsar_runtimes.java.type_arguments import FunctionTypes, JavaTypeError, check_serde, function_types
from pulsar_runtimes.model.component import is_connector
from pulsar_runtimes.model.errors import AdmissionError, ConfigError
from pulsar_runtimes.model.function import FunctionSpec, Language

from .archives import read_definition
from .connector_types import resolve_connector


def resolve_java_types(function: FunctionSpec) -> FunctionSpec:
    """``function`` with its class and the ``typeClassName`` of its source and sink, where the config names none.

    ``AdmissionError`` when the package is damaged, has no such class, or its SerDes do not fit; all at once.
    Functions of other languages, and those without a package of their own, stay as they are.
    """
    if function.language is not Language.JAVA or not function.package:
        return function
    if is_connector(function):
        return resolve_connector(function)
    path = Path(function.package)
    try:
        with Jar(path) as jar:
            function = _with_class(function, jar)
            class_name, windowed = _class_of(function)
            types = function_types(jar, class_name, windowed=windowed)
            problems = _serde_problems(jar, function, types)
    except (JavaTypeError, ConfigError) as error:
        raise AdmissionError(f"{function.key}: {error} ({path})") from None
    except JarError as error:
        raise AdmissionError(f"{function.key}: {error}") from None
    if problems:
        raise AdmissionError(f"{function.key}: {'; '.join(problems)} ({path})")
    source, sink = function.source, function.sink
    return replace(
        function,
        source=replace(source, type_class_name=source.type_class_name or types.input_class),
        sink=replace(sink, type_class_name=sink.type_class_name or types.output_class),
    )


def _with_class(function: FunctionSpec, jar: Jar) -> FunctionSpec:
    """A config may leave out the class when the package names it itself."""
    if function.class_name:
        return function
    definition = read_definition(jar, function.package)
    if definition is None or not definition.function_class:
        raise JavaTypeError("Function class name must be given, as the package does not name it")
    return replace(function, class_name=definition.function_class)


def _class_of(function: FunctionSpec) -> tuple[str, bool]:
    """The class that a person wrote, and whether it works on windows."""
    if function.class_name != EXECUTOR_CLASS:
        return function.class_name, False
    window: Any = function.user_config.get(USER_CONFIG_KEY) or {}
    return str(window.get("actualWindowFunctionClassName", "")), True


def _serde_problems(jar: Jar, function: FunctionSpec, types: FunctionTypes) -> list[str]:
    wanted = [(spec.serde_class_name, True) for spec in function.source.input_specs.values()]
    wanted.append((function.sink.ser_de_class_name, False))
    problems = []
    for serde, is_input in dict.fromkeys(wanted):
        try:
            check_serde(jar, serde, types.input if is_input else types.output, is_input=is_input)
        except JavaTypeError as error:
            problems.append(str(error))
    return problems
