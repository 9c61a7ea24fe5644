"""The Kubernetes runtime: it admits functions and makes their manifests, and cannot launch anything yet."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar, NoReturn, Self

from pulsar_runtimes.config.document import dump_documents
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.runtimes.base import FactoryContext, RuntimeFactory, check_language, read_strict_reference
from pulsar_runtimes.runtimes.command import masked_spec
from pulsar_runtimes.runtimes.kubernetes.config import KubernetesConfig
from pulsar_runtimes.runtimes.kubernetes.function_auth import KeptToken
from pulsar_runtimes.runtimes.kubernetes.function_secrets import shown_references
from pulsar_runtimes.runtimes.kubernetes.manifests import Manifests, build_manifests, check_manifests, job_of
from pulsar_runtimes.runtimes.kubernetes.settings import KubernetesSettings, read_kubernetes_settings

_CREDENTIALS = re.compile(r"//[^/]*@")
_NOT_YET = (
    "this version of pfrun checks functions for Kubernetes and renders their manifests, but cannot launch there yet; "
    "use the process or the thread runtime"
)


class KubernetesRuntimeFactory(RuntimeFactory):
    """Each function one StatefulSet and one Service, all its replicas one runtime.

    In this version a worker with it can be checked, and manifests are rendered; it does not start. Addition to the
    reference's keys: ``strictReference`` makes manifests as the reference does.
    """

    name: ClassVar[str] = "kubernetes"
    capabilities: ClassVar[Capabilities] = Capabilities(
        languages=frozenset(Language),
        isolates_memory=True,
        runs_all_replicas=True,
        restarts_itself=True,
        secret_references=True,
    )

    def __init__(self, settings: KubernetesSettings) -> None:
        self.settings = settings

    @property
    def config(self) -> KubernetesConfig:
        """What ``functionRuntimeFactoryConfigs`` says."""
        return self.settings.config

    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        strict = read_strict_reference(section, context)
        return cls(read_kubernetes_settings(section, context.worker, context.environment, strict=strict))

    def open(self) -> NoReturn:
        raise LaunchError(_NOT_YET)

    def check(self, spec: InstanceSpec) -> None:
        check_language(self, spec)
        check_manifests(spec, self.settings)

    def create(self, spec: InstanceSpec) -> NoReturn:
        raise LaunchError(f"{spec.function.key}: {_NOT_YET}")

    def manifests(self, spec: InstanceSpec) -> Manifests:
        """What is made for the function of ``spec``. No side effects.

        ``AdmissionError`` or ``LaunchError`` when it cannot be made.
        """
        return build_manifests(spec, self.settings)

    def keep_token(self, spec: InstanceSpec, token: str, new_id: str) -> KeptToken:
        """What to keep of the ``token`` that a user sent with a function, blank for none. No side effects.

        The answer's ``data`` belongs in ``spec.auth_data``, which has what was kept before. ``new_id`` is for the name
        of a Secret where there is none yet.
        """
        provider = self.settings.auth_provider
        if provider is None:
            return KeptToken("")
        namespace, _ = job_of(spec.function, self.settings)
        return provider.keep(token, spec.auth_data, namespace, new_id)

    def render(self, spec: InstanceSpec) -> str:
        manifests = build_manifests(self._masked_instance(spec), self._masked_settings())
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
