"""The Kubernetes runtime reads its settings and says what is wrong with them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import WorkerConfig, load_worker_config
from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY, WorkerSettings
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.model.function import Language
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.kubernetes.config import InstanceLauncher, KubernetesConfig, parse_kubernetes_config
from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.runtimes.registry import RUNTIME_FACTORIES

CONF = Path(__file__).parents[3] / "conf"
PATH = "functionRuntimeFactoryConfigs"

EVERY_KEY: dict[str, Any] = {
    "k8Uri": "https://kubernetes.example",
    "submittingInsidePod": False,
    "jobNamespace": "functions",
    "jobName": "MyJob_1",
    "pulsarDockerImageName": "registry.example/pulsar:4.0.8",
    "functionDockerImages": {"PYTHON": "registry.example/python:1", "GO": "registry.example/go:1"},
    "imagePullPolicy": "Always",
    "pulsarRootDir": "/opt/pulsar",
    "configAdminCLI": "/bin/admin",
    "pulsarServiceUrl": "pulsar://broker:6650",
    "pulsarAdminUrl": "http://broker:8080",
    "installUserCodeDependencies": "true",
    "pythonDependencyRepository": "http://index.example",
    "pythonExtraDependencyRepository": "http://more.example",
    "extraFunctionDependenciesDir": "more/deps",
    "customLabels": {"team": "My Team!", "example.org/tier": 1},
    "expectedMetricsCollectionInterval": 30,
    "changeConfigMap": "overrides",
    "changeConfigMapNamespace": "functions",
    "percentMemoryPadding": "10",
    "cpuOverCommitRatio": 2,
    "memoryOverCommitRatio": 1.5,
    "grpcPort": 9193,
    "metricsPort": 9194,
    "narExtractionDirectory": "/nar",
    "functionInstanceClassPath": "/cp/*",
    "gracePeriodSeconds": 0,
    "kubernetesFunctionAuthProviderConfig": {"any": {"thing": 1}},
}


def _section(**values: Any) -> Section:
    return Section(values, PATH)


def _problems(**values: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        parse_kubernetes_config(_section(**values))
    return [str(problem).removeprefix(f"{PATH}.") for problem in error.value.problems]


def test_the_promised_defaults() -> None:
    assert parse_kubernetes_config(_section()) == KubernetesConfig()
    assert {field.name: getattr(KubernetesConfig(), field.name) for field in fields(KubernetesConfig)} == {
        "k8s_uri": "",
        "submitting_inside_pod": False,
        "job_namespace": "default",
        "job_name": "",
        "pulsar_docker_image_name": "apachepulsar/pulsar",
        "function_docker_images": None,
        "image_pull_policy": "IfNotPresent",
        "pulsar_root_dir": "/pulsar",
        "config_admin_cli": "/bin/pulsar-admin",
        "pulsar_service_url": "",
        "pulsar_admin_url": "",
        "install_user_code_dependencies": False,
        "python_dependency_repository": "",
        "python_extra_dependency_repository": "",
        "extra_function_dependencies_dir": "/pulsar/instances/deps",
        "custom_labels": {},
        "expected_metrics_collection_interval": 30,
        "change_config_map": "",
        "change_config_map_namespace": "",
        "percent_memory_padding": 0,
        "cpu_over_commit_ratio": 1.0,
        "memory_over_commit_ratio": 1.0,
        "grpc_port": 9093,
        "metrics_port": 9094,
        "nar_extraction_directory": "/tmp",
        "function_instance_class_path": "",
        "grace_period_seconds": 5,
        "kubernetes_function_auth_provider_config": {},
        "instance_launcher": InstanceLauncher.PULSAR,
        "strict_reference": False,
    }


def test_every_key_is_read() -> None:
    section = _section(**EVERY_KEY)
    assert parse_kubernetes_config(section) == KubernetesConfig(
        k8s_uri="https://kubernetes.example",
        job_namespace="functions",
        job_name="MyJob_1",
        pulsar_docker_image_name="registry.example/pulsar:4.0.8",
        function_docker_images={Language.PYTHON: "registry.example/python:1", Language.GO: "registry.example/go:1"},
        image_pull_policy="Always",
        pulsar_root_dir="/opt/pulsar",
        config_admin_cli="/bin/admin",
        pulsar_service_url="pulsar://broker:6650",
        pulsar_admin_url="http://broker:8080",
        install_user_code_dependencies=True,
        python_dependency_repository="http://index.example",
        python_extra_dependency_repository="http://more.example",
        extra_function_dependencies_dir="/opt/pulsar/more/deps",
        custom_labels={"team": "My Team!", "example.org/tier": "1"},
        change_config_map="overrides",
        change_config_map_namespace="functions",
        percent_memory_padding=10,
        cpu_over_commit_ratio=2.0,
        memory_over_commit_ratio=1.5,
        grpc_port=9193,
        metrics_port=9194,
        nar_extraction_directory="/nar",
        function_instance_class_path="/cp/*",
        grace_period_seconds=0,
        kubernetes_function_auth_provider_config={"any": {"thing": 1}},
    )
    assert section.unread() == []
    assert section.warnings == []


def test_the_old_section_knows_the_same_keys() -> None:
    """``kubernetesContainerFactory`` is checked key by key before the runtime reads it."""
    field = next(field for field in fields(WorkerSettings) if field.name == "kubernetes_container_factory")
    assert set(field.metadata["key"].inner) == set(EVERY_KEY)


def test_a_key_without_a_value_is_as_one_that_is_absent() -> None:
    mappings = ("functionDockerImages", "customLabels", "kubernetesFunctionAuthProviderConfig")
    texts = (key for key, value in EVERY_KEY.items() if isinstance(value, str) and key != "percentMemoryPadding")
    section = _section(**dict.fromkeys((*mappings, *texts)))
    assert parse_kubernetes_config(section) == KubernetesConfig()


@pytest.mark.parametrize(
    ("directory", "whole"),
    [("deps", "/pulsar/deps"), ("/deps", "/deps"), ("", "/pulsar/instances/deps")],
)
def test_extra_dependencies_lie_below_the_root_unless_absolute(directory: str, whole: str) -> None:
    config = parse_kubernetes_config(_section(extraFunctionDependenciesDir=directory))
    assert config.extra_function_dependencies_dir == whole


def test_an_image_mapping_that_is_there_leaves_no_fallback() -> None:
    assert parse_kubernetes_config(_section(functionDockerImages={})).function_docker_images == {}


RATIO = (
    "must be at least 1, as a smaller one makes the request larger than the limit, which the API server refuses "
    "(got {})"
)
LABEL = (
    "is no label key; write up to 63 letters, digits and -_. with a letter or digit at both ends, "
    "after a DNS name and / if need be"
)
JOB_NAME = "must begin with a letter and hold no dot, or the API server refuses the Service (got {})"
NAMESPACE = "must be the name of a Kubernetes namespace: up to 63 of a-z, 0-9 and -, with no - at the ends (got {})"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("k8Uri", "kubernetes:6443", "must be an http:// or https:// address (got 'kubernetes:6443')"),
        ("submittingInsidePod", "yes", "must be true or false (got 'yes')"),
        ("jobNamespace", "Functions", NAMESPACE.format("'Functions'")),
        ("jobNamespace", "a" * 64, NAMESPACE.format(f"'{'a' * 56}...")),
        ("jobName", "1st", JOB_NAME.format("'1st'")),
        ("jobName", "a.b", JOB_NAME.format("'a.b'")),
        ("jobName", "a" * 45, "must have at most 44 characters, as a hash is added (has 45)"),
        ("pulsarDockerImageName", "pulsar 4", "must be an image name without blanks (got 'pulsar 4')"),
        ("functionDockerImages", "", "must be a mapping (got '')"),
        ("functionDockerImages.java", {"java": "image"}, "is not a known key; did you mean 'JAVA'?"),
        ("functionDockerImages.PYTHN", {"PYTHN": "image"}, "is not a known key; did you mean 'PYTHON'?"),
        (
            "functionDockerImages.GO",
            {"GO": ""},
            "must be an image name; leave the line out when the language has none",
        ),
        (
            "imagePullPolicy",
            "ifnotpresent",
            "must be one of Always, IfNotPresent, Never (got 'ifnotpresent'); did you mean 'IfNotPresent'?",
        ),
        ("customLabels.my team", {"my team": "x"}, LABEL),
        ("customLabels.-x", {"-x": "x"}, LABEL),
        ("customLabels.Example/x", {"Example/x": "x"}, LABEL),
        ("customLabels.x/", {"x/": "x"}, LABEL),
        ("percentMemoryPadding", -1, "must be at least 0 (got -1)"),
        ("cpuOverCommitRatio", 0, RATIO.format("0")),
        ("memoryOverCommitRatio", 0.9, RATIO.format("0.9")),
        ("memoryOverCommitRatio", "much", "must be a number (got 'much')"),
        ("grpcPort", 0, "must be from 1 to 65535 (got 0)"),
        ("metricsPort", 65536, "must be from 1 to 65535 (got 65536)"),
        ("metricsPort", 9093, "must not be the port of grpcPort (got 9093)"),
        ("gracePeriodSeconds", -1, "must be at least 0 (got -1)"),
        ("kubernetesFunctionAuthProviderConfig", ["x"], "must be a mapping (got a list)"),
    ],
)
def test_what_the_cluster_would_refuse_is_a_problem(key: str, value: object, message: str) -> None:
    name, _, _ = key.partition(".")
    assert _problems(**{name: value}) == [f"{key}: {message}"]


def test_all_problems_come_at_once() -> None:
    assert len(_problems(grpcPort=0, cpuOverCommitRatio=0, imagePullPolicy="Sometimes")) == 3


@pytest.mark.parametrize("name", ["a" * 44, "MyJob_1", "ends-"])
def test_a_job_name_is_judged_as_it_will_be_used(name: str) -> None:
    assert parse_kubernetes_config(_section(jobName=name)).job_name == name


@pytest.mark.parametrize(
    ("values", "key", "warning"),
    [
        (
            {"submittingInsidePod": True, "k8Uri": "http://k"},
            "submittingInsidePod",
            "has no effect, as k8Uri names the API server",
        ),
        ({"changeConfigMap": "c"}, "changeConfigMap", "has no effect without changeConfigMapNamespace"),
        (
            {"expectedMetricsCollectionInterval": 60},
            "expectedMetricsCollectionInterval",
            "has no effect: Apache Pulsar itself does not use it",
        ),
    ],
)
def test_what_has_no_effect_is_a_warning(values: dict[str, Any], key: str, warning: str) -> None:
    section = _section(**values)
    parse_kubernetes_config(section)
    assert [str(found) for found in section.warnings] == [f"{PATH}.{key}: {warning}"]
    assert section.unread() == []


def test_settings_of_the_auth_provider_are_not_in_the_repr() -> None:
    assert "s3cret" not in repr(KubernetesConfig(kubernetes_function_auth_provider_config={"x": "s3cret"}))


def test_labels_that_tell_functions_apart_are_not_the_operators() -> None:
    assert _problems(customLabels={"name": "x"}) == [
        "customLabels.name: must not be a label that tells the pods of functions apart"
    ]


# As the reference


@pytest.mark.parametrize(
    ("values", "attribute", "value"),
    [
        ({"metricsPort": 0}, "metrics_port", 0),
        ({"grpcPort": 70000}, "grpc_port", 70000),
        ({"cpuOverCommitRatio": 0.5}, "cpu_over_commit_ratio", 0.5),
        ({"percentMemoryPadding": -5}, "percent_memory_padding", -5),
        ({"gracePeriodSeconds": -1}, "grace_period_seconds", -1),
        ({"imagePullPolicy": "Sometimes"}, "image_pull_policy", "Sometimes"),
        ({"jobNamespace": "My_Jobs"}, "job_namespace", "My_Jobs"),
        ({"jobName": "a.b"}, "job_name", "a.b"),
        ({"customLabels": {"my team": "x", "name": "y"}}, "custom_labels", {"my team": "x", "name": "y"}),
        ({"functionDockerImages": {"PYTHON": ""}}, "function_docker_images", {Language.PYTHON: ""}),
        ({"narExtractionDirectory": ""}, "nar_extraction_directory", ""),
    ],
)
def test_strictly_what_the_reference_takes_is_taken(values: dict[str, Any], attribute: str, value: object) -> None:
    assert getattr(parse_kubernetes_config(_section(**values), strict=True), attribute) == value


def test_strictly_a_warning_still_tells_of_it() -> None:
    section = _section(cpuOverCommitRatio=0.5, jobName="a.b")
    parse_kubernetes_config(section, strict=True)
    assert [warning.path.partition(".")[2] for warning in section.warnings] == ["jobName", "cpuOverCommitRatio"]


# The factory


@pytest.fixture
def context(tmp_path: Path) -> FactoryContext:
    worker = WorkerConfig(pulsar_service_url="pulsar://broker:6650", pulsar_web_service_url="http://broker:8080")
    return FactoryContext(state_dir=tmp_path / "state", memory_ceiling_bytes=1 << 30, worker=worker)


def test_the_example_parses_with_nothing_left_over(context: FactoryContext) -> None:
    worker_config = load_worker_config(CONF / "functions_worker.kubernetes.yml", {})
    assert RUNTIME_FACTORIES.find(worker_config.runtime_factory) is KubernetesRuntimeFactory
    section = worker_config.runtime_section
    factory = KubernetesRuntimeFactory.from_config(section, replace(context, worker=worker_config))
    assert section.unread() == []
    assert section.warnings == []
    assert factory.config == KubernetesConfig(
        pulsar_docker_image_name="apachepulsar/pulsar:4.0.8",
        install_user_code_dependencies=True,
        custom_labels={"example": "pfrun"},
        percent_memory_padding=10,
    )


@pytest.mark.parametrize("name", ["kubernetes", KUBERNETES_FACTORY])
def test_it_is_found_by_both_names(name: str) -> None:
    assert RUNTIME_FACTORIES.find(name) is KubernetesRuntimeFactory


def test_an_unknown_key_is_left_to_the_caller(context: FactoryContext) -> None:
    section = _section(jobNamespce="x")
    KubernetesRuntimeFactory.from_config(section, context)
    assert section.unread() == ["jobNamespce"]
    section.warn_unread()
    assert str(section.warnings[0]).endswith("has no effect; did you mean 'jobNamespace'?")


def test_the_kubernetes_client_is_not_imported() -> None:
    code = (
        "import sys, pulsar_runtimes.runtimes.kubernetes.factory\n"
        "sys.exit(any(name.split('.')[0] == 'kubernetes' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
