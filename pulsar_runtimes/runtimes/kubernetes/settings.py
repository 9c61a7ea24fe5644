"""Everything that a worker's configuration says about functions on Kubernetes, wherever in the file it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pulsar_runtimes.config.section import Section, nearest
from pulsar_runtimes.config.worker import (
    DEFAULT_SECRETS_CONFIGURATOR,
    KUBERNETES_SECRETS_CONFIGURATOR,
    SERVICE_ACCOUNT_AUTH_PROVIDER,
    TOKEN_AUTH_PROVIDER,
    WorkerConfig,
)
from pulsar_runtimes.model.errors import RegistryError
from pulsar_runtimes.pod.details import WORK_DIRECTORY

from .config import InstanceLauncher, KubernetesConfig, read_kubernetes_config
from .customizer import MANIFEST_CUSTOMIZERS, ManifestCustomizer
from .function_auth import FunctionAuthProvider, SecretTokens, read_service_account_tokens
from .pod_command import PodPlaces

CLASS_PATH_VARIABLE = "PULSAR_FUNCTION_INSTANCE_CLASSPATH"
"""Stands for the class path of the worker's own JVM, which the reference hands on to pods."""

DEFAULT_CLUSTER = "standalone"

_AUTH_CONFIG = "kubernetesFunctionAuthProviderConfig"
_CONFIGURATORS = (DEFAULT_SECRETS_CONFIGURATOR, KUBERNETES_SECRETS_CONFIGURATOR)
_PROVIDERS = (TOKEN_AUTH_PROVIDER, SERVICE_ACCOUNT_AUTH_PROVIDER)


@dataclass(frozen=True, kw_only=True, slots=True)
class KubernetesSettings:
    """What manifests are made from besides the function.

    ``secret_references``: a function's secrets are references to Secrets. ``auth_provider`` is ``None`` when
    authentication is off. ``cluster_name`` tells the functions of one installation of workers from those of others.
    """

    config: KubernetesConfig = field(default_factory=KubernetesConfig)
    places: PodPlaces = field(default_factory=lambda: PodPlaces("/pulsar", "/pulsar/lib/*"))
    secret_references: bool = False
    auth_provider: FunctionAuthProvider | None = None
    customizer: ManifestCustomizer | None = None
    cluster_name: str = DEFAULT_CLUSTER

    @property
    def strict(self) -> bool:
        """Whether to do as the reference does."""
        return self.config.strict_reference


def read_kubernetes_settings(
    section: Section, worker: WorkerConfig, environment: Mapping[str, str], *, strict: bool = False
) -> KubernetesSettings:
    """The settings in ``section``, which is the runtime's own, and in ``worker``.

    ``ConfigError`` with every problem found. Imports a customizer that is named, and reads the certificates.
    """
    top = replace(worker.section, problems=section.problems, warnings=section.warnings, seen=set())
    config = read_kubernetes_config(section, strict=strict)
    if not strict:
        _need_addresses(top, section, config, worker)
    download = worker.download_directory
    if download and config.instance_launcher is InstanceLauncher.PFRUN:
        top.warn(
            "downloadDirectory", f"has no effect with instanceLauncher pfrun: packages are put in {WORK_DIRECTORY}"
        )
    class_path = environment.get(CLASS_PATH_VARIABLE, "") if strict else ""
    settings = KubernetesSettings(
        config=config,
        places=PodPlaces(
            download_directory=config.inside_pod(download) if download else config.pulsar_root_dir,
            class_path=config.function_instance_class_path or class_path or f"{config.pulsar_root_dir}/lib/*",
        ),
        secret_references=_secret_references(top, worker),
        auth_provider=_auth_provider(top, section, worker, strict=strict),
        customizer=_customizer(top, worker, strict=strict),
        cluster_name=worker.pulsar_functions_cluster or DEFAULT_CLUSTER,
    )
    section.done()
    return settings


def _need_addresses(top: Section, section: Section, config: KubernetesConfig, worker: WorkerConfig) -> None:
    if not worker.pulsar_service_url:  # without it the worker brings a broker, also where the section names another
        top.problem("pulsarServiceUrl", "must be set: pods cannot reach a broker of pfrun's own")
    if not config.pulsar_admin_url and not worker.pulsar_web_service_url:
        section.problem(
            "pulsarAdminUrl", "must be set, or the worker's pulsarWebServiceUrl: pods download packages from there"
        )


def _secret_references(top: Section, worker: WorkerConfig) -> bool:
    name = worker.secrets_provider_configurator_class_name
    if name and name not in _CONFIGURATORS:
        _refuse_class(top, "secretsProviderConfiguratorClassName", name, _CONFIGURATORS)
    if worker.secrets_provider_configurator_config:
        top.warn("secretsProviderConfiguratorConfig", "has no effect: no configurator reads it")
    return name == KUBERNETES_SECRETS_CONFIGURATOR


def _refuse_class(top: Section, key: str, name: str, known: tuple[str, ...]) -> None:
    top.problem(key, f"must be one of {', '.join(known)} (got {name!r}){nearest(name, known)}")


def _auth_provider(
    top: Section, section: Section, worker: WorkerConfig, *, strict: bool
) -> FunctionAuthProvider | None:
    key = "functionAuthProviderClassName"
    named = worker.function_auth_provider_class_name
    unused = ""
    provider: FunctionAuthProvider | None = None
    if not worker.authentication_enabled:
        unused = "authenticationEnabled is not on"
        if named:
            top.warn(key, f"has no effect: {unused}")
    elif named == SERVICE_ACCOUNT_AUTH_PROVIDER:
        provider = read_service_account_tokens(section.section(_AUTH_CONFIG), strict=strict)
    elif not named or named == TOKEN_AUTH_PROVIDER:
        unused = f"{TOKEN_AUTH_PROVIDER} does not read it"
        provider = SecretTokens(_certificates(top, worker))
    else:
        _refuse_class(top, key, named, _PROVIDERS)
    if unused and section.values.get(_AUTH_CONFIG):
        section.warn(_AUTH_CONFIG, f"has no effect: {unused}")
    return provider


def _certificates(top: Section, worker: WorkerConfig) -> bytes:
    """What goes into the Secrets of functions. A file that is not there is none, as in the reference."""
    file = worker.trust_certs_file
    if not file:
        return b""
    key = "tlsTrustCertsFilePath" if file == worker.tls_trust_certs_file_path else "brokerClientTrustCertsFilePath"
    try:
        return Path(file).read_bytes()
    except FileNotFoundError:
        top.warn(key, f"there is no such file on this machine, so functions get no certificates (got {file!r})")
    except OSError as error:
        top.problem(key, f"cannot be read: {error.strerror} (got {file!r})")
    return b""


def _customizer(top: Section, worker: WorkerConfig, *, strict: bool) -> ManifestCustomizer | None:
    key, name = "runtimeCustomizerClassName", worker.runtime_customizer_class_name
    if not name:
        if worker.runtime_customizer_config:
            top.warn("runtimeCustomizerConfig", f"has no effect without {key}")
        return None
    try:
        found = MANIFEST_CUSTOMIZERS.find(name)
    except RegistryError as error:
        top.problem(key, str(error).removeprefix(f"{key}: "))
        return None
    own = top.inner("runtimeCustomizerConfig", worker.runtime_customizer_config).without_nulls()
    customizer = found.from_config(own, strict=strict)
    own.warn_unread()
    return customizer
