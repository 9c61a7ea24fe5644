"""The Kubernetes runtime: it reads its configuration, and says that it cannot launch anything yet."""

from __future__ import annotations

from typing import ClassVar, NoReturn, Self

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError, LaunchError
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.runtimes.base import FactoryContext, RuntimeFactory
from pulsar_runtimes.runtimes.kubernetes.config import KubernetesConfig, parse_kubernetes_config

_NOT_YET = (
    "this version of pfrun reads the Kubernetes runtime's configuration, but cannot launch on Kubernetes yet; "
    "use the process or the thread runtime"
)


class KubernetesRuntimeFactory(RuntimeFactory):
    """Each function one StatefulSet, all its replicas one runtime. In this version only :meth:`from_config` works.

    Every function is refused before it starts, so a worker with this configuration can be checked but runs nothing.
    """

    name: ClassVar[str] = "kubernetes"
    capabilities: ClassVar[Capabilities] = Capabilities(
        languages=frozenset(Language), isolates_memory=True, runs_all_replicas=True, restarts_itself=True
    )

    def __init__(self, config: KubernetesConfig) -> None:
        self.config = config

    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        return cls(parse_kubernetes_config(section))

    def check(self, spec: InstanceSpec) -> None:
        raise AdmissionError(f"{spec.function.key}: {_NOT_YET}")

    def create(self, spec: InstanceSpec) -> NoReturn:
        raise LaunchError(f"{spec.function.key}: {_NOT_YET}")

    def render(self, spec: InstanceSpec) -> NoReturn:
        raise AdmissionError(f"{spec.function.key}: {_NOT_YET}")
