"""``PF_*`` variables over the settings of a file."""

from __future__ import annotations

from typing import Any

import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.environment import apply_environment
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import WorkerConfig, parse_worker_config
from pulsar_runtimes.model.errors import ConfigError


def section(text: str = "{}") -> Section:
    return parse_document(text, "functions_worker.yml")


def parse(text: str = "{}", **environ: str) -> WorkerConfig:
    return parse_worker_config(section(text), environ)


@pytest.mark.parametrize(
    ("text", "environ", "values"),
    [
        ("{}", {"OTHER": "x"}, {}),
        ("a: 1", {"PF_a": "x"}, {"a": "x"}),
        ("{}", {"PF_a_b_c": "x"}, {"a": {"b": {"c": "x"}}}),
        ("a: {b: 1, c: 2}", {"PF_a_b": "x"}, {"a": {"b": "x", "c": 2}}),
        ("a:", {"PF_a_b": "x"}, {"a": {"b": "x"}}),
        ("a: {b: 1}", {"PF_a": "x", "PF_a2": "y"}, {"a": "x", "a2": "y"}),
        ("{}", {"PF_a_workerPort": "12", "PF_a_other": "12"}, {"a": {"workerPort": 12, "other": "12"}}),
        ("{}", {"PF_superUserRoles": "a,b"}, {"superUserRoles": ["a", "b"]}),
        ("{}", {"PF_proxyRoles": ""}, {"proxyRoles": [""]}),
        (
            "{processContainerFactory: {}, threadContainerFactory: {}}",
            {"PF_containerFactory": "process"},
            {"processContainerFactory": {}},
        ),
        (
            "{processContainerFactory: {}, threadContainerFactory: {}}",
            {"PF_containerFactory": "k8s", "PF_kubernetesContainerFactory_jobNamespace": "n"},
            {"kubernetesContainerFactory": {"jobNamespace": "n"}},
        ),
    ],
)
def test_a_variable_sets_the_nested_key_it_names(text: str, environ: dict[str, str], values: dict[str, Any]) -> None:
    before = section(text)
    kept = str(before.values)
    assert apply_environment(before, environ).values == values
    assert str(before.values) == kept
    assert not before.problems


@pytest.mark.parametrize(
    ("text", "variable", "value", "message"),
    [
        ("{}", "PF_workerPort", "x", "workerPort: must be a whole number (got 'x')"),
        ("{}", "PF_workerPort", "70000", "workerPort: must be from 1 to 65535 (got 70000)"),
        ("{}", "PF_maxPendingAsyncRequests", "x", "maxPendingAsyncRequests: must be a number (got 'x')"),
        ("workerId: w", "PF_workerId_x", "y", "workerId.x: cannot be set, as workerId is not a mapping"),
        ("{}", "PF_a__b", "y", "names no key; write PF_<key>, with one _ between nested keys"),
        ("{}", "PF_containerFactory", "x", "containerFactory: must be one of k8s, process, thread (got 'x')"),
        (
            "{}",
            "PF_functionInstanceMinResources_cpus",
            "1",
            "functionInstanceMinResources.cpus: is not a known key; did you mean 'cpu'?",
        ),
        ("{}", "PF_password_workerPort", "hunter2", "password.workerPort: must be a whole number (got ***)"),
        ("{}", "PF_processContainerFactory", "x", "processContainerFactory: must be a mapping (got 'x')"),
        (
            "{}",
            "PF_secretsProviderConfiguratorConfig",
            "hunter2",
            "secretsProviderConfiguratorConfig: must be a mapping (got ***)",
        ),
    ],
)
def test_a_wrong_variable_is_the_place_of_the_problem(text: str, variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, **{variable: value})
    assert str(caught.value) == f"environment variable {variable}: {message}"


def test_an_unknown_variable_warns_like_an_unknown_key() -> None:
    config = parse(PF_workerIds="h", PF_new_key="x")
    assert [str(warning) for warning in config.warnings] == [
        "environment variable PF_new_key: new: is not a known key and has no effect",
        "environment variable PF_workerIds: workerIds: is not a known key and has no effect; did you mean 'workerId'?",
    ]


def test_each_setting_tells_whether_it_comes_from_the_file_or_a_variable() -> None:
    config = parse(
        "workerId: w\nfunctionRuntimeFactoryConfigs:\n  jobName: j\nproperties:\n  tokenSecretKey: k\n",
        PF_functionRuntimeFactoryConfigs_jobNamespace="n",
        PF_authenticationEnabled="true",
        PF_brokerClientAuthenticationParameters="token:abc",
    )
    shown = {setting.key: (setting.value, setting.origin) for setting in config.settings}
    assert shown["workerId"] == ("w", "functions_worker.yml:1")
    assert shown["functionRuntimeFactoryConfigs.jobName"] == ("j", "functions_worker.yml:3")
    assert shown["functionRuntimeFactoryConfigs.jobNamespace"] == (
        "n",
        "environment variable PF_functionRuntimeFactoryConfigs_jobNamespace",
    )
    assert shown["properties.tokenSecretKey"] == ("***", "functions_worker.yml:5")
    assert shown["authenticationEnabled"] == ("true", "environment variable PF_authenticationEnabled")
    assert shown["brokerClientAuthenticationParameters"] == (
        "***",
        "environment variable PF_brokerClientAuthenticationParameters",
    )
    assert shown["workerPort"] == ("", "default")
    assert "abc" not in repr(config)
