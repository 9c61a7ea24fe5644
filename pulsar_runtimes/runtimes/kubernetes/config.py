"""What ``functionRuntimeFactoryConfigs`` says to the Kubernetes runtime. Pure: no client, no look-ups.

Keys and defaults are those of ``KubernetesRuntimeFactoryConfig`` and ``KubernetesRuntimeFactory#initialize`` of
Apache Pulsar 4.0.8; ``instanceLauncher`` is pfrun's own. The reference takes values that make the API server refuse
every function; here they are problems with the reason, as soon as the file is read. With ``strictReference`` they are
warnings, and used as they stand.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pulsar_runtimes.config.section import Section, nearest
from pulsar_runtimes.model.function import Language

from .job_name import clean_name
from .labels import FINDING_LABELS, is_label_key

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MAX_PORT = 65535
MAX_JOB_NAME = 44
"""What of the 53 characters of a StatefulSet's name is left before ``-`` and the eight digits of a hash."""

_UNUSED_INTERVAL = 30
_FOR_JAVA = ("pulsarRootDir", "functionInstanceClassPath", "narExtractionDirectory")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SERVICE_NAME_START = re.compile(r"[a-z][-a-z0-9]*")


class InstanceLauncher(enum.Enum):
    """Who turns the container of a pod into an instance."""

    PULSAR = "pulsar"
    """A shell, ``pulsar-admin``, and the instance of Apache Pulsar, as the reference does."""
    PFRUN = "pfrun"
    """``pulsar_runtimes.pod`` of an image that has pfrun."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KubernetesConfig:
    """The settings, one for each key of the section, with defaults filled in. Text that nobody gave is ``""``.

    ``pulsar_service_url`` and ``pulsar_admin_url`` blank: as the worker's. ``function_docker_images`` is ``None``
    when all languages use ``pulsar_docker_image_name``; once it is a mapping, a language it lacks has no image.
    ``extra_function_dependencies_dir`` is the whole path inside the pod, blank for none, as only pfrun's own launcher
    takes it. ``custom_labels`` are as written; their values are made fit for Kubernetes where they are used. Only with
    ``strict_reference`` a port may be out of range, and ``nar_extraction_directory`` be blank.
    """

    k8s_uri: str = ""
    submitting_inside_pod: bool = False
    job_namespace: str = "default"
    job_name: str = ""
    pulsar_docker_image_name: str = "apachepulsar/pulsar"
    function_docker_images: Mapping[Language, str] | None = None
    image_pull_policy: str = "IfNotPresent"
    pulsar_root_dir: str = "/pulsar"
    config_admin_cli: str = "/bin/pulsar-admin"
    pulsar_service_url: str = ""
    pulsar_admin_url: str = ""
    install_user_code_dependencies: bool = False
    python_dependency_repository: str = ""
    python_extra_dependency_repository: str = ""
    extra_function_dependencies_dir: str = "/pulsar/instances/deps"
    custom_labels: Mapping[str, str] = field(default_factory=dict)
    expected_metrics_collection_interval: int = _UNUSED_INTERVAL
    change_config_map: str = ""
    change_config_map_namespace: str = ""
    percent_memory_padding: int = 0
    cpu_over_commit_ratio: float = 1.0
    memory_over_commit_ratio: float = 1.0
    grpc_port: int = 9093
    metrics_port: int = 9094
    nar_extraction_directory: str = "/tmp"
    function_instance_class_path: str = ""
    grace_period_seconds: int = 5
    kubernetes_function_auth_provider_config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    instance_launcher: InstanceLauncher = InstanceLauncher.PULSAR
    strict_reference: bool = False

    def inside_pod(self, path: str) -> str:
        """``path`` as it is in a pod: one that is not absolute lies below the root directory."""
        return path if path.startswith("/") else f"{self.pulsar_root_dir}/{path}"


Refuse = Callable[[str, str], None]
"""What to call with a key and what is wrong with its value: it stops the start, or it is only told."""


def parse_kubernetes_config(section: Section, *, strict: bool = False) -> KubernetesConfig:
    """Read the settings out of ``section``. ``ConfigError`` with every problem found.

    A key that is not known is left to the caller, as every runtime factory does.
    """
    config = read_kubernetes_config(section, strict=strict)
    section.done()
    return config


def read_kubernetes_config(section: Section, *, strict: bool = False) -> KubernetesConfig:
    """The same, for a caller who finds more problems before it calls ``section.done``.

    With ``strict`` what only the API server would refuse is a warning.
    """
    usual = KubernetesConfig()
    refuse = section.warn if strict else section.problem
    root = section.text("pulsarRootDir") or usual.pulsar_root_dir
    config = KubernetesConfig(
        k8s_uri=_api_server(section, refuse),
        submitting_inside_pod=_inside_pod(section),
        job_namespace=read_namespace(section, "jobNamespace", refuse) or usual.job_namespace,
        job_name=_job_name(section, refuse),
        pulsar_docker_image_name=_image(section, "pulsarDockerImageName", refuse) or usual.pulsar_docker_image_name,
        function_docker_images=_images(section, strict=strict),
        image_pull_policy=_pull_policy(section, usual.image_pull_policy, refuse),
        pulsar_root_dir=root,
        config_admin_cli=section.text("configAdminCLI") or usual.config_admin_cli,
        pulsar_service_url=section.text("pulsarServiceUrl"),
        pulsar_admin_url=section.text("pulsarAdminUrl"),
        install_user_code_dependencies=section.boolean("installUserCodeDependencies"),
        python_dependency_repository=section.text("pythonDependencyRepository"),
        python_extra_dependency_repository=section.text("pythonExtraDependencyRepository"),
        custom_labels=_labels(section, refuse),
        expected_metrics_collection_interval=_unused_interval(section),
        change_config_map=section.text("changeConfigMap"),
        change_config_map_namespace=_config_map_namespace(section, refuse),
        percent_memory_padding=section.integer(
            "percentMemoryPadding", usual.percent_memory_padding, minimum=None if strict else 0
        ),
        cpu_over_commit_ratio=_ratio(section, "cpuOverCommitRatio", refuse),
        memory_over_commit_ratio=_ratio(section, "memoryOverCommitRatio", refuse),
        grpc_port=_port(section, "grpcPort", usual.grpc_port, strict=strict),
        metrics_port=_port(section, "metricsPort", usual.metrics_port, strict=strict),
        nar_extraction_directory=section.text("narExtractionDirectory", usual.nar_extraction_directory)
        or ("" if strict else usual.nar_extraction_directory),
        function_instance_class_path=section.text("functionInstanceClassPath"),
        grace_period_seconds=section.integer(
            "gracePeriodSeconds", usual.grace_period_seconds, minimum=None if strict else 0
        ),
        kubernetes_function_auth_provider_config=section.mapping("kubernetesFunctionAuthProviderConfig"),
        instance_launcher=_launcher(section, strict=strict),
        strict_reference=strict,
    )
    dependencies = section.text("extraFunctionDependenciesDir")
    if config.instance_launcher is InstanceLauncher.PFRUN:
        _check_own_launcher(section, dependencies)
        config = replace(config, extra_function_dependencies_dir=dependencies)
    else:
        dependencies = config.inside_pod(dependencies or "instances/deps")
        config = replace(config, extra_function_dependencies_dir=dependencies)
    if config.grpc_port == config.metrics_port:
        refuse("metricsPort", f"must not be the port of grpcPort (got {config.metrics_port})")
    return config


def _launcher(section: Section, *, strict: bool) -> InstanceLauncher:
    key, known = "instanceLauncher", [each.value for each in InstanceLauncher]
    name = section.text(key) or InstanceLauncher.PULSAR.value
    if name not in known:
        got = section.got(key, name)
        section.problem(key, f"must be one of {', '.join(known)} (got {got}){nearest(name, known)}")
        return InstanceLauncher.PULSAR
    if strict and name != InstanceLauncher.PULSAR.value:
        section.problem(key, "must be pulsar with strictReference (got pfrun)")
    return InstanceLauncher(name)


def _check_own_launcher(section: Section, dependencies: str) -> None:
    """What only Apache Pulsar's image has is of no use to pfrun's own."""
    if not section.text("pulsarDockerImageName") and not section.values.get("functionDockerImages"):
        section.problem(
            "instanceLauncher",
            "needs an image that has pfrun, as the Containerfile makes it; name it in pulsarDockerImageName",
        )
    images = section.values.get("functionDockerImages")
    runs_java = isinstance(images, dict) and Language.JAVA.name in images
    for key in ("configAdminCLI", *(() if runs_java else _FOR_JAVA)):
        if section.values.get(key):
            section.warn(key, "has no effect with instanceLauncher pfrun: it is about Apache Pulsar's image")
    if dependencies and not dependencies.startswith("/"):
        section.problem(
            "extraFunctionDependenciesDir",
            "must begin with / with instanceLauncher pfrun "
            f"(got {section.got('extraFunctionDependenciesDir', dependencies)})",
        )


def _api_server(section: Section, refuse: Refuse) -> str:
    uri = section.text("k8Uri")
    if uri and not uri.startswith(("http://", "https://")):
        refuse("k8Uri", f"must be an http:// or https:// address (got {section.got('k8Uri', uri)})")
    return uri


def _inside_pod(section: Section) -> bool:
    inside = section.boolean("submittingInsidePod")
    if inside and section.values.get("k8Uri"):
        section.warn("submittingInsidePod", "has no effect, as k8Uri names the API server")
    return inside


def read_namespace(section: Section, key: str, refuse: Refuse) -> str:
    """The name of a namespace, ``""`` when there is none."""
    name = section.text(key)
    if name and not _NAMESPACE.fullmatch(name):
        refuse(
            key,
            "must be the name of a Kubernetes namespace: up to 63 of a-z, 0-9 and -, with no - at the ends "
            f"(got {section.got(key, name)})",
        )
    return name


def _job_name(section: Section, refuse: Refuse) -> str:
    """The prefix of all job names. It is cleaned as the reference does, so only what that leaves wrong is refused."""
    name = section.text("jobName")
    cleaned = clean_name(name)
    got = section.got("jobName", name)
    if name and not _SERVICE_NAME_START.fullmatch(cleaned):
        refuse(
            "jobName", f"must begin with a letter and hold no dot, or the API server refuses the Service (got {got})"
        )
    elif len(cleaned) > MAX_JOB_NAME:
        refuse("jobName", f"must have at most {MAX_JOB_NAME} characters, as a hash is added (has {len(cleaned)})")
    return name


def _image(section: Section, key: str, refuse: Refuse) -> str:
    image = section.text(key)
    if any(character.isspace() for character in image):
        refuse(key, f"must be an image name without blanks (got {section.got(key, image)})")
    return image


def _images(section: Section, *, strict: bool) -> Mapping[Language, str] | None:
    inner = section.section("functionDockerImages")
    if inner is None:
        return None
    refuse = inner.warn if strict else inner.problem
    images: dict[Language, str] = {}
    for name, language in Language.__members__.items():
        if name not in inner:
            continue
        images[language] = _image(inner, name, refuse)
        if inner.values[name] == "":
            refuse(name, "must be an image name; leave the line out when the language has none")
    if strict:
        inner.warn_unread(list(Language.__members__))
    else:
        inner.refuse_unread(list(Language.__members__))
    return images


def _pull_policy(section: Section, default: str, refuse: Refuse) -> str:
    policy = section.text("imagePullPolicy") or default
    if policy not in PULL_POLICIES:
        got = section.got("imagePullPolicy", policy)
        near = nearest(policy, PULL_POLICIES)
        refuse("imagePullPolicy", f"must be one of {', '.join(PULL_POLICIES)} (got {got}){near}")
    return policy


def _labels(section: Section, refuse: Refuse) -> Mapping[str, str]:
    inner = section.section("customLabels")
    if inner is None:
        return {}
    for name in inner:
        if not is_label_key(name):
            refuse(f"customLabels.{name}", LABEL_KEY)
        if name in FINDING_LABELS:
            refuse(f"customLabels.{name}", "must not be a label that tells the pods of functions apart")
    return section.text_mapping("customLabels")


LABEL_KEY = (
    "is no label key; write up to 63 letters, digits and -_. with a letter or digit at both ends, "
    "after a DNS name and / if need be"
)


def _unused_interval(section: Section) -> int:
    key = "expectedMetricsCollectionInterval"
    interval = section.integer(key, _UNUSED_INTERVAL)
    if interval != _UNUSED_INTERVAL:
        section.warn(key, "has no effect: Apache Pulsar itself does not use it")
    return interval


def _config_map_namespace(section: Section, refuse: Refuse) -> str:
    namespace = read_namespace(section, "changeConfigMapNamespace", refuse)
    if section.values.get("changeConfigMap") and not namespace:
        section.warn("changeConfigMap", "has no effect without changeConfigMapNamespace")
    return namespace


def _ratio(section: Section, key: str, refuse: Refuse) -> float:
    """An over-commit ratio: requests are limits divided by it."""
    before = len(section.problems)
    ratio = section.number(key, 1.0)
    if len(section.problems) == before and ratio < 1:
        got = section.got(key, section.values.get(key))
        refuse(
            key,
            "must be at least 1, as a smaller one makes the request larger than the limit, "
            f"which the API server refuses (got {got})",
        )
    return ratio


def _port(section: Section, key: str, default: int, *, strict: bool) -> int:
    if strict:
        return section.integer(key, default)
    return section.integer(key, default, minimum=1, maximum=MAX_PORT)
