"""How one instance is launched on this machine: pure, so that ``render`` and ``start`` cannot differ."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pulsar_runtimes._version import __version__
from pulsar_runtimes.instance.environment import CODE_CACHE_VARIABLE, LOGGING_CONFIG_FILE
from pulsar_runtimes.model.details import html_safe_json
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.runtimes.command import PythonDependencies, python_arguments, split_flags, without_secrets
from pulsar_runtimes.runtimes.go_command import SECRET_KEYS, go_command, go_config
from pulsar_runtimes.runtimes.java_command import java_command
from pulsar_runtimes.runtimes.option_file import argument_file, ini_options, yaml_safe_json
from pulsar_runtimes.runtimes.process.launcher import OPTIONS
from pulsar_runtimes.runtimes.process.places import Places

_NEVER = -1
"""An instance that waits for health checks ends itself when none comes. Ours end with the worker by other means."""

_LEAST_BESIDE_HEAP = 256 << 20
"""Code, threads and buffers of an idle Java instance take about 150 MiB."""


@dataclass(frozen=True, slots=True)
class Launch:
    """``command`` is ``None`` for an instance that is forked from the preloaded launcher with ``arguments``.

    ``options`` is the content of the file that ``OPTIONS`` stands for. ``tells`` says whether the instance tells
    by itself that it is ready, and on which ports; another one is given ports and asked for its health. ``cpu`` and
    ``ram_bytes`` are what the machine holds it to, 0 for no limit.
    """

    log_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    arguments: tuple[str, ...] = ()
    options: str = field(default="", repr=False)
    tells: bool = False
    language: Language = Language.PYTHON
    cpu: float = 0.0
    ram_bytes: int = 0

    def text(self) -> str:
        """The command line for people."""
        return shlex.join(self.command or (*own_python(""), *self.arguments))

    def request(self, spec: InstanceSpec, python_path: str, fingerprint: str, ports: tuple[int, int]) -> dict[str, Any]:
        """What the launcher is asked for; ``ports`` are those that the instance was given."""
        return {
            "name": f"pf:{spec.function.name}-{spec.instance_id}",
            "key": str(spec.key),
            "log_file": str(self.log_file),
            "environment": dict(self.environment),
            "python_path": [python_path] if python_path else [],
            "command": self.command,
            "arguments": self.arguments,
            "options": self.options,
            "fingerprint": fingerprint,
            "port": ports[0],
            "metrics_port": ports[1],
            "language": self.language.name,
            "cpu": self.cpu,
            "ram_bytes": self.ram_bytes,
        }


def fingerprint(spec: InstanceSpec, plan: Callable[[InstanceSpec], Launch]) -> str:
    """Equal for two starts that make the same instance: same launch, same code, same pfrun."""
    code = Path(spec.code_file)
    content = hashlib.sha256(code.read_bytes()).hexdigest() if code.is_file() else ""
    launch = plan(spec.lasting)
    told = (launch.command, launch.arguments, launch.options, sorted(launch.environment.items()))
    parts = (__version__, sys.version, content, told, launch.cpu, launch.ram_bytes, str(launch.log_file))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def own_python(flags: str) -> list[str]:
    """The head of the command line of pfrun's own Python instance."""
    return [sys.executable, "-P", *split_flags(flags), "-m", "pulsar_runtimes.instance"]


