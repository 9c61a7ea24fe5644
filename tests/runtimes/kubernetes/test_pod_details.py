"""Pods of ``instanceLauncher: pfrun``: what they are told by a ConfigMap, and when they are made anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY
from pulsar_runtimes.model.errors import AdmissionError, ConfigError
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec, Language, Resources
from pulsar_runtimes.pod.details import FILE, PodDetails
from pulsar_runtimes.pod.main import fill_in
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.testing import function_spec, instance_spec
from pulsar_runtimes.testing.golden import Golden

URLS = {"pulsarServiceUrl": "pulsar://broker:6650", "pulsarWebServiceUrl": "http://broker:8080"}
IMAGES = {"JAVA": "java:1", "GO": "go:1", "PYTHON": "python:1"}
BASIC = "org.apache.pulsar.functions.runtime.kubernetes.BasicKubernetesManifestCustomizer"

Make = Callable[..., KubernetesRuntimeFactory]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """``make({"gracePeriodSeconds": 3}, authenticationEnabled=True)``: a factory of that in that configuration."""

    def make(section: dict[str, Any] | None = None, **top: Any) -> KubernetesRuntimeFactory:
        own = {"instanceLauncher": "pfrun", "pulsarDockerImageName": "pfrun:1", **(section or {})}
        values = {**URLS, "functionRuntimeFactoryClassName": KUBERNETES_FACTORY, **top}
        config = parse_worker_config(Section({**values, "functionRuntimeFactoryConfigs": own}), {})
        context = FactoryContext(tmp_path, 1 << 30, {}, worker=config)
        return KubernetesRuntimeFactory.from_config(config.runtime_section, context)

    return make


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(Path(__file__).parent / "golden", bool(request.config.getoption("--update-golden")))


def spec_of(auth: ClientAuth | None = None, **changes: Any) -> InstanceSpec:
    return instance_spec(instance_id=-1, auth=auth, function=function_spec(name="f", **changes))


def pod_of(factory: KubernetesRuntimeFactory, spec: InstanceSpec) -> dict[str, Any]:
    found: dict[str, Any] = factory.manifests(spec).stateful_set["spec"]["template"]["spec"]
    return found


def details_of(factory: KubernetesRuntimeFactory, spec: InstanceSpec) -> PodDetails:
    config_map = factory.manifests(spec).config_map
    assert config_map is not None
    return PodDetails.parse(config_map["data"][FILE])


def test_a_python_function_as_reviewed(make: Make, golden: Golden) -> None:
    golden("pod-python.yml", make({"gracePeriodSeconds": 30}).render(spec_of(parallelism=3, user_config={"a": 1})))


def test_the_container_is_given_a_list_and_no_shell(make: Make) -> None:
    (container,) = pod_of(make(), spec_of(runtime_flags='-X importtime "-W ignore"'))["containers"]
    *head, digest = container["command"]
    assert head == ["python3", "-P", "-X", "importtime", '"-W ignore"', "-m", "pulsar_runtimes.pod"]
    assert len(digest) == 32


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"parallelism": 5}, id="parallelism"),
        pytest.param({"custom_runtime_options": "{}"}, id="customRuntimeOptions"),
        pytest.param({"resources": Resources(cpu=1.0, ram=1 << 30, disk=77)}, id="disk"),
    ],
)
def test_what_does_not_count_for_an_instance_leaves_the_pods_alone(make: Make, changes: dict[str, Any]) -> None:
    factory = make(runtimeCustomizerClassName=BASIC)
    spec = spec_of(resources=Resources(cpu=1.0, ram=1 << 30, disk=1 << 30))
    changed = replace(spec, function=replace(spec.function, **changes))
    before, after = factory.job(spec), factory.job(changed)
    assert before.template_digest == after.template_digest
    assert _template(before.manifests.stateful_set) == _template(after.manifests.stateful_set)
    assert details_of(factory, spec).digest == details_of(factory, changed).digest
    assert details_of(factory, spec) != details_of(factory, changed) or "custom_runtime_options" in changes


def test_a_smaller_change_than_a_restart_is_still_written(make: Make) -> None:
    factory = make(runtimeCustomizerClassName=BASIC)
    job = factory.job(spec_of(custom_runtime_options="{}"))
    assert job.digest != factory.job(spec_of()).digest


@pytest.mark.parametrize(
    "changes",
    [
        {"user_config": {"a": 2}},
        {"class_name": "other.Class"},
        {"log_topic": "logs"},
        {"runtime_flags": "-X dev"},
        {"resources": Resources(cpu=2.0, ram=1 << 30, disk=1 << 30)},
        {"secrets_map": {"K": "s3cret"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_counts_makes_pods_anew(make: Make, changes: dict[str, Any]) -> None:
    factory = make()
    spec = spec_of(resources=Resources(cpu=1.0, ram=1 << 30, disk=1 << 30))
    changed = replace(spec, function=replace(spec.function, **changes))
    assert factory.job(spec).template_digest != factory.job(changed).template_digest


def test_ids_that_are_drawn_anew_make_no_difference(make: Make) -> None:
    factory = make()
    spec = spec_of()
    again = replace(spec, function_id="another", function_version="another")
    assert factory.job(spec).digest == factory.job(again).digest
    assert details_of(factory, spec).digest == details_of(factory, again).digest


def _template(stateful_set: dict[str, Any]) -> Any:
    return json.loads(json.dumps(stateful_set["spec"]["template"]))


def test_all_objects_carry_the_marks(make: Make) -> None:
    manifests = make().job(spec_of()).manifests
    assert [each["kind"] for each in manifests.documents] == ["Service", "ConfigMap", "StatefulSet"]
    for manifest in manifests.documents:
        assert manifest["metadata"]["labels"]["pfrun/cluster"] == "standalone"
        assert manifest["metadata"]["annotations"]["pfrun/function"] == "public/default/f"


def test_secrets_are_in_a_secret_only(make: Make) -> None:
    manifests = make().manifests(spec_of(secrets_map={"PASSWORD": "s3cret"}))
    assert manifests.secret is not None
    assert "s3cret" in str(manifests.secret)
    assert "s3cret" not in str(manifests.config_map) + str(manifests.stateful_set)
    assert "--config_file" in str(manifests.config_map)


def test_the_token_is_named_by_its_file(make: Make) -> None:
    factory = make(authenticationEnabled=True)
    spec = replace(spec_of(auth=ClientAuth("P", "token:s3cret")), auth_data="x7k2q")
    details = details_of(factory, spec)
    assert details.token_file == "/etc/auth/token"
    assert "s3cret" not in details.text()
    assert {each["mountPath"] for each in pod_of(factory, spec)["containers"][0]["volumeMounts"]} == {
        "/etc/auth",
        "/etc/pfrun",
        "/tmp",
    }


@pytest.mark.parametrize("language", [Language.JAVA, Language.GO])
def test_another_language_needs_an_image_of_its_own(make: Make, language: Language) -> None:
    spec = spec_of(language=language)
    with pytest.raises(AdmissionError, match=f"only in an image that functionDockerImages names for {language.name}"):
        make().check(spec)
    make({"functionDockerImages": IMAGES}).check(spec)


def test_a_go_program_is_told_its_number(make: Make) -> None:
    spec = replace(spec_of(language=Language.GO), code_file="/packages/program")
    details = details_of(make({"functionDockerImages": IMAGES}), spec)
    program, option, conf = fill_in(details.arguments, 7)
    assert (program, option) == ("/tmp/function/program", "-instance-conf")
    assert json.loads(conf)["instanceID"] == 7
    assert details.program


def test_a_java_instance_lies_where_the_image_has_it(make: Make) -> None:
    section = {"functionDockerImages": IMAGES, "pulsarRootDir": "/opt/pulsar"}
    spec = replace(spec_of(language=Language.JAVA, runtime_flags="-Da=b"), code_file="/packages/f.jar")
    arguments = fill_in(details_of(make(section), spec).arguments, 3)
    assert arguments[:3] == ["java", "-cp", "/opt/pulsar/instances/java-instance.jar"]
    assert "-Dpulsar.function.log.dir=/tmp/logs/public/default/f" in arguments
    assert arguments[arguments.index("--instance_id") + 1] == "3"
    assert arguments[arguments.index("--jar") + 1] == "/tmp/function/f.jar"
    assert json.loads(arguments[arguments.index("--function_details") + 1])["name"] == "f"
    assert "-Da=b" in arguments


def test_what_the_worker_is_not_trusted_with_is_not_downloaded(make: Make) -> None:
    factory = make({"pulsarAdminUrl": "https://worker:6751"}, authenticationEnabled=True)
    auth = ClientAuth("P", "token:t", tls_allow_insecure=True)
    with pytest.raises(AdmissionError, match="whose certificate it can verify"):
        factory.check(spec_of(auth=auth))


def test_details_that_no_config_map_can_hold_are_refused(make: Make) -> None:
    with pytest.raises(AdmissionError, match="more than a ConfigMap may hold"):
        make().check(spec_of(user_config={"a": "x" * (1 << 20)}))


# The settings


def problems(make: Make, section: dict[str, Any], **top: Any) -> str:
    with pytest.raises(ConfigError) as error:
        make(section, **top)
    return str(error.value)


def test_the_launcher_must_be_one_that_there_is(make: Make) -> None:
    assert "must be one of pulsar, pfrun (got 'pfrum'); did you mean 'pfrun'?" in problems(
        make, {"instanceLauncher": "pfrum"}
    )


def test_an_image_with_pfrun_must_be_named(make: Make) -> None:
    assert "needs an image that has pfrun" in problems(make, {"pulsarDockerImageName": ""})


def test_the_reference_has_no_such_launcher(make: Make) -> None:
    assert "must be pulsar with strictReference" in problems(make, {"strictReference": True})


def test_settings_of_the_other_launcher_are_told(make: Make, tmp_path: Path) -> None:
    own = {
        "instanceLauncher": "pfrun",
        "pulsarDockerImageName": "pfrun:1",
        "pulsarRootDir": "/pulsar",
        "configAdminCLI": "/bin/pulsar-admin",
    }
    values = {**URLS, "functionRuntimeFactoryClassName": KUBERNETES_FACTORY, "downloadDirectory": "download"}
    config = parse_worker_config(Section({**values, "functionRuntimeFactoryConfigs": own}), {})
    section = config.runtime_section
    KubernetesRuntimeFactory.from_config(section, FactoryContext(tmp_path, 1 << 30, {}, worker=config))
    told = [str(warning) for warning in section.warnings]
    assert len([each for each in told if "has no effect with instanceLauncher pfrun" in each]) == 3, told


def test_more_packages_of_python_are_named_by_an_absolute_path(make: Make) -> None:
    assert "must begin with /" in problems(make, {"extraFunctionDependenciesDir": "deps"})
    assert details_of(make({"extraFunctionDependenciesDir": "/deps"}), spec_of()).python_path == "/deps"
    assert details_of(make(), spec_of()).python_path == ""
