"""``pfrun k8s`` and ``pfrun diff`` as far as no cluster is needed; tests/kubernetes has the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from pulsar_runtimes.testing.golden import Golden
from tests.cli.daemon import Ran

Pfrun = Callable[..., Ran]
Write = Callable[[str, str], str]

KUBERNETES = """\
functionRuntimeFactoryClassName: kubernetes
functionRuntimeFactoryConfigs: {jobNamespace: jobs}
pulsarServiceUrl: pulsar://broker:6650
pulsarWebServiceUrl: http://broker:8080
"""
CUSTOMIZED = f"{KUBERNETES}runtimeCustomizerClassName: basic\n"


@pytest.fixture
def roles(pfrun: Pfrun, write: Write) -> Callable[..., list[tuple[str, str]]]:
    """``roles(text, *arguments)``: kind and namespace of each role that is printed for that configuration."""

    def roles(text: str, *arguments: str) -> list[tuple[str, str]]:
        ran = pfrun("k8s", "rbac", "-c", write("worker.yml", text), *arguments)
        assert ran.code == 0, ran.err
        made = list(yaml.safe_load_all(ran.out))
        return [(each["kind"], each["metadata"].get("namespace", "")) for each in made if not each.get("roleRef")]

    return roles


def test_the_role_is_for_the_namespaces_that_functions_may_have(roles: Callable[..., list[tuple[str, str]]]) -> None:
    assert roles(KUBERNETES) == [("Role", "jobs")]
    assert roles(KUBERNETES, "-n", "a", "-n", "b") == [("Role", "a"), ("Role", "b")]
    assert roles(KUBERNETES, "--cluster") == [("ClusterRole", "")]
    assert roles(CUSTOMIZED) == [("ClusterRole", "")]
    assert roles(CUSTOMIZED, "-n", "a") == [("Role", "a")]


def test_the_role_is_as_reviewed(pfrun: Pfrun, write: Write, golden: Golden) -> None:
    ran = pfrun("k8s", "rbac", "-c", write("worker.yml", KUBERNETES), "--service-account", "pulsar/worker")
    golden("rbac.yml", ran.out)


@pytest.mark.parametrize("command", ["rbac", "gc"])
def test_the_help_of_each_part_is_as_reviewed(command: str, pfrun: Pfrun, golden: Golden) -> None:
    golden(f"help-k8s-{command}.txt", pfrun("k8s", command, "--help").out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["k8s", "rbac", "-c", "worker.yml", "--cluster", "-n", "a"], "leave --namespace out"),
        (["k8s", "rbac", "-c", "worker.yml", "--service-account", "worker"], "must be NAMESPACE/NAME"),
        (["k8s", "rbac"], "the configuration names the process runtime; this is about kubernetes"),
        (["diff", "-c", "worker.yml"], "there is nothing to compare; give --function-config"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], message: str, pfrun: Pfrun, write: Write) -> None:
    write("worker.yml", KUBERNETES)
    ran = pfrun(*arguments)
    assert ran.code == 2
    assert message in ran.err


def test_without_an_api_server_there_is_one_line(
    pfrun: Pfrun, write: Write, function: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "none")
    ran = pfrun("diff", "-c", write("worker.yml", KUBERNETES), "--function-config", function())
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("there is no way to a Kubernetes API server: ")
    assert ran.err.count("\n") == 1
