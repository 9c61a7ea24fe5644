"""The process runtime: each instance a child process, in a session of its own, that dies with the worker."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.instance.environment import CODE_CACHE_VARIABLE, LOGGING_CONFIG_FILE
from pulsar_runtimes.instance.support import check_supported
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.runtimes.base import FactoryContext, RuntimeFactory, check_language
from pulsar_runtimes.runtimes.command import masked_spec, python_arguments, split_flags, without_secrets
from pulsar_runtimes.runtimes.memory_limit import parse_client_memory_limit
from pulsar_runtimes.runtimes.process.launcher_client import LauncherClient
from pulsar_runtimes.runtimes.process.runtime import ProcessRuntime


class ProcessRuntimeFactory(RuntimeFactory):
    """Runs Python functions. An instance is forked from a preloaded parent, unless the function's
    ``runtimeFlags`` ask for an interpreter of its own; then one is started.

    ``pulsarClientMemoryLimit``, an addition to the reference's keys of this runtime, bounds the client of each
    instance, because each has one of its own.
    """

    name: ClassVar[str] = "process"
    capabilities: ClassVar[Capabilities] = Capabilities(languages=frozenset({Language.PYTHON}), isolates_memory=True)

    def __init__(
        self,
        context: FactoryContext,
        *,
        log_directory: Path,
        client_memory_bytes: int | None = None,
        extra_dependencies: str = "",
    ) -> None:
        self._context = context
        self._log_directory = log_directory
        self._client_memory_bytes = client_memory_bytes
        self._extra_dependencies = extra_dependencies
        self._launcher = LauncherClient(context.state_dir / "process", context.environment, context.wake)

    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        environment = context.environment
        default_logs = environment.get("PULSAR_LOG_DIR") or str(Path("logs").resolve())
        log_directory = section.text("logDirectory") or default_logs
        extra = section.text("extraFunctionDependenciesDir") or environment.get("PULSAR_FUNCTIONS_EXTRA_DEPS_DIR", "")
        limit = parse_client_memory_limit(section)
        for key, why in (
            ("javaInstanceJarLocation", "this version of pfrun runs Python functions only"),
            ("pythonInstanceLocation", "this version of pfrun always runs its own Python instance"),
        ):
            if section.text(key):
                section.warn(key, f"has no effect: {why}")
        section.done()
        return cls(
            context,
            # The reference appends this to whatever was configured.
            log_directory=Path(log_directory).absolute() / "functions",
            client_memory_bytes=limit.bytes_of(context.memory_ceiling_bytes),
            extra_dependencies=extra,
        )

    def check(self, spec: InstanceSpec) -> None:
        check_language(self, spec)
        check_supported(spec.function)

    def create(self, spec: InstanceSpec) -> ProcessRuntime:
        return ProcessRuntime(spec, self._launcher, self._request(spec))

    def render(self, spec: InstanceSpec) -> str:
        shown = masked_spec(spec)
        how = "own interpreter" if spec.function.runtime_flags else "forked from the preloaded launcher"
        return f"# {spec.key}, {how}, log {self._log_file(spec)}\n{shlex.join(self._command(shown))}\n"

    def close(self) -> None:
        self._launcher.close()

    def _request(self, spec: InstanceSpec) -> dict[str, Any]:
        """What the launcher is asked for. Without ``command`` it forks, and runs ``arguments`` itself."""
        request: dict[str, Any] = {
            "name": f"pf:{spec.function.name}-{spec.instance_id}",
            "log_file": str(self._log_file(spec)),
            "environment": self._environment(),
            "python_path": [self._extra_dependencies] if self._extra_dependencies else [],
            "arguments": self._arguments(spec),
        }
        if spec.function.runtime_flags:
            command, secret_options = without_secrets(self._command(spec))
            request |= {"command": command, "secret_options": dict(secret_options)}
        return request

    def _command(self, spec: InstanceSpec) -> list[str]:
        flags = split_flags(spec.function.runtime_flags)
        return [sys.executable, "-P", *flags, "-m", "pulsar_runtimes.instance", *self._arguments(spec)]

    def _arguments(self, spec: InstanceSpec) -> list[str]:
        return python_arguments(
            replace(spec, client_memory_bytes=self._client_memory_bytes),
            logging_directory=str(self._log_directory),
            logging_config_file=LOGGING_CONFIG_FILE,
        )

    def _environment(self) -> dict[str, str]:
        environment = {CODE_CACHE_VARIABLE: str(self._context.state_dir / "code")}
        if self._extra_dependencies:
            inherited = self._context.environment.get("PYTHONPATH", "")
            environment["PYTHONPATH"] = ":".join(part for part in (inherited, self._extra_dependencies) if part)
        return environment

    def _log_file(self, spec: InstanceSpec) -> Path:
        function = spec.function
        directory = self._log_directory / function.tenant / function.namespace / function.name
        return directory / f"{function.name}-{spec.instance_id}.log"
