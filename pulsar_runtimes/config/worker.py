"""``functions_worker.yml`` to a :class:`WorkerConfig`, by the loading rules of Apache Pulsar 4.0.8.

Where the reference passes over what is probably a mistake - an unknown key, a setting without effect - there is
a warning. Where it dies late - ``functionRuntimeFactoryConfigs`` absent beside a class name - pfrun takes the
mapping as empty.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.function import ClientAuth

from .document import read_document
from .environment import apply_environment
from .section import Section
from .setting import Reading, Setting, Use, declared_keys, key_names, list_settings, read_settings
from .worker_settings import KUBERNETES_FACTORY, PROCESS_FACTORY, THREAD_FACTORY, WorkerSettings

WORKER_CONF_VARIABLE = "PULSAR_WORKER_CONF"

TOKEN_AUTH_PROVIDER = "org.apache.pulsar.functions.auth.KubernetesSecretsTokenAuthProvider"
"""The function auth provider of the Kubernetes runtime when none is named."""

SERVICE_ACCOUNT_AUTH_PROVIDER = "org.apache.pulsar.functions.auth.KubernetesServiceAccountTokenAuthProvider"

CLEAR_TEXT_AUTH_PROVIDER = "org.apache.pulsar.functions.auth.ClearTextFunctionTokenAuthProvider"
"""Gives processes the token of the user who sent the function."""

TOKEN_PLUGIN = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
"""What clients of Apache Pulsar prove themselves with who have a token."""

_CONFIGURATORS = "org.apache.pulsar.functions.secretsproviderconfigurator"
DEFAULT_SECRETS_CONFIGURATOR = f"{_CONFIGURATORS}.DefaultSecretsProviderConfigurator"
KUBERNETES_SECRETS_CONFIGURATOR = f"{_CONFIGURATORS}.KubernetesSecretsProviderConfigurator"


@dataclass(frozen=True, kw_only=True)
class WorkerConfig(WorkerSettings):
    """What a worker was told, complete: every key of the file, and what follows from them.

    ``file`` is where it was read from. ``settings`` lists each key with its origin for people; ``warnings`` is
    what they should hear once. ``section`` is what all of it was read from, for whoever has to say where a key stands.
    ``look_up_hostname`` is called when the worker id needs it, at most once, and may be replaced.
    """

    file: str | None = None
    settings: tuple[Setting, ...] = field(default=(), repr=False)
    warnings: tuple[Problem, ...] = ()
    section: Section = field(default_factory=lambda: Section({}), repr=False, compare=False)
    look_up_hostname: Callable[[], str] = field(default=socket.getfqdn, repr=False, compare=False)

    @functools.cached_property
    def worker_id(self) -> str:
        """``workerId``, else ``<host>-<port>``; the port is that of TLS when there is no other, or left out.

        ``ConfigError`` when the host's name is needed and cannot be found out.
        """
        if self.worker_id_setting.strip():
            return self.worker_id_setting
        port = self.worker_port if self.worker_port is not None else self.worker_port_tls
        return self.hostname if port is None else f"{self.hostname}-{port}"

    @functools.cached_property
    def hostname(self) -> str:
        """``workerHostname``, else the full name of this host; ``ConfigError`` when that cannot be found out."""
        if self.worker_hostname.strip():
            return self.worker_hostname
        try:
            return self.look_up_hostname()
        except OSError as error:
            raise ConfigError(Problem("workerHostname", f"cannot be looked up ({error}); set it")) from error

    @property
    def runtime_factory(self) -> str:
        """The class name of the runtime factory, ``""`` when nothing names one.

        An old section, such as ``threadContainerFactory``, names its Java class when no class name is given.
        """
        return self.function_runtime_factory_class_name.strip() or self._old_runtime[0]

    @functools.cached_property
    def runtime_section(self) -> Section:
        """What the runtime factory reads its own settings from, empty when there is nothing.

        Always the same section, with problems and warnings of its own, so that after the factory has read it
        the keys it left unread can be reported. A key with null is as one that is not there (measured on the
        reference, which converts the map before a factory sees it).
        """
        named = self.function_runtime_factory_class_name.strip() or not self._old_runtime[0]
        section = self.function_runtime_factory_configs if named else self._old_runtime[1]
        if section is None:
            return Section({}, path="functionRuntimeFactoryConfigs", file=self.file)
        return replace(section.without_nulls(), problems=[], warnings=[], seen=set())

    @property
    def _old_runtime(self) -> tuple[str, Section | None]:
        for factory, section in (
            (THREAD_FACTORY, self.thread_container_factory),
            (PROCESS_FACTORY, self.process_container_factory),
            (KUBERNETES_FACTORY, self.kubernetes_container_factory),
        ):
            if section is not None:
                return factory, section
        return "", None

    @property
    def function_auth_provider(self) -> str:
        """The class name of the function auth provider to make, ``""`` when there is none to make."""
        if not self.authentication_enabled:
            return ""
        if self.function_auth_provider_class_name:
            return self.function_auth_provider_class_name
        kubernetes = (
            self.function_runtime_factory_class_name == KUBERNETES_FACTORY
            or self.kubernetes_container_factory is not None
        )
        return TOKEN_AUTH_PROVIDER if kubernetes else ""

    @property
    def expected_health_check_seconds(self) -> int:
        """How often an instance may expect to be asked for its health; 0 or less is never."""
        return int(self.instance_liveness_check_freq_ms / 1000)  # cuts towards zero, as Java does

    @property
    def broker_client_auth(self) -> ClientAuth | None:
        """What instances are told of credentials and TLS; nothing at all when authentication is off.

        The trusted certificates are those of ``tlsTrustCertsFilePath``, as in the reference, and not of
        ``brokerClientTrustCertsFilePath``.
        """
        return self._client_auth(self.tls_trust_certs_file_path) if self.authentication_enabled else None

    @property
    def own_client_auth(self) -> ClientAuth:
        """How the worker's own client speaks to brokers; without credentials when those are switched off."""
        auth = self._client_auth(self.trust_certs_file)
        enabled = self.broker_client_authentication_enabled
        if self.authentication_enabled if enabled is None else enabled:
            return auth
        return replace(auth, plugin="", params="")

    @property
    def trust_certs_file(self) -> str:
        """The certificates that the worker's own client trusts, and that function secrets carry."""
        return self.broker_client_trust_certs_file_path.strip() or self.tls_trust_certs_file_path

    def _client_auth(self, trust_certs_file: str) -> ClientAuth:
        return ClientAuth(
            plugin=self.broker_client_authentication_plugin or "",
            params=self.broker_client_authentication_parameters or "",
            use_tls=self.use_tls,
            tls_allow_insecure=self.tls_allow_insecure_connection,
            tls_hostname_verification=self.tls_enable_hostname_verification,
            tls_trust_certs_file=trust_certs_file,
        )


