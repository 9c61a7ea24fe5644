"""The rights that a worker asks for are those of its configuration, and no more."""

from __future__ import annotations

from dataclasses import replace

from pulsar_runtimes.runtimes.kubernetes.config import InstanceLauncher, KubernetesConfig
from pulsar_runtimes.runtimes.kubernetes.function_auth import SecretTokens, ServiceAccountTokens
from pulsar_runtimes.runtimes.kubernetes.rights import (
    build_roles,
    config_map_right,
    makes_secrets,
    needed_rights,
    rights_of,
)
from pulsar_runtimes.runtimes.kubernetes.settings import KubernetesSettings

REFERENCES = KubernetesSettings(secret_references=True)


def test_secrets_are_asked_for_only_where_they_are_made() -> None:
    assert makes_secrets(KubernetesSettings())
    assert not makes_secrets(REFERENCES)
    assert makes_secrets(replace(REFERENCES, auth_provider=SecretTokens()))
    assert not makes_secrets(replace(REFERENCES, auth_provider=ServiceAccountTokens()))
    repository = KubernetesConfig(python_dependency_repository="http://user:password@index")
    assert makes_secrets(replace(REFERENCES, config=repository))
    assert not makes_secrets(KubernetesSettings(config=KubernetesConfig(strict_reference=True)))


def test_config_maps_are_asked_for_only_where_they_are_made() -> None:
    own = KubernetesSettings(config=KubernetesConfig(instance_launcher=InstanceLauncher.PFRUN))
    added = {str(right) for right in set(rights_of(own)) - set(rights_of(KubernetesSettings()))}
    assert added == {f"{verb} configmaps" for verb in ("get", "create", "update", "delete", "list")}
    assert "list configmaps" not in {str(right) for right in needed_rights(own)}


def test_a_role_has_one_rule_for_each_resource() -> None:
    role, binding = build_roles(rights_of(REFERENCES), ["jobs"], "worker", "pulsar")
    assert role["metadata"] == {"name": "pfrun-worker", "namespace": "jobs"}
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["services"], "verbs": ["create", "delete", "get", "list", "update"]},
        {
            "apiGroups": ["apps"],
            "resources": ["statefulsets"],
            "verbs": ["create", "delete", "get", "list", "update", "watch"],
        },
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "worker", "namespace": "pulsar"}]
    assert binding["roleRef"]["kind"] == "Role"


def test_without_namespaces_it_is_a_cluster_role() -> None:
    role, binding = build_roles(rights_of(REFERENCES), [], "worker", "pulsar")
    assert (role["kind"], binding["kind"], binding["roleRef"]["kind"]) == (
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterRole",
    )
    assert "namespace" not in role["metadata"]


def test_a_worker_begins_without_the_rights_for_logs_and_strays() -> None:
    spared = {str(right) for right in set(rights_of(KubernetesSettings())) - set(needed_rights(KubernetesSettings()))}
    assert spared == {"get pods/log", "list services", "list secrets"}


def test_reading_a_config_map_is_a_right_in_its_own_namespace() -> None:
    assert config_map_right(KubernetesSettings()) is None
    config = KubernetesConfig(change_config_map="overrides", change_config_map_namespace="ops")
    found = config_map_right(KubernetesSettings(config=config))
    assert found is not None
    assert (str(found[0]), found[1]) == ("get configmaps", "ops")
