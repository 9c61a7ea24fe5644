"""Settings that a ConfigMap changes while the worker runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY
from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.observation import Phase
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.kubernetes.api import ApiError
from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.runtimes.kubernetes.overrides import read_overrides
from pulsar_runtimes.testing import function_spec, instance_spec
from tests.runtimes.kubernetes.fake_api import FakeApi
from tests.waiting import until

KEYS = {
    "functionRuntimeFactoryClassName": KUBERNETES_FACTORY,
    "functionRuntimeFactoryConfigs": {
        "changeConfigMap": "overrides",
        "changeConfigMapNamespace": "jobs",
        "pulsarDockerImageName": "pulsar:1",
    },
    "pulsarServiceUrl": "pulsar://broker:6650",
    "pulsarWebServiceUrl": "http://broker:8080",
}
Begin = Callable[[], KubernetesRuntimeFactory]


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def begin(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """``begin()`` is a factory that follows the ConfigMap."""
    place = "pulsar_runtimes.runtimes.kubernetes"
    monkeypatch.setattr(f"{place}.factory.connect", lambda config, environment: api)
    monkeypatch.setattr(f"{place}.factory.OVERRIDES_SECONDS", 0.02)
    begun: list[KubernetesRuntimeFactory] = []

    def begin() -> KubernetesRuntimeFactory:
        config = parse_worker_config(Section(KEYS), {})
        context = FactoryContext(tmp_path, 1 << 30, {}, worker=config)
        begun.append(KubernetesRuntimeFactory.from_config(config.runtime_section, context))
        begun[-1].open()
        return begun[-1]

    yield begin
    for factory in begun:
        factory.close()


def put(api: FakeApi, **data: str) -> None:
    method = "PUT" if ("configmaps", "overrides") in api.objects else "POST"
    name = "/overrides" if method == "PUT" else ""
    path = f"/api/v1/namespaces/jobs/configmaps{name}"
    api.request(method, path, {"metadata": {"name": "overrides", "namespace": "jobs"}, "data": data})


def image(factory: KubernetesRuntimeFactory) -> str:
    return factory.config.pulsar_docker_image_name


def test_names_of_the_reference_and_of_the_file_are_known() -> None:
    changes, unused = read_overrides(
        {
            "extraDependenciesDir": "/old",
            "extraFunctionDependenciesDir": "/deps",
            "jobName": "j",
            "gracePeriodSeconds": "1",
        }
    )
    assert changes == {"extraFunctionDependenciesDir": "/deps", "jobName": "j"}
    assert unused == ["gracePeriodSeconds"]


def test_a_change_counts_for_what_starts_from_now_on(api: FakeApi, begin: Begin) -> None:
    put(api, pulsarDockerImageName="pulsar:2")
    factory = begin()
    assert image(factory) == "pulsar:2"
    runtime = factory.create(instance_spec(instance_id=-1))
    runtime.start()
    until(runtime.observe, lambda seen: seen.phase is Phase.RUNNING)
    put(api, pulsarDockerImageName="pulsar:3")
    until(lambda: image(factory), lambda found: found == "pulsar:3")

    def images() -> list[str]:
        sets = [each for (kind, _), each in sorted(api.objects.items()) if kind == "statefulsets"]
        return [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in sets]

    assert images() == ["pulsar:2"]
    factory.create(instance_spec(instance_id=-1, function=function_spec(name="later"))).start()
    until(images, lambda found: found == ["pulsar:2", "pulsar:3"])
    api.request("DELETE", "/api/v1/namespaces/jobs/configmaps/overrides")
    until(lambda: image(factory), lambda found: found == "pulsar:1")


def test_what_is_wrong_changes_nothing_and_is_told(
    api: FakeApi, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    put(api, pulsarDockerImageName="pulsar:2", imagePullPolicy="Sometimes", percentMemoryPadding="5")
    factory = begin()
    assert image(factory) == "pulsar:1"
    assert "changes nothing: functionRuntimeFactoryConfigs.imagePullPolicy" in caplog.text
    assert "percentMemoryPadding has no effect" in caplog.text


def test_one_that_is_not_there_changes_nothing(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    assert image(begin()) == "pulsar:1"
    assert "ConfigMap overrides of namespace jobs is not there" in caplog.text


def test_one_that_cannot_be_read_keeps_a_worker_from_starting_and_not_from_going_on(
    api: FakeApi, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    put(api, pulsarDockerImageName="pulsar:2")
    api.fail("GET configmaps", ApiError("GET configmaps: 403 forbidden", 403, "Forbidden"))
    with pytest.raises(LaunchError, match="403 forbidden"):
        begin()
    assert not [call for call in api.writes() if "configmaps" not in call]
    factory = begin()
    api.fail("GET configmaps", ApiError("GET configmaps: 500 etcd has no leader", 500))
    with caplog.at_level(logging.WARNING):
        until(lambda: "so that settings stay as they are" in caplog.text)
    assert image(factory) == "pulsar:2"