def load_worker_config(path: str | Path | None, environ: Mapping[str, str] | None = None) -> WorkerConfig:
    """The configuration in the file at ``path``, with the ``PF_`` variables of ``environ`` applied.

    Without a path the file is the one that ``PULSAR_WORKER_CONF`` names, and without that every setting has its
    default. ``environ`` is the process's environment when absent. ``ConfigError`` with every problem found.
    """
    environ = os.environ if environ is None else environ
    file = str(path if path is not None else environ.get(WORKER_CONF_VARIABLE, ""))
    return parse_worker_config(read_document(Path(file)) if file.strip() else Section({}), environ)


def parse_worker_config(section: Section, environ: Mapping[str, str] | None = None) -> WorkerConfig:
    """The configuration in ``section``, with the ``PF_`` variables of ``environ`` applied to it.

    ``ConfigError`` with every problem found. An unknown key is a warning at the top level and a problem below
    the old ``...ContainerFactory`` sections and the resource bounds, as far as the reference refuses it there.
    """
    section = apply_environment(section, environ or {})
    reading = read_settings(WorkerConfig, section)
    section.warn_unread(key_names(WorkerConfig))
    _check_worker_id(section, reading)
    _warn_of_old_spellings(section, reading)
    _report_without_effect(section, reading)
    section.done()
    return WorkerConfig(
        **reading.values,
        file=section.file,
        settings=list_settings(WorkerConfig, reading, section),
        warnings=tuple(section.warnings),
        section=section,
    )


def _check_worker_id(section: Section, reading: Reading) -> None:
    worker_id = reading.values["worker_id_setting"]
    if ":" in worker_id:  # it would not survive in the reference's membership records, id:host:port
        section.problem("workerId", f"must not hold ':' (got {section.got('workerId', worker_id)})")


_OLD_FACTORY_SECTIONS = {
    "threadContainerFactory": THREAD_FACTORY,
    "processContainerFactory": PROCESS_FACTORY,
    "kubernetesContainerFactory": KUBERNETES_FACTORY,
}


def _warn_of_old_spellings(section: Section, reading: Reading) -> None:
    named = bool(reading.values["function_runtime_factory_class_name"].strip())
    chosen = False
    for name, factory in _OLD_FACTORY_SECTIONS.items():
        if section.values.get(name) is None:
            continue
        if named or chosen:
            winner = "functionRuntimeFactoryClassName" if named else "an earlier section"
            section.warn(name, f"is deprecated and has no effect, as {winner} names the runtime")
        else:
            section.warn(
                name,
                f"is deprecated; write functionRuntimeFactoryClassName: {factory} "
                "and move its keys to functionRuntimeFactoryConfigs",
            )
        chosen = True
    if chosen and not named and section.values.get("functionRuntimeFactoryConfigs") is not None:
        section.warn("functionRuntimeFactoryConfigs", "has no effect without functionRuntimeFactoryClassName")
    for declared in declared_keys(WorkerConfig):
        old = declared.key.old
        if not old or section.values.get(old) is None or declared.key.use is not Use.HONOURED:
            continue
        if declared.key.name in reading.renamed:
            section.warn(old, f"is deprecated; write {declared.key.name}")
        else:
            section.warn(old, f"is deprecated and has no effect, as {declared.key.name} is set")


def _report_without_effect(section: Section, reading: Reading) -> None:
    """One warning that names each key which is set to more than its default and has no effect, by reason."""
    reasons: dict[str, list[str]] = {}
    for declared in declared_keys(WorkerConfig):
        declaration = declared.key
        if reading.values[declared.attribute] == declared.default:
            continue
        name = reading.renamed.get(declaration.name, declaration.name)
        if declaration.use is Use.REFUSED:
            section.problem(name, f"cannot be honoured: {declaration.note}")
        elif declaration.use is Use.WARNED:
            reasons.setdefault(declaration.note, []).append(name)
    if reasons:
        groups = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
        section.warnings.append(Problem("", f"these keys have no effect: {groups}", section.file))
