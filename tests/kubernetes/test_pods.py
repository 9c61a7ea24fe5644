"""Functions in pods that really run, by pfrun's own launcher: ``pfrun start``, a real Apache Pulsar, a real node."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pulsar
import pulsar.schema
import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from pulsar_runtimes.cli.group import run as run_pfrun
from pulsar_runtimes.config.worker import SERVICE_ACCOUNT_AUTH_PROVIDER
from pulsar_runtimes.runtimes.kubernetes.paths import path_of
from tests.kubernetes.cluster import Cluster, ClusterError
from tests.kubernetes.python_image import JAVA_NAME, build_java_image
from tests.kubernetes.workload import names, pod_uids
from tests.languages.go_program import build_go_function
from tests.standalone import standalone
from tests.standalone.distribution import find_java
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone
from tests.waiting import until

pytestmark = [pytest.mark.kubernetes, pytest.mark.standalone, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
JOB = "pf-public-default-f"
SECONDS = 180.0
STOP_SECONDS = 60.0
OBJECTS = ("statefulsets", "services", "configmaps", "secrets", "pods")
CODE = """
import os
from pulsar import Function

class Tell(Function):
    def process(self, input, context):
        mark = context.get_user_config_value("mark")
        return f"{input}{mark}{context.get_secret('PASSWORD')} {os.getuid()} {context.get_instance_id()}"
