"""The built-in customizer, the order in which its options count, and customizers of third parties."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError, RegistryError
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.runtimes.kubernetes.basic_customizer import BasicManifestCustomizer
from pulsar_runtimes.runtimes.kubernetes.customizer import MANIFEST_CUSTOMIZERS, ManifestCustomizer
from pulsar_runtimes.testing import function_spec

JAVA_NAME = "org.apache.pulsar.functions.runtime.kubernetes.BasicKubernetesManifestCustomizer"

WORKERS: dict[str, Any] = {
    "jobNamespace": "from-worker",
    "extraLabels": {"a": "worker", "b": "Worker"},
    "extraAnnotations": {"n": "0", "m": 1},
    "nodeSelectorLabels": {"disk": "ssd", "zone": "a"},
    "tolerations": [{"key": "k1", "operator": "Exists", "effect": "NoSchedule"}],
    "resourceRequirements": {"limits": {"cpu": "4", "memory": "2Gi"}, "requests": {"cpu": "1500m"}},
}
FUNCTIONS = """{
  jobName: 'mine', // as the documents print it
  extraLabels: {b: function}, extraAnnotations: {n: null},
  nodeSelectorLabels: {zone: b},
  tolerations: [{key: k2, value: v, effect: NoExecute, tolerationSeconds: 60}],
  resourceRequirements: {limits: {memory: 1.5Gi}, requests: {cpu: 1}}
}"""
DOCUMENTED = (
    '{"jobName":"jobname","jobNamespace":"namespace","extractLabels":{"extraLabel":"value"},'
    '"extraAnnotations":{"extraAnnotation":"value"},"nodeSelectorLabels":{"customLabel":"value"},'
    '"tolerations":[{"key":"custom-key","value":"value","effect":"NoSchedule"}],'
    '"resourceRequirements":{"requests":{"cpu":1,"memory":"4G"},"limits":{"cpu":2,"memory":"8G"}}}'
)


def _customizer(config: dict[str, Any] | None = None, *, strict: bool = False) -> BasicManifestCustomizer:
    section = Section(config or {}, "runtimeCustomizerConfig")
    customizer = BasicManifestCustomizer.from_config(section, strict=strict)
    section.done()
    return customizer


def _function(options: str = "") -> FunctionSpec:
    return function_spec(custom_runtime_options=options)


def _stateful_set() -> dict[str, Any]:
    resources = {"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1", "memory": "1"}}
    return {
        "metadata": {"name": "n", "labels": {"name": "f"}},
        "spec": {
            "selector": {"matchLabels": {"name": "f"}},
            "template": {
                "metadata": {"labels": {"name": "f"}, "annotations": {"own": "1", "n": "9"}},
                "spec": {"containers": [{"name": "c", "resources": resources}], "tolerations": [{"key": "k0"}]},
            },
        },
    }


def test_options_of_a_function_are_laid_over_those_of_the_worker() -> None:
    customizer, function = _customizer(WORKERS), _function(FUNCTIONS)
    assert customizer.namespace(function, "base") == "from-worker"
    assert customizer.job_name(function, "base") == "mine"
    made = customizer.stateful_set(function, _stateful_set())
    labels = {"name": "f", "a": "worker", "b": "function"}
    assert made["metadata"] == {"name": "n", "labels": labels, "annotations": {"m": "1"}}
    assert made["spec"]["selector"]["matchLabels"] == {"name": "f"}
    template = made["spec"]["template"]
    assert template["metadata"] == {"labels": labels, "annotations": {"own": "1", "m": "1"}}
    pod = template["spec"]
    assert pod["nodeSelector"] == {"disk": "ssd", "zone": "b"}
    assert [toleration["key"] for toleration in pod["tolerations"]] == ["k0", "k1", "k2"]
    assert pod["tolerations"][2] == {"key": "k2", "value": "v", "effect": "NoExecute", "tolerationSeconds": 60}
    assert pod["containers"][0]["resources"] == {
        "limits": {"cpu": "4", "memory": "1.5Gi"},
        "requests": {"cpu": "1", "memory": "1"},
    }


def test_the_service_gets_labels_and_annotations_only() -> None:
    service = {"metadata": {"name": "n", "labels": {"name": "f"}}, "spec": {"selector": {"name": "f"}}}
    made = _customizer(WORKERS).service(_function(), copy.deepcopy(service))
    assert made["spec"] == service["spec"]
    assert made["metadata"]["annotations"] == {"n": "0", "m": "1"}


def test_one_functions_options_never_reach_another() -> None:
    customizer = _customizer(WORKERS)
    before = customizer.stateful_set(_function(), _stateful_set())
    customizer.stateful_set(_function(FUNCTIONS), _stateful_set())
    assert customizer.stateful_set(_function(), _stateful_set()) == before


@pytest.mark.parametrize("options", ["", "  ", "null", "{}"])
def test_no_options_change_nothing(options: str) -> None:
    customizer, function = _customizer(), _function(options)
    assert (customizer.namespace(function, "base"), customizer.job_name(function, "j")) == ("base", "j")
    assert customizer.stateful_set(function, _stateful_set()) == _stateful_set()


def test_the_documented_spelling_of_labels_counts() -> None:
    assert _customizer().options(_function(DOCUMENTED)).extra_labels == {"extraLabel": "value"}
    assert _customizer(strict=True).options(_function(DOCUMENTED)).extra_labels == {}
    both = _function('{"extraLabels": {"a": "1"}, "extractLabels": {"a": "2", "b": "3"}}')
    assert _customizer().options(both).extra_labels == {"a": "1", "b": "3"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("[]", "customRuntimeOptions: must be a JSON object"),
        ("{jobNamspace: x}", "customRuntimeOptions.jobNamspace: is not a known key; did you mean 'jobNamespace'?"),
        ("{jobNamespace: My_NS}", "customRuntimeOptions.jobNamespace: must be the name of a Kubernetes namespace"),
        ("{jobNamespace: {}}", "customRuntimeOptions.jobNamespace: must be text (got a mapping)"),
        ("{extraLabels: []}", "customRuntimeOptions.extraLabels: must be a mapping (got a list)"),
        ("{extraLabels: {'a b': c}}", "customRuntimeOptions.extraLabels.a b: is no label key"),
        ("{extraLabels: {a: 'b c'}}", "customRuntimeOptions.extraLabels.a: must be up to 63 letters"),
        ("{extraLabels: {tenant: x}}", "customRuntimeOptions.extraLabels.tenant: must not be a label that tells"),
        ("{tolerations: {}}", "customRuntimeOptions.tolerations: must be a list"),
        ("{tolerations: [x]}", "customRuntimeOptions.tolerations[0]: must be a mapping"),
        ("{tolerations: [{tolerationSeconds: soon}]}", "tolerations[0].tolerationSeconds: must be a number"),
        ("{tolerations: [{kee: x}]}", "customRuntimeOptions.tolerations[0].kee: is not a known key"),
        ("{resourceRequirements: {limits: {cpu: much}}}", "limits.cpu: must be a quantity, such as 500m or 1Gi"),
        ("{resourceRequirements: {limits: {cpu: null}}}", "limits.cpu: must be a quantity, such as 500m or 1Gi"),
        ("{resourceRequirements: {limits: {cpu: -1}}}", "limits.cpu: must not be negative"),
        ("{resourceRequirements: {limits: {gpu: 1}}}", "limits.gpu: has no effect: only cpu and memory"),
    ],
)
def test_a_mistake_of_a_function_is_refused(options: str, why: str) -> None:
    function = _function(options)
    with pytest.raises(AdmissionError) as refusal:
        _customizer().check(function)
    assert str(refusal.value).startswith(f"{function.key}: customRuntimeOptions")
    assert why in str(refusal.value)


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(AdmissionError) as refusal:
        _customizer().check(_function("{jobNamespace: A_B, tolerations: x, resourceRequirements: {limits: {cpu: x}}}"))
    assert len(str(refusal.value).splitlines()) == 3


@pytest.mark.parametrize(
    "options",
    ["{jobNamspace: x, jobNamespace: My_NS}", "{extraLabels: {tenant: 'x y'}}", "{tolerations: [{kee: x}]}"],
)
def test_strictly_only_what_the_reference_refuses_is_refused(options: str) -> None:
    _customizer(strict=True).check(_function(options))


@pytest.mark.parametrize("options", ["[]", "{} x", "{tolerations: x}", "{resourceRequirements: {limits: {gpu: much}}}"])
def test_strictly_what_cannot_be_read_is_refused_all_the_same(options: str) -> None:
    with pytest.raises(AdmissionError):
        _customizer(strict=True).check(_function(options))


def test_strictly_a_null_takes_a_resource_away() -> None:
    customizer = _customizer(strict=True)
    made = customizer.stateful_set(_function("{resourceRequirements: {limits: {cpu: null}}}"), _stateful_set())
    assert made["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {"memory": "1"}


def test_a_quantity_of_the_worker_is_text_strictly() -> None:
    config = {"resourceRequirements": {"requests": {"cpu": 1, "other": 2}}}
    for strict, problems in ((False, 0), (True, 2)):
        section = Section(config)
        BasicManifestCustomizer.from_config(section, strict=strict)
        assert len(section.problems) == problems


# Customizers by name


@pytest.mark.parametrize("name", ["basic", JAVA_NAME])
def test_the_built_in_one_is_found_by_both_names(name: str) -> None:
    assert MANIFEST_CUSTOMIZERS.find(name) is BasicManifestCustomizer


def test_one_of_a_third_party_is_found_by_its_path() -> None:
    assert MANIFEST_CUSTOMIZERS.find("tests.runtimes.kubernetes.sidecar:Sidecar").__name__ == "Sidecar"


def test_a_class_of_another_kind_is_refused() -> None:
    with pytest.raises(RegistryError, match="must be a subclass of"):
        MANIFEST_CUSTOMIZERS.find("pulsar_runtimes.model.function:FunctionSpec")


def test_what_is_not_overridden_changes_nothing() -> None:
    class Idle(ManifestCustomizer):
        @classmethod
        def from_config(cls, section: Section, *, strict: bool) -> Idle:
            return cls()

    idle, function = Idle(), function_spec()
    idle.check(function)
    assert (idle.namespace(function, "a"), idle.job_name(function, "b")) == ("a", "b")
    assert idle.service(function, {"x": 1}) == idle.stateful_set(function, {"x": 1}) == {"x": 1}
