"""The life of functions on an API server that fails, as a real one does in its worst hours."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.runtimes.base import Runtime
from pulsar_runtimes.runtimes.kubernetes.api import ApiError
from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.runtimes.kubernetes.ownership import CLUSTER_LABEL
from pulsar_runtimes.runtimes.kubernetes.settings import KubernetesSettings
from pulsar_runtimes.testing import function_spec, instance_spec
from tests.runtimes.kubernetes.fake_api import FakeApi
from tests.waiting import until

JOB = "pf-public-default-f"
GONE = ApiError("the connection was refused", 0)
BUSY = ApiError("too many requests", 429, retry_after_seconds=0.1)
BROKEN = ApiError("etcd has no leader", 500)


def spec_of(parallelism: int = 1, **changes: object) -> InstanceSpec:
    return instance_spec(
        instance_id=-1, function=function_spec(name="f", parallelism=parallelism, secrets_map={"K": "s"}, **changes)
    )


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def begin(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], KubernetesRuntimeFactory]]:
    """``begin()`` is a factory that has been opened; again for another worker."""
    monkeypatch.setattr("pulsar_runtimes.runtimes.kubernetes.factory.connect", lambda config, environment: api)
    begun: list[KubernetesRuntimeFactory] = []

    def begin() -> KubernetesRuntimeFactory:
        begun.append(KubernetesRuntimeFactory(KubernetesSettings()))
        begun[-1].open()
        return begun[-1]

    yield begin
    for factory in begun:
        factory.close()


def running(factory: KubernetesRuntimeFactory, spec: InstanceSpec | None = None) -> Runtime:
    runtime = factory.create(spec or spec_of())
    runtime.start()
    seen(runtime, Phase.RUNNING)
    return runtime


def seen(runtime: Runtime, phase: Phase) -> Observation:
    return until(runtime.observe, lambda found: found.phase is phase, seconds=10)


def test_objects_come_before_the_pods_that_want_them(
    api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]
) -> None:
    runtime = running(begin())
    assert api.writes() == ["POST services", "POST secrets", "POST statefulsets"]
    runtime.stop(grace_seconds=1)
    assert not api.objects
    assert runtime.observe().phase is Phase.EXITED


def test_the_next_worker_only_lists(api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]) -> None:
    running(begin())
    api.calls.clear()
    again = replace(spec_of(), function_id="another", function_version="another")
    running(begin(), again)
    assert {call for call in api.calls if "accessreviews" not in call} == {
        "GET statefulsets",
        "GET pods",
        "WATCH statefulsets",
        "WATCH pods",
    }


@pytest.mark.parametrize("error", [GONE, BUSY, BROKEN])
@pytest.mark.parametrize("resource", ["services", "secrets", "statefulsets"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_request_that_fails_is_made_again(
    api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory], error: ApiError, resource: str, lost: bool
) -> None:
    factory = begin()
    api.lost = lost
    api.fail(f"POST {resource}", error)
    runtime = factory.create(spec_of())
    runtime.start()
    seen(runtime, Phase.RUNNING)
    assert len([key for key in api.objects if key[0] == "statefulsets"]) == 1


def test_what_can_never_be_is_told_with_its_reason(api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]) -> None:
    factory = begin()
    api.fail("POST statefulsets", ApiError("POST: 403 exceeded quota: cpu", 403, "Forbidden"))
    runtime = factory.create(spec_of())
    runtime.start()
    assert "exceeded quota: cpu" in seen(runtime, Phase.EXITED).reason
    runtime.stop(grace_seconds=1)
    assert not api.objects


def test_an_api_server_that_is_away_says_nothing_of_the_function(
    api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]
) -> None:
    runtime = running(begin())
    api.fail("GET statefulsets", GONE, GONE)
    api.break_watches(GONE)
    assert "refused" in seen(runtime, Phase.UNKNOWN).reason
    seen(runtime, Phase.RUNNING)


def test_a_watch_that_is_too_old_begins_anew(api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]) -> None:
    runtime = running(begin())
    api.break_watches(ApiError("too old resource version", 410, "Expired"))
    until(lambda: api.calls.count("GET statefulsets"), lambda lists: lists == 2)
    assert runtime.observe().phase is Phase.RUNNING


def test_what_somebody_else_has_made_is_left_alone(api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]) -> None:
    factory = begin()
    strange = copy.deepcopy(factory.manifests(spec_of()).stateful_set)
    api.request("POST", "/apis/apps/v1/namespaces/default/statefulsets", strange)
    runtime = factory.create(spec_of())
    runtime.start()
    assert (
        f"was not made by pfrun; delete it, or hand it over with the label {CLUSTER_LABEL}=standalone"
        in seen(runtime, Phase.EXITED).reason
    )
    runtime.stop(grace_seconds=1)
    assert set(api.objects) == {("statefulsets", JOB)}


def test_one_that_is_handed_over_is_changed_in_place(
    api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]
) -> None:
    given = copy.deepcopy(begin().manifests(spec_of()).stateful_set)
    given["metadata"]["labels"][CLUSTER_LABEL] = "standalone"
    made = api.request("POST", "/apis/apps/v1/namespaces/default/statefulsets", given)
    running(begin())
    assert api.objects[("statefulsets", JOB)]["metadata"]["uid"] == made["metadata"]["uid"]


def test_more_replicas_leave_the_template_alone(api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]) -> None:
    runtime = running(begin())
    before = api.objects[("statefulsets", JOB)]["spec"]["template"]
    assert runtime.update(spec_of(parallelism=3))
    until(lambda: api.objects[("statefulsets", JOB)]["spec"]["replicas"], lambda replicas: replicas == 3)
    assert api.objects[("statefulsets", JOB)]["spec"]["template"] == before
    assert api.writes()[3:] == ["PUT statefulsets"]


def test_a_conflict_is_read_and_written_again(api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]) -> None:
    runtime = running(begin())
    api.fail("PUT statefulsets", ApiError("409 has been modified", 409, "Conflict"))
    assert runtime.update(spec_of(user_config={"a": 1}))
    until(lambda: api.writes().count("PUT statefulsets"), lambda puts: puts == 2)
    seen(runtime, Phase.RUNNING)


def test_what_others_have_deleted_is_seen_as_an_end(
    api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]
) -> None:
    runtime = running(begin())
    api.request("DELETE", f"/apis/apps/v1/namespaces/default/statefulsets/{JOB}")
    assert seen(runtime, Phase.EXITED).reason == "somebody else has deleted its StatefulSet"


def test_a_worker_that_ends_leaves_functions_alone(api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]) -> None:
    factory = begin()
    runtime = running(factory)
    assert runtime.outlives_worker
    factory.close()
    assert ("statefulsets", JOB) in api.objects


def test_a_missing_right_is_named_before_anything_is_written(
    api: FakeApi, begin: Callable[[], KubernetesRuntimeFactory]
) -> None:
    api.denied = {"create statefulsets", "watch pods"}
    with pytest.raises(
        LaunchError, match=r"may not create statefulsets.apps \(.*\), watch pods \(.*\); pfrun k8s rbac"
    ):
        begin()
    assert not api.writes()
