"""``pfrun render``: what would be launched."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

import pulsar_runtimes
from pulsar_runtimes.testing.golden import Golden
from tests.cli.daemon import Ran

Pfrun = Callable[..., Ran]
Write = Callable[[str, str], str]
Function = Callable[..., str]

KUBERNETES = """\
functionRuntimeFactoryClassName: kubernetes
pulsarServiceUrl: pulsar://there:6650
pulsarWebServiceUrl: http://there:8080
"""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_the_command_lines_of_processes_are_as_reviewed(
    pfrun: Pfrun, function: Function, golden: Golden, place: Path
) -> None:
    function(more='parallelism: 2\nsecrets: {KEY: s3cret}\nuserConfig: {mark: "?"}')
    ran = pfrun("render", "--function-config", "f.yml")
    assert (ran.code, ran.err) == (0, "")
    golden(
        "render-process.txt",
        _UUID.sub("<ID>", ran.out),
        {
            "<PYTHON>": sys.executable,
            "<PLACE>": str(place),
            "<STATE>": str(place.parent / "state"),
            "<PACKAGE>": str(Path(pulsar_runtimes.__file__).parent),
        },
    )


def test_threads_are_shown_with_their_function_and_memory_limit(
    pfrun: Pfrun, write: Write, function: Function, golden: Golden, place: Path
) -> None:
    limit = "{pulsarClientMemoryLimit: {absoluteValue: 1048576}}"
    write("worker.yml", f"functionRuntimeFactoryClassName: thread\nfunctionRuntimeFactoryConfigs: {limit}\n")
    ran = pfrun("render", "-c", "worker.yml", "--function-config", function(more="parallelism: 2"))
    assert (ran.code, ran.err) == (0, "")
    golden("render-thread.txt", ran.out, {"<PLACE>": str(place)})


def test_secrets_and_credentials_are_masked(pfrun: Pfrun, write: Write, function: Function) -> None:
    write(
        "worker.yml",
        "pulsarServiceUrl: pulsar://there:6650\nauthenticationEnabled: true\n"
        "brokerClientAuthenticationPlugin: org.apache.pulsar.client.impl.auth.AuthenticationToken\n"
        "brokerClientAuthenticationParameters: token:s3cret\n",
    )
    ran = pfrun("render", "-c", "worker.yml", "--function-config", function(more="secrets: {KEY: s3cret}"))
    assert ran.code == 0
    assert "s3cret" not in ran.out + ran.err
    assert "--client_auth_params '***'" in ran.out
    assert "--pulsar_serviceurl pulsar://there:6650" in ran.out


def test_nothing_is_started_or_made(pfrun: Pfrun, function: Function, tmp_path: Path, place: Path) -> None:
    file = function()
    before = sorted(place.iterdir())
    assert pfrun("render", "--function-config", file).code == 0
    assert sorted(place.iterdir()) == before
    assert not (tmp_path / "state").exists()


def test_nothing_is_rendered_when_anything_is_wrong(pfrun: Pfrun, write: Write, function: Function) -> None:
    write("worker.yml", "workerPortt: 1\nuseTls: perhaps\n")
    write("bad.yml", "name: bad\npy: samples.py\nclassName: samples.Exclaim\ninputs: [in]\nparallelism: 0\n")
    ran = pfrun("render", "-c", "worker.yml", "--function-config", function(), "--function-config", "bad.yml")
    assert (ran.code, ran.out) == (2, "")
    assert [line.split(": ")[0] for line in ran.err.splitlines()] == ["warning", "worker.yml:2", "bad.yml:5"]


def test_kubernetes_is_rendered_as_manifests(pfrun: Pfrun, write: Write, function: Function) -> None:
    write("worker.yml", KUBERNETES)
    ran = pfrun("render", "-c", "worker.yml", "--function-config", function())
    assert (ran.code, ran.err) == (0, "")
    made = [(document["kind"], document["metadata"]["name"]) for document in yaml.safe_load_all(ran.out)]
    assert made == [("Service", "pf-public-default-f"), ("StatefulSet", "pf-public-default-f")]