"""


@pytest.fixture(scope="module")
def node_pulsar(
    kubernetes_node: Cluster, pulsar_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standalone]:
    """An Apache Pulsar where pods reach it."""
    assert kubernetes_node.node is not None
    start = partial(standalone.start, address=kubernetes_node.host, link=kubernetes_node.node.link)
    directory = tmp_path_factory.mktemp("standalone")
    running = or_skip(lambda: start(directory, pulsar_home, os.environ, dies_with_caller=True))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(node_pulsar: Standalone) -> Iterator[pulsar.Client]:
    found = pulsar.Client(node_pulsar.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield found
    found.close()


@dataclass
class Place:
    """A worker, and the namespace of its functions."""

    kubernetes: Cluster
    namespace: str
    directory: Path
    url: str

    def pfrun(self, *arguments: str) -> None:
        """``pfrun functions``, which must do it."""
        assert run_pfrun(["functions", *arguments, "--url", self.url]) == 0

    def write(self, **keys: Any) -> str:
        """A function config, with ``keys`` laid over what all have."""
        document = {
            "name": "f",
            "inputs": [f"in-{self.namespace}"],
            "output": f"out-{self.namespace}",
            "subscriptionPosition": "Earliest",
            "resources": {"cpu": 0.1, "ram": 256 << 20, "disk": 1 << 30},
        }
        file = self.directory / "function.yml"
        file.write_text(yaml.safe_dump({**document, **keys}))
        return str(file)

    def await_ready(self, count: int) -> None:
        """Until the StatefulSet has as many pods as that, all of its newest version, and ready."""
        path = path_of("statefulsets", self.namespace, JOB)

        def look() -> Mapping[str, Any]:
            try:
                return dict(self.kubernetes.request("GET", path))
            except ClusterError as error:
                return {"status": str(error), "metadata": {}}

        def is_ready(seen: Mapping[str, Any]) -> bool:
            status = seen["status"]
            return isinstance(status, dict) and (
                status.get("observedGeneration") == seen["metadata"]["generation"]
                and status.get("readyReplicas") == status.get("replicas") == count
                and status.get("currentRevision") == status.get("updateRevision")
            )

        until(look, is_ready, seconds=SECONDS)

    def left(self) -> list[str]:
        """Everything in the namespace but what Kubernetes itself puts into each."""
        found = [name for resource in OBJECTS for name in names(self.kubernetes, resource, self.namespace)]
        return [name for name in found if name != "kube-root-ca.crt"]


@pytest.fixture
def begin(
    kubernetes_node: Cluster, node_namespace: str, node_pulsar: Standalone, python_image: str, tmp_path: Path
) -> Iterator[Callable[..., Place]]:
    """``begin(**keys)`` is a worker by ``pfrun start`` with the example's configuration and ``keys`` laid over it.

    The namespace of its functions enforces ``restricted``.
    """
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    namespace = f"/api/v1/namespaces/{node_namespace}"
    kubernetes_node.request("PATCH", namespace, label, content="application/merge-patch+json")
    with socket.socket() as free:
        free.bind((kubernetes_node.host, 0))
        port = free.getsockname()[1]
    url = f"http://{kubernetes_node.host}:{port}"
    document = yaml.safe_load((ROOT / "conf/functions_worker.kubernetes-pfrun.yml").read_text())
    document |= {
        "workerPort": port,
        "pulsarFunctionsNamespace": f"public/{node_namespace}",
        "pulsarServiceUrl": node_pulsar.service_url,
        "pulsarWebServiceUrl": node_pulsar.admin_url,
    }
    document["functionRuntimeFactoryConfigs"] |= {
        "pulsarAdminUrl": url,
        "jobNamespace": node_namespace,
        "pulsarDockerImageName": python_image,
        "functionDockerImages": {"PYTHON": python_image, "GO": python_image, "JAVA": JAVA_NAME},
    }
    command = [sys.executable, "-P", "-m", "pulsar_runtimes", "start", "--conf", str(tmp_path / "worker.yml")]
    command += ["--state-dir", str(tmp_path / "state"), "--listen", kubernetes_node.host, "--insecure"]
    environment = {**os.environ, "KUBECONFIG": str(kubernetes_node.kubeconfig), "PYTHONPATH": str(ROOT)}
    with contextlib.ExitStack() as ends:

        def begin(**keys: Any) -> Place:
            (tmp_path / "worker.yml").write_text(yaml.safe_dump({**document, **keys}))
            log = ends.enter_context((tmp_path / "worker.log").open("wb"))
            worker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
            ends.callback(_end, worker)
            assert worker.stdout is not None
            ends.enter_context(worker.stdout)
            assert b" is up: " in worker.stdout.readline(), (tmp_path / "worker.log").read_text()
            return Place(kubernetes_node, node_namespace, tmp_path, url)

        yield begin


@pytest.fixture
def place(begin: Callable[..., Place]) -> Place:
    """One whose worker asks nobody who he is."""
    return begin()


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(STOP_SECONDS)
    finally:
        worker.kill()
        worker.wait()


@pytest.fixture
def answers(node_namespace: str, client: pulsar.Client) -> Iterator[Callable[[Sequence[str]], list[str]]]:
    """``answers(["a"])`` sends the texts to the function, and gives its answers, one for each."""
    # A Java function of strings declares that on its topic, which must not have a producer of bytes by then.
    producer = client.create_producer(f"in-{node_namespace}", schema=pulsar.schema.StringSchema())
    consumer = client.subscribe(f"out-{node_namespace}", "test", initial_position=pulsar.InitialPosition.Earliest)

    def answers(texts: Sequence[str]) -> list[str]:
        for text in texts:
            producer.send(text)
        found = []
        for _ in texts:
            message = consumer.receive(int(SECONDS * 1000))
            consumer.acknowledge(message)
            found.append(message.data().decode())
        return found

    yield answers
    producer.close()
    consumer.close()


def test_a_python_function_lives_in_pods(
    place: Place, answers: Callable[[Sequence[str]], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    code = place.directory / "tell.py"
    code.write_text(CODE)
    function = {"className": "tell.Tell", "py": str(code), "secrets": {"PASSWORD": "s3cret"}}
    first = {**function, "userConfig": {"mark": "!"}}
    place.pfrun("create", "--function-config-file", place.write(**first, parallelism=3))
    place.await_ready(3)
    before = pod_uids(place.kubernetes, place.namespace)
    told = answers([f"m{number}" for number in range(60)])
    assert {text.rpartition(" ")[0] for text in told} == {f"m{number}!s3cret 10001" for number in range(60)}
    assert {text.rpartition(" ")[2] for text in told} == {"0", "1", "2"}
    capsys.readouterr()
    place.pfrun("status", "--name", "f", "--output", "json")
    status = json.loads(capsys.readouterr().out)
    assert status["numRunning"] == 3
    assert sum(each["status"]["numReceived"] for each in status["instances"]) == 60
    place.pfrun("logs", "--name", "f", "--instance-id", "1")
    assert "public/default/f:1 is ready" in capsys.readouterr().out

    place.pfrun("update", "--function-config-file", place.write(**first, parallelism=5))
    place.await_ready(5)
    after = pod_uids(place.kubernetes, place.namespace)
    assert len(before) == 3
    assert before.items() <= after.items()
    pods = place.kubernetes.request("GET", path_of("pods", place.namespace))["items"]
    assert not any(pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods)

    second = {**function, "userConfig": {"mark": "?"}}
    place.pfrun("update", "--function-config-file", place.write(**second, parallelism=5))
    until(lambda: set(pod_uids(place.kubernetes, place.namespace).values()) & set(after.values()), lambda old: not old,
          seconds=SECONDS)  # fmt: skip
    place.await_ready(5)
    assert {text.partition(" ")[0] for text in answers(["x"] * 20)} == {"x?s3cret"}

    place.pfrun("delete", "--name", "f")
    until(place.left, lambda left: not left, seconds=SECONDS)


def test_a_go_program_runs_in_a_pod(place: Place, answers: Callable[[Sequence[str]], list[str]]) -> None:
    program = or_skip(lambda: build_go_function(os.environ))
    place.pfrun("create", "--function-config-file", place.write(go=str(program), parallelism=1))
    place.await_ready(1)
    assert len(answers(["m1", "m2"])) == 2
    place.pfrun("delete", "--name", "f")
    until(place.left, lambda left: not left, seconds=SECONDS)


def test_a_java_function_runs_in_a_pod(
    place: Place, answers: Callable[[Sequence[str]], list[str]], pulsar_home: Path, tmp_path: Path
) -> None:
    java = Path(or_skip(lambda: find_java(os.environ)))
    assert place.kubernetes.node is not None
    place.kubernetes.node.load(build_java_image(tmp_path, java, pulsar_home))
    function = {
        "jar": str(pulsar_home / "examples/api-examples.jar"),
        "className": "org.apache.pulsar.functions.api.examples.ExclamationFunction",
        "resources": {"cpu": 1, "ram": 512 << 20, "disk": 1 << 30},
        "runtimeFlags": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:MaxDirectMemorySize=100m",
    }
    place.pfrun("create", "--function-config-file", place.write(**function, parallelism=1))
    place.await_ready(1)
    assert answers(["m"]) == ["m!"]
    place.pfrun("delete", "--name", "f")
    until(place.left, lambda left: not left, seconds=SECONDS)


def test_a_pod_shows_the_worker_the_token_of_its_service_account(
    kubernetes_node: Cluster,
    node_namespace: str,
    begin: Callable[..., Place],
    answers: Callable[[Sequence[str]], list[str]],
    tmp_path: Path,
) -> None:
    accounts = load_pem_private_key((kubernetes_node.directory / "keys/accounts.key").read_bytes(), None)
    key = tmp_path / "accounts.pub"
    key.write_bytes(accounts.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    place = begin(
        authenticationEnabled=True,
        authenticationProviders=["org.apache.pulsar.broker.authentication.AuthenticationProviderToken"],
        properties={"tokenPublicKey": f"file://{key}", "tokenPublicAlg": "ES256"},
        functionAuthProviderClassName=SERVICE_ACCOUNT_AUTH_PROVIDER,
    )
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = path_of("serviceaccounts", node_namespace, "default", "token")
    token = tmp_path / "token"
    token.write_text(kubernetes_node.request("POST", path, request)["status"]["token"])
    code = tmp_path / "tell.py"
    code.write_text(CODE)
    function = place.write(className="tell.Tell", py=str(code), userConfig={"mark": "!"}, parallelism=1)
    assert run_pfrun(["functions", "create", "--function-config-file", function, "--url", place.url]) != 0
    place.pfrun("create", "--function-config-file", function, "--token-file", str(token))
    place.await_ready(1)
    assert answers(["m"]) == ["m!None 10001 0"]
    place.pfrun("delete", "--name", "f", "--token-file", str(token))
    until(place.left, lambda left: not left, seconds=SECONDS)


def test_what_keeps_a_function_from_starting_is_in_its_pod(place: Place) -> None:
    code = place.directory / "broken.py"
    code.write_text("raise RuntimeError('no table of that name')\n")
    place.pfrun("create", "--function-config-file", place.write(className="broken.F", py=str(code), parallelism=1))

    def last_words() -> str:
        pods = place.kubernetes.request("GET", path_of("pods", place.namespace))["items"]
        states = [status for pod in pods for status in pod["status"].get("containerStatuses", ())]
        ends = [status.get("lastState", {}).get("terminated") or status["state"].get("terminated") for status in states]
        return " ".join(str(end.get("message")) for end in ends if end)

    until(last_words, lambda seen: "no table of that name" in seen, seconds=SECONDS)
    place.pfrun("delete", "--name", "f")
    until(place.left, lambda left: not left, seconds=SECONDS)