def plan_launch(
    spec: InstanceSpec,
    places: Places,
    *,
    code_cache: Path,
    inherited_path: str = "",
    dependencies: PythonDependencies | None = None,
    enforce_resources: bool = True,
) -> Launch:
    """pfrun's way: no secret on a command line, and ``PYTHONPATH`` as it will be used."""
    function = spec.function
    directory = Path(places.log_directory, function.tenant, function.namespace, function.name)
    extra = places.extra_dependencies
    launch = Launch(
        log_file=directory / f"{function.name}-{spec.instance_id}.log",
        environment={"PYTHONPATH": ":".join(part for part in (inherited_path, extra) if part)} if extra else {},
        language=function.language,
    )
    if enforce_resources and function.resources is not None:
        launch = replace(launch, cpu=function.resources.cpu, ram_bytes=_bounded_ram(spec))
    match function.language:
        case Language.JAVA:
            return _java(launch, replace(spec, expected_health_check_seconds=_NEVER), places)
        case Language.GO:
            return _go(launch, spec)
    if places.python_instance:
        return _reference_python(launch, replace(spec, expected_health_check_seconds=_NEVER), places, dependencies)
    launch = replace(launch, environment={CODE_CACHE_VARIABLE: str(code_cache), **launch.environment}, tells=True)
    arguments = python_arguments(
        spec,
        logging_directory=places.log_directory,
        logging_config_file=LOGGING_CONFIG_FILE,
        dependencies=dependencies,
    )
    if not function.runtime_flags:
        return replace(launch, arguments=tuple(arguments))
    kept, secret = without_secrets(arguments)
    command = (*own_python(function.runtime_flags), *kept, "--config_file", OPTIONS)
    return replace(launch, command=command, options=ini_options(secret))


def _bounded_ram(spec: InstanceSpec) -> int:
    """``ram`` is all of a Python or Go instance, but only the heap of a JVM, which needs more beside it."""
    ram = spec.function.resources.ram if spec.function.resources is not None else 0
    if spec.function.language is Language.JAVA and ram:
        return ram + max(ram // 4, _LEAST_BESIDE_HEAP) + (spec.client_memory_bytes or 0)
    return ram


def _java(launch: Launch, spec: InstanceSpec, places: Places) -> Launch:
    command, secret = without_secrets(java_command(spec, places.java, *_direct_memory(spec)))
    return replace(launch, command=(*command, f"@{OPTIONS}"), options=argument_file(secret))


def _direct_memory(spec: InstanceSpec) -> list[str]:
    """Netty's buffers, in which the Java client keeps messages, are direct memory of the machine."""
    limit = spec.client_memory_bytes
    return [] if limit is None else [f"-XX:MaxDirectMemorySize={limit}"]


def _go(launch: Launch, spec: InstanceSpec) -> Launch:
    config = go_config(spec)
    # All of it: the SDK lays the command line over the file, but not every fork of it does.
    options = yaml_safe_json(config)
    shown = {key: value for key, value in config.items() if key not in SECRET_KEYS}
    command = (spec.code_file, "-instance-conf", html_safe_json(shown), "-instance-conf-path", OPTIONS)
    return replace(launch, command=command, options=options)


def _reference_python(
    launch: Launch, spec: InstanceSpec, places: Places, dependencies: PythonDependencies | None
) -> Launch:
    kept, secret = without_secrets(_reference_python_command(spec, places, dependencies))
    return replace(launch, command=(*kept, "--config_file", OPTIONS), options=ini_options(secret))


def _reference_python_command(
    spec: InstanceSpec, places: Places, dependencies: PythonDependencies | None = None
) -> list[str]:
    # It has no options for these, and does not know the embedded state store.
    spec = replace(spec, client_memory_bytes=None, first_consumer_number=0, embedded_state_url="")
    arguments = python_arguments(
        spec,
        logging_directory=places.log_directory,
        logging_config_file=places.python_log_config,
        dependencies=dependencies,
    )
    return ["python3", *split_flags(spec.function.runtime_flags), places.python_instance, *arguments]


def plan_reference_launch(spec: InstanceSpec, places: Places) -> Launch:
    """The way of Apache Pulsar's worker, argument by argument: secrets can be read by every user of the machine."""
    function = spec.function
    extra = places.extra_dependencies
    match function.language:
        case Language.JAVA:
            command = java_command(spec, places.java)
        case Language.GO:
            command = go_command(spec)
        case _:
            command = _reference_python_command(spec, places)
    directory = Path(places.log_directory, function.tenant, function.namespace, function.name).absolute()
    return Launch(
        # Not the file that the instance itself writes.
        log_file=directory / f"{function.name}-{spec.instance_id}.out",
        environment={"PYTHONPATH": f"${{PYTHONPATH}}:{extra}"} if extra else {},
        command=tuple(command),
    )
