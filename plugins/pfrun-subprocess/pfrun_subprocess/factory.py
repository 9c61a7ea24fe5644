"""The factory: what its configuration says, which instances it takes, and what it would run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Self

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.runtimes.base import FactoryContext, RuntimeFactory
from pulsar_runtimes.runtimes.command import python_arguments, without_secrets

from .runtime import Launch, SubprocessRuntime

LOGGING_CONFIG = Path(__file__).with_name("console_logging.ini")


class SubprocessRuntimeFactory(RuntimeFactory):
    """Runs Python functions as children of the worker; they write to files under the worker's state directory."""

    name = "subprocess"
    capabilities = Capabilities(languages=frozenset({Language.PYTHON}), isolates_memory=True)

    def __init__(self, context: FactoryContext, niceness: int = 0) -> None:
        self._context = context
        self._niceness = niceness

    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        niceness = section.integer("niceness", minimum=0, maximum=19)
        section.done()
        return cls(context, niceness)

    def check(self, spec: InstanceSpec) -> None:
        super().check(spec)
        flags = spec.function.runtime_flags
        if flags:
            # Either honoured or refused: an operator must not believe in a setting that does nothing.
            raise AdmissionError(
                f"{spec.function.key}: runtimeFlags: the subprocess runtime passes none on (got {flags!r}); "
                "leave them out, or use the process runtime"
            )

    def create(self, spec: InstanceSpec) -> SubprocessRuntime:
        return SubprocessRuntime(spec, self._launch(spec))

    def render(self, spec: InstanceSpec) -> str:
        launch = self._launch(spec)
        hidden = ", ".join(f"--{name}" for name in launch.secrets)
        return f"# {launch.secrets_file} holds {hidden}\n{shlex.join(launch.argv)}\n"

    def _launch(self, spec: InstanceSpec) -> Launch:
        """How ``spec`` is launched. Pure, so that ``render`` and ``start`` cannot differ."""
        function = spec.function
        directory = self._context.state_dir / "subprocess" / function.tenant / function.namespace / function.name
        log_file = directory / f"{spec.instance_id}.log"
        arguments = python_arguments(spec, logging_directory=str(directory), logging_config_file=str(LOGGING_CONFIG))
        shown, secrets = without_secrets(arguments)
        nice = ["nice", "-n", str(self._niceness)] if self._niceness else []
        return Launch(
            # -P: a file in the working directory must not stand in for a module of the instance.
            command=(*nice, sys.executable, "-P", "-m", "pulsar_runtimes.instance", *shown),
            secrets=secrets,
            secrets_file=directory / f"{spec.instance_id}.ini",
            log_file=log_file,
            environment=dict(self._context.environment),
        )
