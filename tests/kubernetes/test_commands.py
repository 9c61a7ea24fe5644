"""``pfrun diff``, ``pfrun k8s gc`` and ``pfrun k8s rbac`` on a real control plane."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulsar_runtimes.cli.group import run as run_pfrun
from pulsar_runtimes.config.function import load_function_config
from pulsar_runtimes.runtimes.kubernetes.paths import path_of
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.workload import OWN_LAUNCHER, Begin, named, names, until_running, worker_keys
from tests.waiting import until
from tests.workers import SAMPLES

pytestmark = pytest.mark.kubernetes


@pytest.fixture
def pfrun(
    kubernetes: Cluster, job_namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "worker.yml").write_text(yaml.safe_dump(worker_keys(job_namespace)))

    def pfrun(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_pfrun([*arguments, "-c", "worker.yml", "--state-dir", str(tmp_path / "state")])
        return (code, *capsys.readouterr())

    return pfrun


def write_function(tmp_path: Path, name: str = "f", **keys: Any) -> str:
    document = {"name": name, "className": "samples.Exclaim", "py": str(SAMPLES), "inputs": ["in"], "output": "out"}
    (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(document | keys))
    return f"{name}.yml"


def test_diff_tells_what_would_restart(
    kubernetes: Cluster,
    job_namespace: str,
    tmp_path: Path,
    begin: Begin,
    pfrun: Callable[..., tuple[int, str, str]],
) -> None:
    file = write_function(tmp_path)
    code, out, _ = pfrun("diff", "--function-config", file)
    assert (code, "is not there, and would be created" in out) == (1, True), out
    worker = begin()
    worker.submit(load_function_config(file))
    until_running(worker)
    code, out, err = pfrun("diff", "--function-config", file)
    assert (code, out) == (0, out), err
    assert out.endswith("is as it should be\n"), out
    code, out, _ = pfrun("diff", "--function-config", write_function(tmp_path, parallelism=3))
    assert code == 1
    assert "no pod that stays is touched\n  spec.replicas: 1 -> 3\n" in out
    code, out, _ = pfrun("diff", "--function-config", write_function(tmp_path, userConfig={"a": 1}), "--output", "json")
    (found,) = json.loads(out)
    assert (found["step"], found["restartsPods"], found["immutable"]) == ("replace", True, [])
    assert any("--function_details" in str(each["wanted"]) for each in found["differences"]), found
    assert names(kubernetes, "statefulsets", job_namespace) == ["pf-public-default-f"]


def test_gc_finds_strays_by_their_label(
    kubernetes: Cluster,
    job_namespace: str,
    tmp_path: Path,
    begin: Begin,
    pfrun: Callable[..., tuple[int, str, str]],
) -> None:
    worker = begin()
    worker.submit(named("f"))
    worker.submit(named("g"))
    until_running(worker)
    worker.stop()
    assert pfrun("k8s", "gc", "--dry-run") == (0, "", "")
    kubernetes.request("DELETE", path_of("statefulsets", job_namespace, "pf-public-default-g"))
    until(lambda: names(kubernetes, "statefulsets", job_namespace), lambda left: len(left) == 1, seconds=30)
    code, out, _ = pfrun("k8s", "gc", "--dry-run")
    assert code == 1
    assert [line.split()[1:4] for line in out.splitlines()[1:]] == [
        ["Service", "pf-public-default-g", "public/default/g"]
    ]
    code, out, _ = pfrun("k8s", "gc", "--dry-run", "--function-config", write_function(tmp_path, "h"))
    assert {tuple(line.split()[1:3]) for line in out.splitlines()[1:]} == {
        ("Service", "pf-public-default-f"),
        ("Service", "pf-public-default-g"),
        ("StatefulSet", "pf-public-default-f"),
    }
    code, out, err = pfrun("k8s", "gc")
    assert (code, "gc asks before it deletes, and nobody can answer here; give --yes" in err) == (2, True)
    code, out, _ = pfrun("k8s", "gc", "--yes")
    told = f"Service pf-public-default-g of namespace {job_namespace}: deleted"
    assert (code, out.splitlines()[-1]) == (0, told)
    assert names(kubernetes, "services", job_namespace) == ["pf-public-default-f"]
    assert pfrun("k8s", "gc") == (0, "", "")


def test_diff_and_gc_know_what_instances_are_told(
    kubernetes: Cluster,
    job_namespace: str,
    tmp_path: Path,
    begin: Begin,
    pfrun: Callable[..., tuple[int, str, str]],
) -> None:
    (tmp_path / "worker.yml").write_text(yaml.safe_dump(worker_keys(job_namespace, **OWN_LAUNCHER)))
    file = write_function(tmp_path)
    worker = begin(**OWN_LAUNCHER)
    worker.submit(load_function_config(file))
    until_running(worker)
    code, out, err = pfrun("diff", "--function-config", file)
    assert code == 0, out + err
    code, out, _ = pfrun("diff", "--function-config", write_function(tmp_path, parallelism=3))
    assert (code, "no pod that stays is touched" in out) == (1, True), out
    code, out, _ = pfrun("diff", "--function-config", write_function(tmp_path, userConfig={"a": 1}))
    assert "ConfigMap: 'what instances are told' -> 'what differs in --function_details'" in out
    worker.stop()
    kubernetes.request("DELETE", path_of("statefulsets", job_namespace, "pf-public-default-f"))
    until(lambda: names(kubernetes, "statefulsets", job_namespace), lambda left: not left, seconds=30)
    code, out, _ = pfrun("k8s", "gc", "--dry-run")
    assert {tuple(line.split()[1:3]) for line in out.splitlines()[1:]} == {
        ("Service", "pf-public-default-f"),
        ("ConfigMap", "pf-public-default-f-details"),
    }


def test_rbac_prints_what_the_api_server_takes(
    kubernetes: Cluster, job_namespace: str, pfrun: Callable[..., tuple[int, str, str]], capsys: Any
) -> None:
    capsys.readouterr()
    for arguments in ((), ("--cluster",)):
        code = run_pfrun(["k8s", "rbac", "-c", "worker.yml", *arguments])
        out = capsys.readouterr().out
        assert code == 0
        for manifest in yaml.safe_load_all(out):
            place = f"/namespaces/{job_namespace}" if "namespace" in manifest["metadata"] else ""
            path = f"/apis/rbac.authorization.k8s.io/v1{place}/{manifest['kind'].lower()}s"
            kubernetes.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", manifest)
