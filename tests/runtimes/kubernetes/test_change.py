"""What has to happen for each kind of difference between what there is and what is wanted."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.runtimes.kubernetes.change import Change, Difference, Step, decide, differences, replacement
from pulsar_runtimes.runtimes.kubernetes.config import KubernetesConfig
from pulsar_runtimes.runtimes.kubernetes.ownership import (
    CLUSTER_LABEL,
    FUNCTION_ANNOTATION,
    build_job,
    foreign_reason,
)
from pulsar_runtimes.runtimes.kubernetes.settings import KubernetesSettings
from pulsar_runtimes.testing import function_spec, instance_spec

USUAL = KubernetesSettings()


def spec_of(parallelism: int = 3, **changes: Any) -> InstanceSpec:
    return instance_spec(instance_id=-1, function=function_spec(name="f", parallelism=parallelism, **changes))


def live_of(spec: InstanceSpec, settings: KubernetesSettings = USUAL) -> dict[str, Any]:
    """What the API server makes of it, as far as it counts."""
    live = copy.deepcopy(build_job(spec, settings).manifests.stateful_set)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 1}
    live["spec"] |= {"revisionHistoryLimit": 10, "updateStrategy": {"type": "RollingUpdate"}}
    live["spec"]["template"]["spec"] |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    return live


def decided(wanted: InstanceSpec, settings: KubernetesSettings = USUAL) -> Change:
    return decide(live_of(spec_of()), build_job(wanted, settings))


def test_what_is_not_there_is_created() -> None:
    assert decide(None, build_job(spec_of(), USUAL)) == Change(Step.CREATE)


def test_new_ids_of_each_start_change_nothing() -> None:
    assert decided(replace(spec_of(), function_id="x", function_version="y")) == Change(Step.KEEP)


def test_another_parallelism_touches_no_pod() -> None:
    assert decided(spec_of(5)) == Change(Step.SCALE)


def test_another_template_restarts_pods_in_place() -> None:
    assert decided(spec_of(user_config={"a": 1})) == Change(Step.REPLACE, restarts_pods=True)
    assert decided(replace(spec_of(), code_file="/packages/0ther/exclaim.py")) == Change(
        Step.REPLACE, restarts_pods=True
    )


def test_another_worker_s_directory_of_packages_changes_nothing() -> None:
    before = replace(spec_of(), code_file="/a/packages/d1gest/f.py")
    after = replace(spec_of(), code_file="/b/packages/d1gest/f.py")
    assert decide(live_of(before), build_job(after, USUAL)).step is Step.KEEP


def test_another_secret_restarts_pods_and_shows_nothing_of_itself() -> None:
    before, after = (spec_of(secrets_map={"K": value}) for value in ("one", "two"))
    assert decide(live_of(before), build_job(after, USUAL)) == Change(Step.REPLACE, restarts_pods=True)


def test_what_nobody_may_change_is_made_anew() -> None:
    live = live_of(spec_of())
    live["spec"]["serviceName"] = "another"
    live["metadata"]["annotations"]["pfrun/job"] = "older"
    found = decide(live, build_job(spec_of(), USUAL))
    assert found == Change(Step.RECREATE, restarts_pods=True, immutable=("spec.serviceName",))
    labelled = replace(USUAL, config=KubernetesConfig(custom_labels={"team": "a"}))
    assert decided(spec_of(), labelled).immutable == ("spec.selector",)


def test_what_is_being_deleted_is_waited_for() -> None:
    live = live_of(spec_of())
    live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert decide(live, build_job(spec_of(), USUAL)).step is Step.RECREATE


def test_a_template_that_says_the_same_stays_word_for_word() -> None:
    live = live_of(spec_of())
    made = replacement(live, build_job(replace(spec_of(5), function_id="x"), USUAL))
    assert made["spec"]["template"] == live["spec"]["template"]
    assert made["spec"]["replicas"] == 5
    assert made["metadata"]["resourceVersion"] == "7"
    assert (
        replacement(live, build_job(spec_of(user_config={"a": 1}), USUAL))["spec"]["template"]
        != live["spec"]["template"]
    )


def test_ownership_is_proved_by_labels() -> None:
    job = build_job(spec_of(), USUAL)
    live = {"kind": "StatefulSet", **live_of(spec_of())}
    assert foreign_reason(live, job) == ""
    for label, value, told in (
        (CLUSTER_LABEL, None, "was not made by pfrun"),
        (CLUSTER_LABEL, "other", "belongs to the functions' cluster 'other', not to 'standalone'"),
        ("name", "g", "is that of another function"),
    ):
        strange = copy.deepcopy(live)
        strange["metadata"]["labels"][label] = value
        if value is None:
            del strange["metadata"]["labels"][label]
        assert told in foreign_reason(strange, job)
    strange = copy.deepcopy(live)
    strange["metadata"]["annotations"][FUNCTION_ANNOTATION] = "public/default/F"
    assert "is that of another function (public/default/F)" in foreign_reason(strange, job)


@pytest.mark.parametrize(
    ("live", "wanted", "found"),
    [
        ({"a": 1, "more": 2}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Difference("a", 1, 2)]),
        ({}, {"a": {"b": "x"}}, [Difference("a.b", None, "x")]),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, {"limits": {"cpu": "1000m", "memory": "1073741824"}}, []),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, [Difference("limits.cpu", "1", "2")]),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "OLD", "value": "x"}]},
            {"env": [{"name": "A", "value": "2"}]},
            [Difference("env[A].value", "1", "2"), Difference("env[OLD]", {"name": "OLD", "value": "x"}, None)],
        ),
        ({"command": ["sh", "-c", "old"]}, {"command": ["sh", "-c", "new"]}, [Difference("command[2]", "old", "new")]),
        ({}, {"audience": ""}, []),
    ],
)
def test_differences_are_what_the_live_object_lacks(live: object, wanted: object, found: list[Difference]) -> None:
    assert list(differences(live, wanted)) == found
