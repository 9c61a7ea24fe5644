"""The process runtime: each instance a child process, in a session of its own, that dies with the worker."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

from pulsar_runtimes.config.section import MISSING, Section
from pulsar_runtimes.config.worker import CLEAR_TEXT_AUTH_PROVIDER, TOKEN_PLUGIN
from pulsar_runtimes.instance.function_state import check_state_store
from pulsar_runtimes.instance.support import check_supported
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.runtimes.base import FactoryContext, RuntimeFactory, check_language, read_strict_reference
from pulsar_runtimes.runtimes.command import PythonDependencies, masked_spec
from pulsar_runtimes.runtimes.memory_limit import KEY, parse_client_memory_limit
from pulsar_runtimes.runtimes.process.health import HealthPolicy, HealthProbe
from pulsar_runtimes.runtimes.process.launch import Launch, plan_launch, plan_reference_launch
from pulsar_runtimes.runtimes.process.launcher import OPTIONS
from pulsar_runtimes.runtimes.process.launcher_client import LauncherClient
from pulsar_runtimes.runtimes.process.places import NO_HOME, Places, read_places
from pulsar_runtimes.runtimes.process.runtime import ProcessRuntime


class ProcessRuntimeFactory(RuntimeFactory):
    """Runs Java, Python and Go functions. A Python instance is forked from a preloaded parent, unless the
    function's ``runtimeFlags`` ask for an interpreter of its own, or ``pythonInstanceLocation`` for Apache
    Pulsar's instance; then one is started.

    Additions to the reference's keys: ``pulsarClientMemoryLimit`` bounds the client of each instance, because each
    has one of its own; ``hungAfterSeconds`` is the silence after which an instance counts as hung, 0 for never;
    ``enforceResources`` (true) holds an instance to its function's cpu and ram; ``installUserCodeDependencies`` and
    the two repositories are those of the Kubernetes runtime;
    ``keepInstancesOnExit`` leaves the instances to the next worker of the same state directory;
    ``strictReference`` launches as Apache Pulsar's worker does, argument by argument.
    """

    name: ClassVar[str] = "process"
    capabilities: ClassVar[Capabilities] = Capabilities(languages=frozenset(Language), isolates_memory=True)

    def __init__(
        self,
        context: FactoryContext,
        *,
        places: Places,
        client_memory_bytes: int | None = None,
        health: HealthPolicy | None = None,
        strict_reference: bool = False,
        enforce_resources: bool = True,
        dependencies: PythonDependencies | None = None,
        keep_instances: bool = False,
    ) -> None:
        self._keep_instances = keep_instances
        self._context = context
        self._enforce_resources = enforce_resources
        self._dependencies = dependencies
        self._places = places
        self._client_memory_bytes = client_memory_bytes
        self._strict_reference = strict_reference
        self._launcher = LauncherClient(
            context.state_dir / "process", context.environment, context.wake, keep=keep_instances
        )
        self._probe = HealthProbe(health or HealthPolicy())

    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        reference = read_strict_reference(section, context)
        places = read_places(section, context.environment, reference=reference)
        limit = parse_client_memory_limit(section)
        hung_after = section.number("hungAfterSeconds", HealthPolicy().hung_after_seconds, minimum=0)
        enforce = section.boolean("enforceResources", True)
        keep = section.boolean("keepInstancesOnExit")
        install = section.boolean("installUserCodeDependencies")
        dependencies = PythonDependencies(
            section.text("pythonDependencyRepository"), section.text("pythonExtraDependencyRepository")
        )
        if reference:
            for key in (KEY, "enforceResources", "installUserCodeDependencies"):
                if section.raw(key) is not MISSING:
                    section.warn(
                        key, "has no effect: with strictReference instances are launched as the reference does"
                    )
        section.done()
        return cls(
            context,
            places=places,
            client_memory_bytes=limit.bytes_of(context.memory_ceiling_bytes),
            health=HealthPolicy(hung_after_seconds=hung_after),
            strict_reference=reference,
            enforce_resources=enforce,
            dependencies=dependencies if install else None,
            keep_instances=keep,
        )

    def open(self) -> None:
        self._launcher.open()

    def check(self, spec: InstanceSpec) -> None:
        check_language(self, spec)
        places = self._places
        match spec.function.language:
            case Language.JAVA:
                self._need_program(spec, "java")
                self._need_known_store(spec)
                self._need_file(spec, places.java.instance_jar, "javaInstanceJarLocation, or PULSAR_HOME")
            case Language.PYTHON if not (places.python_instance or self._strict_reference):
                check_supported(spec.function)
                check_state_store(spec)
            case Language.PYTHON:
                self._need_program(spec, "python3")
                self._need_known_store(spec)
                self._need_file(spec, places.python_instance, "pythonInstanceLocation")
            case Language.GO:
                if spec.function.package and not os.access(spec.code_file, os.X_OK):
                    raise AdmissionError(f"{spec.function.key}: {spec.code_file}: a Go program must be executable")

    def _need_known_store(self, spec: InstanceSpec) -> None:
        """Apache Pulsar's own instances speak to BookKeeper themselves, and end when the URL is another one."""
        url = spec.state_storage_url
        if url and not url.startswith("bk://") and not self._strict_reference:
            raise AdmissionError(
                f"{spec.function.key}: stateStorageServiceUrl: Apache Pulsar's own instance knows bk://host:port only "
                f"(got {url!r}); pfrun's Python instance can use it"
            )

    def _need_program(self, spec: InstanceSpec, program: str) -> None:
        if shutil.which(program, path=self._context.environment.get("PATH")) is None:
            language = spec.function.language.name.capitalize()
            raise AdmissionError(
                f"{spec.function.key}: a {language} function needs {program}, which is not on the PATH"
            )

    def _need_file(self, spec: InstanceSpec, path: str, setting: str) -> None:
        if Path(path).is_file():
            return
        if path.startswith(f"{NO_HOME}/"):
            language = spec.function.language.name.capitalize()
            raise AdmissionError(f"{spec.function.key}: a {language} function needs {Path(path).name}; set {setting}")
        raise AdmissionError(f"{spec.function.key}: {path}: there is no such file; set {setting}")

    def create(self, spec: InstanceSpec) -> ProcessRuntime:
        return ProcessRuntime(
            spec,
            self._launcher,
            self._probe,
            self.launch,
            python_path=self._places.extra_dependencies,
            outlives_worker=self._keep_instances,
        )

    def keep_token(self, spec: InstanceSpec, token: str) -> str:
        return token if self._gives_tokens else ""

    @property
    def _gives_tokens(self) -> bool:
        return self._context.worker.function_auth_provider == CLEAR_TEXT_AUTH_PROVIDER

    def launch(self, spec: InstanceSpec) -> Launch:
        """How ``spec`` is launched, with the ports it has. No side effects."""
        return self._launch(spec, self._dependencies)

    def _launch(self, spec: InstanceSpec, dependencies: PythonDependencies | None) -> Launch:
        auth = spec.auth
        if auth is not None and self._gives_tokens:
            # Never the worker's own: a function without a token is nobody.
            token = spec.auth_data
            auth = replace(auth, plugin=TOKEN_PLUGIN if token else "", params=f"token:{token}" if token else "")
        spec = replace(spec, client_memory_bytes=self._client_memory_bytes, auth=auth)
        if self._strict_reference:
            return plan_reference_launch(spec, self._places)
        return plan_launch(
            spec,
            self._places,
            code_cache=self._context.state_dir / "code",
            inherited_path=self._context.environment.get("PYTHONPATH", ""),
            dependencies=dependencies,
            enforce_resources=self._enforce_resources,
        )

    def render(self, spec: InstanceSpec) -> str:
        masked = replace(masked_spec(spec), auth_data=spec.auth_data and "***")
        launch = self._launch(masked, self._dependencies.masked() if self._dependencies else None)
        how = "own program" if launch.command else "forked from the preloaded launcher"
        lines = [f"# {spec.key}, {how}, log {launch.log_file}"]
        if launch.options:
            lines.append(f"# {OPTIONS} stands for an anonymous file with the options that may hold secrets")
        return "\n".join([*lines, launch.text(), ""])

    def close(self) -> None:
        self._probe.close()
        self._launcher.close()
