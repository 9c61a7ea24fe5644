"""All that is made on Kubernetes for one function, as data. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from pulsar_runtimes.model.errors import AdmissionError, LaunchError
from pulsar_runtimes.model.function import FunctionSpec, InstanceSpec, Language
from pulsar_runtimes.model.names import ALL_REPLICAS

from .config import InstanceLauncher
from .function_auth import mount
from .function_secrets import (
    ENVIRONMENT_PROVIDERS,
    build_options_secret,
    build_secret_variables,
    secret_problems,
)
from .job_name import build_job_name, job_name_problems
from .labels import build_labels
from .pod_command import PodCommand, build_pod_command
from .pod_details import LARGEST_DETAILS_BYTES, PodPlan, build_config_map, build_pod_plan
from .restricted_pod import restrict
from .service import build_service
from .settings import KubernetesSettings
from .stateful_set import build_stateful_set

_NEVER = -1
"""Nobody promises to ask an instance in a pod for its health."""

_QUANTITY = re.compile(r"(?P<number>[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(?P<suffix>[numkMGTPE]?i?)")
_SUFFIXES = {
    **{suffix: Decimal(1000) ** power for suffix, power in zip("num", (-3, -2, -1), strict=True)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", *"kMGTPE"))},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}


@dataclass(frozen=True, slots=True)
class Manifests:
    """What there is for one function. ``namespace`` is that of all, ``name`` that of Service and StatefulSet.

    ``config_map`` has what instances are told by pfrun's own launcher, ``None`` with that of the reference.
    ``secret`` holds the options of instances that must not be on a command line, ``None`` when there are none. That of
    a user's token is no part of this: it is made when the token comes.
    """

    namespace: str
    name: str
    service: dict[str, Any]
    stateful_set: dict[str, Any]
    secret: dict[str, Any] | None = field(default=None, repr=False)
    config_map: dict[str, Any] | None = None

    @property
    def documents(self) -> tuple[dict[str, Any], ...]:
        """In the order in which they are made: pods want the others when they start."""
        optional = (each for each in (self.config_map, self.secret) if each is not None)
        return (self.service, *optional, self.stateful_set)


def job_of(function: FunctionSpec, settings: KubernetesSettings) -> tuple[str, str]:
    """The namespace and the name of everything that is made for ``function``.

    ``AdmissionError`` when its options cannot be read.
    """
    config, customizer = settings.config, settings.customizer
    override, namespace = config.job_name, config.job_namespace
    if customizer is not None:
        override, namespace = customizer.job_name(function, override), customizer.namespace(function, namespace)
    return namespace, build_job_name(function.key, override)


def instance_in_pod(spec: InstanceSpec, settings: KubernetesSettings) -> InstanceSpec:
    """``spec`` as all instances of the function are told it in their pods."""
    config, provider = settings.config, settings.auth_provider
    auth = spec.auth
    if auth is not None and provider is not None:
        auth = provider.instance_auth(auth, spec.auth_data)
    secrets_provider = spec.secrets_provider
    if settings.secret_references:
        secrets_provider = ENVIRONMENT_PROVIDERS[spec.function.language]
    return replace(
        spec,
        instance_id=ALL_REPLICAS,
        service_url=config.pulsar_service_url or spec.service_url,
        web_service_url=config.pulsar_admin_url or spec.web_service_url,
        port=config.grpc_port,
        metrics_port=config.metrics_port,
        expected_health_check_seconds=_NEVER,
        client_memory_bytes=None,
        first_consumer_number=0,
        auth=auth,
        secrets_provider=secrets_provider,
        nar_extraction_directory=config.nar_extraction_directory,
    )


def build_manifests(spec: InstanceSpec, settings: KubernetesSettings) -> Manifests:
    """The Service and the StatefulSet of the function of ``spec``.

    ``AdmissionError`` or ``LaunchError`` when they cannot be made.
    """
    function, config, customizer = spec.function, settings.config, settings.customizer
    namespace, name = job_of(function, settings)
    spec = instance_in_pod(spec, settings)
    labels = build_labels(function, config.custom_labels, strict=settings.strict)
    service = build_service(name, namespace, labels, spec.port)
    hides = _holds_secrets(spec, settings)
    config_map: dict[str, Any] | None = None
    command: PodCommand | PodPlan
    if config.instance_launcher is InstanceLauncher.PFRUN:
        command = build_pod_plan(spec, config, settings.places, hides=hides)
        config_map = build_config_map(name, namespace, labels, command.details)
    else:
        command = build_pod_command(spec, config, settings.places, hides=hides)
    secret = build_options_secret(name, namespace, labels, command.options) if command.options else None
    stateful_set = build_stateful_set(
        name,
        namespace,
        labels,
        spec,
        config,
        command=command.command,
        options_secret="" if secret is None else secret["metadata"]["name"],
        variables=build_secret_variables(function) if settings.secret_references else [],
    )
    if config_map is not None:
        template = stateful_set["spec"]["template"]
        template["spec"] = restrict(template["spec"], config_map["metadata"]["name"], config)
    if customizer is not None:
        service = _named(customizer.service(function, service), name, namespace)
        stateful_set = _named(customizer.stateful_set(function, stateful_set), name, namespace)
    if spec.auth is not None and settings.auth_provider is not None:
        template = stateful_set["spec"]["template"]
        template["spec"] = mount(template["spec"], settings.auth_provider.volumes(spec.auth_data))
    return Manifests(namespace, name, service, stateful_set, secret, config_map)


def _holds_secrets(spec: InstanceSpec, settings: KubernetesSettings) -> bool:
    """Whether the command of ``spec`` would show a secret. References, and the names of files, are none."""
    if settings.strict:
        return False
    config = settings.config
    repositories = (config.python_dependency_repository, config.python_extra_dependency_repository)
    in_clear_text = bool(spec.function.secrets_map) and not settings.secret_references
    return in_clear_text or (
        spec.function.language is Language.PYTHON and any("@" in repository for repository in repositories)
    )


def _named(manifest: dict[str, Any], name: str, namespace: str) -> dict[str, Any]:
    """With the name and the namespace that it is looked for by, whatever a customizer has made of them."""
    return {**manifest, "metadata": {**manifest["metadata"], "name": name, "namespace": namespace}}


def check_manifests(spec: InstanceSpec, settings: KubernetesSettings) -> None:
    """``AdmissionError`` with everything about the function of ``spec`` that must not be, or could not run.

    The checks of ``KubernetesRuntimeFactory#doAdmissionChecks`` of Apache Pulsar 4.0.8, but for those of resources.
    Without ``strictReference`` also what the API server would refuse later.
    """
    function, customizer = spec.function, settings.customizer
    if customizer is not None:
        customizer.check(function)
    problems = list(job_name_problems(job_of(function, settings)[1], strict=settings.strict))
    if settings.secret_references:
        problems += secret_problems(function, strict=settings.strict)
    if not settings.strict:
        if function.custom_runtime_options.strip() and customizer is None:
            problems.append("customRuntimeOptions have no effect, as the worker has no runtimeCustomizerClassName")
        problems += _refused_later(spec, settings)
    if problems:
        raise AdmissionError("\n".join(f"{function.key}: {problem}" for problem in problems))


def _refused_later(spec: InstanceSpec, settings: KubernetesSettings) -> Iterator[str]:
    """What the API server would refuse, or what would never run."""
    try:
        manifests = build_manifests(spec, settings)
    except AdmissionError as error:
        yield str(error).removeprefix(f"{spec.function.key}: ")
        return
    except LaunchError:  # for a secret that is no reference, which was told before
        return
    if manifests.config_map is not None:
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in manifests.config_map["data"].values())
        if size > LARGEST_DETAILS_BYTES:
            yield f"its details are more than a ConfigMap may hold ({size} of {LARGEST_DETAILS_BYTES} bytes)"
    body = manifests.stateful_set["spec"]
    pod = body["template"]["spec"]
    labels = body["template"]["metadata"]["labels"]
    lost = [key for key, value in body["selector"]["matchLabels"].items() if labels.get(key) != value]
    if lost:
        yield f"the customizer must leave the labels that find the pods as they are: {', '.join(lost)}"
    for container in pod["containers"]:
        if not container.get("image"):
            yield "there is no image for its language; add it to functionDockerImages"
        paths = [mount["mountPath"] for mount in container.get("volumeMounts") or ()]
        if len(paths) > len(set(paths)):
            yield f"container {container['name']} has two volumes at one path"
        yield from _unfulfillable(container.get("resources") or {})


def _unfulfillable(resources: Mapping[str, Any]) -> Iterator[str]:
    limits = resources.get("limits") or {}
    for name, asked in (resources.get("requests") or {}).items():
        most = limits.get(name)
        if most is not None and amount_of(asked) > amount_of(most):
            yield f"{name}: the request of {asked} is more than the limit of {most}, which Kubernetes refuses"


def amount_of(quantity: object) -> Decimal:
    """What a quantity such as ``500m`` or ``1Gi`` amounts to; 0 for what is none."""
    found = _QUANTITY.fullmatch(str(quantity))
    return Decimal(found["number"]) * _SUFFIXES[found["suffix"]] if found else Decimal(0)
