"""The command line of a Java instance, argument by argument as Apache Pulsar's worker writes it.

Source: ``RuntimeUtils#getArgsBeforeCmd`` and ``#getCmd`` of Apache Pulsar 4.0.8. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.runtimes.command import common_arguments, split_flags

MAIN_CLASS = "org.apache.pulsar.functions.instance.JavaInstanceMain"

_REFLECTION = (
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dorg.apache.pulsar.shade.io.netty.tryReflectionSetAccessible=true",
    "-Dio.grpc.netty.shaded.io.netty.tryReflectionSetAccessible=true",
    *("--add-opens", "java.base/java.nio=ALL-UNNAMED"),
    *("--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED"),
    *("--add-opens", "java.base/java.util.zip=ALL-UNNAMED"),
)
"""The reference leaves out what the worker's own Java is too old for; every Java that can run 4.0 knows these."""


@dataclass(frozen=True, slots=True)
class JavaPlaces:
    """Where a Java instance finds its parts. ``class_path`` is that of the implementation behind the small jar."""

    instance_jar: str
    class_path: str
    log_config: str
    log_directory: str
    extra_dependencies: str = ""


def java_command(spec: InstanceSpec, places: JavaPlaces, *more_flags: str) -> list[str]:
    """The whole command line. ``more_flags`` come before those of the worker and the function, which so win."""
    return [
        *java_head(spec, places),
        *more_flags,
        *spec.java_arguments,
        *split_flags(spec.function.runtime_flags),
        *java_tail(spec),
    ]


def java_head(spec: InstanceSpec, places: JavaPlaces, number: str = "") -> list[str]:
    """What comes before the flags of people. ``number`` is as in :func:`common_arguments`."""
    return ["java", *_machine_flags(spec, places, number or str(spec.instance_id))]


def java_tail(spec: InstanceSpec, number: str = "") -> list[str]:
    """What comes after the flags of people, from the heap on, which so wins."""
    return [*_heap(spec), MAIN_CLASS, *java_arguments(spec, number)]


def _machine_flags(spec: InstanceSpec, places: JavaPlaces, number: str) -> Iterator[str]:
    function, extra = spec.function, places.extra_dependencies
    yield from ("-cp", f"{places.instance_jar}:{extra}/*" if extra else places.instance_jar)
    if extra:
        yield f"-Dpulsar.functions.extra.dependencies.dir={extra}"
    yield f"-Dpulsar.functions.instance.classpath={places.class_path}"
    yield f"-Dlog4j.configurationFile={places.log_config}"
    directory = f"{places.log_directory}/{function.tenant}/{function.namespace}/{function.name}"
    yield f"-Dpulsar.function.log.dir={directory}"
    yield f"-Dpulsar.function.log.file={function.name}-{number}"
    yield from _REFLECTION


def _heap(spec: InstanceSpec) -> Iterator[str]:
    resources = spec.function.resources
    if resources is not None and resources.ram:
        yield f"-Xmx{resources.ram}"


def java_arguments(spec: InstanceSpec, number: str = "") -> list[str]:
    """What follows the main class."""
    transform = ("--transform_function_jar", spec.transform_file, "--transform_function_id", spec.transform_id)
    return ["--jar", spec.code_file, *(transform if spec.transform_file else ()), *common_arguments(spec, number)]
