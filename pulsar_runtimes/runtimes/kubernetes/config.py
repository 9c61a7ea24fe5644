"""What ``functionRuntimeFactoryConfigs`` says to the Kubernetes runtime. Pure: no client, no look-ups.

Keys and defaults are those of ``KubernetesRuntimeFactoryConfig`` and ``KubernetesRuntimeFactory#initialize`` of
Apache Pulsar 4.0.8. The reference takes values that make the API server refuse every function; here they are problems
with the reason, as soon as the file is read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulsar_runtimes.config.section import MISSING, Section, nearest
from pulsar_runtimes.model.function import Language

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MAX_PORT = 65535
MAX_JOB_NAME = 44
"""What of the 53 characters of a StatefulSet's name is left before ``-`` and the eight digits of a hash."""

_UNUSED_INTERVAL = 30
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SERVICE_NAME_START = re.compile(r"[a-z][-a-z0-9]*")
_NOT_IN_A_JOB_NAME = re.compile(r"[^a-z0-9-.]")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MAX_LABEL_PREFIX = 253


@dataclass(frozen=True, kw_only=True, slots=True)
class KubernetesConfig:
    """The settings, one for each key of the section, with defaults filled in. Text that nobody gave is ``""``.

    ``pulsar_service_url`` and ``pulsar_admin_url`` blank: as the worker's. ``function_docker_images`` is ``None``
    when all languages use ``pulsar_docker_image_name``; once it is a mapping, a language it lacks has no image.
    ``extra_function_dependencies_dir`` is the whole path inside the pod. ``custom_labels`` are as written; their
    values are made fit for Kubernetes where they are used.
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


def parse_kubernetes_config(section: Section) -> KubernetesConfig:
    """Read the settings out of ``section``. ``ConfigError`` with every problem found.

    A key that is not known is left to the caller, as every runtime factory does.
    """
    usual = KubernetesConfig()
    root = section.text("pulsarRootDir") or usual.pulsar_root_dir
    config = KubernetesConfig(
        k8s_uri=_api_server(section),
        submitting_inside_pod=_inside_pod(section),
        job_namespace=_namespace(section, "jobNamespace") or usual.job_namespace,
        job_name=_job_name(section),
        pulsar_docker_image_name=_image(section, "pulsarDockerImageName") or usual.pulsar_docker_image_name,
        function_docker_images=_images(section),
        image_pull_policy=_pull_policy(section, usual.image_pull_policy),
        pulsar_root_dir=root,
        config_admin_cli=section.text("configAdminCLI") or usual.config_admin_cli,
        pulsar_service_url=section.text("pulsarServiceUrl"),
        pulsar_admin_url=section.text("pulsarAdminUrl"),
        install_user_code_dependencies=section.boolean("installUserCodeDependencies"),
        python_dependency_repository=section.text("pythonDependencyRepository"),
        python_extra_dependency_repository=section.text("pythonExtraDependencyRepository"),
        extra_function_dependencies_dir=posixpath.join(
            root, section.text("extraFunctionDependenciesDir") or "instances/deps"
        ),
        custom_labels=_labels(section),
        expected_metrics_collection_interval=_unused_interval(section),
        change_config_map=section.text("changeConfigMap"),
        change_config_map_namespace=_config_map_namespace(section),
        percent_memory_padding=section.integer("percentMemoryPadding", usual.percent_memory_padding, minimum=0),
        cpu_over_commit_ratio=_ratio(section, "cpuOverCommitRatio"),
        memory_over_commit_ratio=_ratio(section, "memoryOverCommitRatio"),
        grpc_port=_grpc_port(section, usual.grpc_port),
        metrics_port=_metrics_port(section, usual.metrics_port),
        nar_extraction_directory=section.text("narExtractionDirectory") or usual.nar_extraction_directory,
        function_instance_class_path=section.text("functionInstanceClassPath"),
        grace_period_seconds=section.integer("gracePeriodSeconds", usual.grace_period_seconds, minimum=0),
        kubernetes_function_auth_provider_config=section.mapping("kubernetesFunctionAuthProviderConfig"),
    )
    if config.grpc_port == config.metrics_port:
        section.problem("metricsPort", f"must not be the port of grpcPort (got {config.metrics_port})")
    section.done()
    return config


def _api_server(section: Section) -> str:
    uri = section.text("k8Uri")
    if uri and not uri.startswith(("http://", "https://")):
        section.problem("k8Uri", f"must be an http:// or https:// address (got {section.got('k8Uri', uri)})")
    return uri


def _inside_pod(section: Section) -> bool:
    inside = section.boolean("submittingInsidePod")
    if inside and section.values.get("k8Uri"):
        section.warn("submittingInsidePod", "has no effect, as k8Uri names the API server")
    return inside


def _namespace(section: Section, key: str) -> str:
    name = section.text(key)
    if name and not _NAMESPACE.fullmatch(name):
        section.problem(
            key,
            "must be the name of a Kubernetes namespace: up to 63 of a-z, 0-9 and -, with no - at the ends "
            f"(got {section.got(key, name)})",
        )
    return name


def _job_name(section: Section) -> str:
    """The prefix of all job names. It is cleaned as the reference does, so only what that leaves wrong is refused."""
    name = section.text("jobName")
    cleaned = _NOT_IN_A_JOB_NAME.sub("-", name.lower())
    got = section.got("jobName", name)
    if name and not _SERVICE_NAME_START.fullmatch(cleaned):
        section.problem(
            "jobName", f"must begin with a letter and hold no dot, or the API server refuses the Service (got {got})"
        )
    elif len(cleaned) > MAX_JOB_NAME:
        section.problem(
            "jobName", f"must have at most {MAX_JOB_NAME} characters, as a hash is added (has {len(cleaned)})"
        )
    return name


def _image(section: Section, key: str) -> str:
    image = section.text(key)
    if any(character.isspace() for character in image):
        section.problem(key, f"must be an image name without blanks (got {section.got(key, image)})")
    return image


def _images(section: Section) -> Mapping[Language, str] | None:
    inner = section.section("functionDockerImages")
    if inner is None:
        return None
    images: dict[Language, str] = {}
    for name, language in Language.__members__.items():
        if name not in inner:
            continue
        images[language] = _image(inner, name)
        if inner.values[name] in (None, ""):
            inner.problem(name, "must be an image name; leave the line out when the language has none")
    inner.refuse_unread(list(Language.__members__))
    return images


def _pull_policy(section: Section, default: str) -> str:
    policy = section.text("imagePullPolicy") or default
    if policy not in PULL_POLICIES:
        got = section.got("imagePullPolicy", policy)
        near = nearest(policy, PULL_POLICIES)
        section.problem("imagePullPolicy", f"must be one of {', '.join(PULL_POLICIES)} (got {got}){near}")
    return policy


def _labels(section: Section) -> Mapping[str, str]:
    inner = section.section("customLabels")
    if inner is None:
        return {}
    for name in inner:
        if not _is_label_key(name):
            inner.problem(
                name,
                "is no label key; write up to 63 letters, digits and -_. with a letter or digit at both ends, "
                "after a DNS name and / if need be",
            )
    return section.text_mapping("customLabels")


def _is_label_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _MAX_LABEL_PREFIX or not _LABEL_PREFIX.fullmatch(prefix)):
        return False
    return _LABEL_NAME.fullmatch(name) is not None


def _unused_interval(section: Section) -> int:
    key = "expectedMetricsCollectionInterval"
    interval = section.integer(key, _UNUSED_INTERVAL, null=_UNUSED_INTERVAL)
    if interval != _UNUSED_INTERVAL:
        section.warn(key, "has no effect: Apache Pulsar itself does not use it")
    return interval


def _config_map_namespace(section: Section) -> str:
    namespace = _namespace(section, "changeConfigMapNamespace")
    if section.values.get("changeConfigMap") and not namespace:
        section.warn("changeConfigMap", "has no effect without changeConfigMapNamespace")
    return namespace


def _ratio(section: Section, key: str) -> float:
    """An over-commit ratio: requests are limits divided by it."""
    before = len(section.problems)
    ratio = section.number(key, 1.0)
    if len(section.problems) == before and ratio < 1:
        got = section.got(key, section.values.get(key))
        section.problem(
            key,
            "must be at least 1, as a smaller one makes the request larger than the limit, "
            f"which the API server refuses (got {got})",
        )
    return ratio


def _grpc_port(section: Section, default: int) -> int:
    if section.values.get("grpcPort", MISSING) is None:
        section.seen.add("grpcPort")
        section.problem("grpcPort", f"must be from 1 to {MAX_PORT} (got null); leave the line out for {default}")
        return default
    return section.integer("grpcPort", default, minimum=1, maximum=MAX_PORT)


def _metrics_port(section: Section, default: int) -> int:
    """The reference takes a random port for null; a pod has its ports for itself, so any fixed one will do."""
    if section.values.get("metricsPort", MISSING) is None:
        section.seen.add("metricsPort")
        section.warn("metricsPort", f"null does not switch metrics off; {default} is used")
        return default
    return section.integer("metricsPort", default, minimum=1, maximum=MAX_PORT)
