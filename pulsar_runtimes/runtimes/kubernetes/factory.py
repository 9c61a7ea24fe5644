"""The Kubernetes runtime: it admits functions, makes their manifests, and launches them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import ClassVar, Self
from weakref import WeakSet

from pulsar_runtimes.config.document import dump_documents
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError, ConfigError, LaunchError
from pulsar_runtimes.model.function import FunctionSpec, InstanceSpec, Language
from pulsar_runtimes.model.observation import Capabilities, RuntimeHandle
from pulsar_runtimes.runtimes.base import FactoryContext, RuntimeFactory, check_language, read_strict_reference
from pulsar_runtimes.runtimes.command import masked_spec
from pulsar_runtimes.runtimes.kubernetes.api import KubernetesApi, Manifest, connect, model_problems
from pulsar_runtimes.runtimes.kubernetes.config import KubernetesConfig
from pulsar_runtimes.runtimes.kubernetes.deployment import put_secret, remove_secret
from pulsar_runtimes.runtimes.kubernetes.function_auth import KeptToken
from pulsar_runtimes.runtimes.kubernetes.function_secrets import shown_references
from pulsar_runtimes.runtimes.kubernetes.manifests import Manifests, build_manifests, check_manifests, job_of
from pulsar_runtimes.runtimes.kubernetes.overrides import Overrides
from pulsar_runtimes.runtimes.kubernetes.ownership import Job, build_job, build_marks, foreign_reason
from pulsar_runtimes.runtimes.kubernetes.runtime import HANDLE_FACTORY, HANDLE_VERSION, KubernetesRuntime
from pulsar_runtimes.runtimes.kubernetes.session import Session
from pulsar_runtimes.runtimes.kubernetes.settings import KubernetesSettings, read_kubernetes_settings

Reread = Callable[[Mapping[str, str]], KubernetesSettings]
"""Reads the configuration again, with these keys of its section in place of those that it has."""

OVERRIDES_SECONDS = 300.0
"""How often ``changeConfigMap`` is looked at, as in the reference."""

_TOKEN_ID_BYTES = 8
_CREDENTIALS = re.compile(r"//[^/]*@")


class KubernetesRuntimeFactory(RuntimeFactory):
    """Each function one StatefulSet and one Service, all its replicas one runtime.

    They go on when the worker ends, and the next one finds them. Addition to the reference's keys: ``strictReference``
    makes manifests as the reference does.
    """

    name: ClassVar[str] = HANDLE_FACTORY
    capabilities: ClassVar[Capabilities] = Capabilities(
        languages=frozenset(Language),
        isolates_memory=True,
        runs_all_replicas=True,
        restarts_itself=True,
        updates_in_place=True,
        reattaches=True,
        secret_references=True,
    )

    def __init__(
        self,
        settings: KubernetesSettings,
        environment: Mapping[str, str] | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._environment = environment or {}
        self._wake = wake
        self._reread: Reread | None = None
        self._overrides: Overrides | None = None
        self._session: Session | None = None
        self._runtimes: WeakSet[KubernetesRuntime] = WeakSet()

    @property
    def config(self) -> KubernetesConfig:
        """What ``functionRuntimeFactoryConfigs`` says."""
        return self.settings.config

    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        strict = read_strict_reference(section, context)

        def read(section: Section) -> KubernetesSettings:
            return read_kubernetes_settings(section, context.worker, context.environment, strict=strict)

        factory = cls(read(section), context.environment, context.wake)
        factory._reread = lambda changes: read(Section({**section.values, **changes}, path=section.path))
        return factory

    def open(self) -> None:
        """``LaunchError`` when no API server answers, or when a right is missing."""
        session = Session(self.connect(), self.settings, self.settings.cluster_name, self._wake)
        try:
            self._follow_overrides(session)
            session.open(self.usual_namespace())
        except BaseException:
            session.close()
            raise
        self._session = session

    def _follow_overrides(self, session: Session) -> None:
        config = self.config
        if config.change_config_map and config.change_config_map_namespace:
            place = (config.change_config_map_namespace, config.change_config_map)
            self._overrides = Overrides(session.api, *place, self._override, period_seconds=OVERRIDES_SECONDS)
            self._overrides.start()

    def _override(self, changes: Mapping[str, str]) -> Iterable[str]:
        """Take up other settings, for what is started or changed from now on; else what is wrong with them."""
        if self._reread is None:
            return ["this worker has no configuration to change"]
        try:
            self.settings = self._reread(changes)
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        return []

    def check(self, spec: InstanceSpec) -> None:
        check_language(self, spec)
        check_manifests(spec, self.settings)

    def create(self, spec: InstanceSpec) -> KubernetesRuntime:
        runtime = KubernetesRuntime(spec, lambda: self.settings, self._session)
        self._runtimes.add(runtime)
        return runtime

    def reattach(self, spec: InstanceSpec, handle: RuntimeHandle) -> KubernetesRuntime:
        key = spec.function.key
        if (handle.factory, handle.version) != (HANDLE_FACTORY, HANDLE_VERSION):
            raise LaunchError(
                f"{key}: must be a handle of {HANDLE_FACTORY}, version {HANDLE_VERSION} "
                f"(got {handle.factory}, version {handle.version})"
            )
        job = build_job(spec, self.settings)
        live = self._require_session(spec).view(job.namespace).stateful_sets.get(job.name)
        named = (handle.state.get("namespace"), handle.state.get("name"))
        if live is None or named != (job.namespace, job.name):
            raise LaunchError(f"{key}: there is no StatefulSet {named[1]} of this function in namespace {named[0]}")
        if reason := foreign_reason({"kind": "StatefulSet", **live}, job):
            raise LaunchError(f"{key}: {reason}")
        runtime = self.create(spec)
        runtime.take(job)
        return runtime

    def close(self) -> None:
        """What was launched goes on."""
        for runtime in list(self._runtimes):
            runtime.leave()
        if self._overrides is not None:
            self._overrides.close()
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def usual_namespace(self) -> str:
        """That of a function which asks for none."""
        try:
            return job_of(FunctionSpec(), self.settings)[0]
        except AdmissionError:
            return self.config.job_namespace

    def connect(self) -> KubernetesApi:
        """Requests to the API server that is configured, for who only looks. ``LaunchError`` when there is none."""
        return connect(self.config, self._environment)

    def job(self, spec: InstanceSpec) -> Job:
        """All that ``start`` would have on Kubernetes. No side effects."""
        return build_job(spec, self.settings)

    def manifests(self, spec: InstanceSpec) -> Manifests:
        """What is made for the function of ``spec``. No side effects.

        ``AdmissionError`` or ``LaunchError`` when it cannot be made.
        """
        return build_manifests(spec, self.settings)

    def plan_token(self, spec: InstanceSpec, token: str, new_id: str) -> KeptToken:
        """What :meth:`keep_token` would do. No side effects.

        ``new_id`` is for the name of a Secret where there is none yet.
        """
        provider = self.settings.auth_provider
        if provider is None:
            return KeptToken("")
        namespace, _ = job_of(spec.function, self.settings)
        return provider.keep(token, spec.auth_data, namespace, new_id)

    def keep_token(self, spec: InstanceSpec, token: str) -> str:
        kept = self.plan_token(spec, token, secrets.token_hex(_TOKEN_ID_BYTES))
        if kept.secret is not None:
            job = build_job(spec, self.settings)
            put_secret(self._require_session(spec), job, self._marked(spec, job, kept.secret))
        elif spec.auth_data:
            self.forget_token(spec)
        return kept.data

    def forget_token(self, spec: InstanceSpec) -> None:
        old = self.plan_token(spec, "any", "any").secret if spec.auth_data else None
        if old is not None:
            remove_secret(self._require_session(spec), build_job(spec, self.settings), old)

    def _marked(self, spec: InstanceSpec, job: Job, secret: Manifest) -> Manifest:
        """``secret`` with what proves whose it is."""
        labels = {"labels": dict(job.manifests.service["metadata"]["labels"])}
        return build_marks(spec, self.settings).on({**secret, "metadata": {**secret["metadata"], **labels}})

    def _require_session(self, spec: InstanceSpec) -> Session:
        if self._session is None:
            raise LaunchError(f"{spec.function.key}: the worker has not begun")
        return self._session

    def render(self, spec: InstanceSpec) -> str:
        shown = build_manifests(self._masked_instance(spec), self._masked_settings())
        manifests = build_marks(spec, self.settings).on_all(shown)
        problems = [problem for manifest in manifests.documents for problem in model_problems(manifest)]
        if problems and not self.settings.strict:
            raise AdmissionError("\n".join(f"{spec.function.key}: {problem}" for problem in problems))
        return f"# {spec.function.key}\n{dump_documents(manifests.documents)}"

    def _masked_instance(self, spec: InstanceSpec) -> InstanceSpec:
        masked = masked_spec(spec)
        if not self.settings.secret_references:
            return masked
        references = shown_references(spec.function.secrets_map)
        return replace(masked, function=replace(masked.function, secrets_map=references))

    def _masked_settings(self) -> KubernetesSettings:
        """A URL may hold a password; that it does decides what the manifests look like."""
        config = self.config
        masked = replace(
            config,
            python_dependency_repository=_CREDENTIALS.sub("//***@", config.python_dependency_repository),
            python_extra_dependency_repository=_CREDENTIALS.sub("//***@", config.python_extra_dependency_repository),
        )
        return replace(self.settings, config=masked)
