"""A Kubernetes on free ports: a real control plane, and nodes on which pods are only said to run, or really do."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import yaml

from pulsar_runtimes.brokers.process_identity import ProcessIdentity
from tests.kubernetes import real_node
from tests.kubernetes.programs import NodePrograms, Programs
from tests.kubernetes.real_node import KEEPER, RealNode

READY_SECONDS = 120.0

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.1
_REQUEST_SECONDS = 10.0
_TAIL_LINES = 15
_PORTS = ("api", "etcd", "peer", "controllers", "scheduler", "nodes")

# In the order of their start; they are ended the other way around.
_PARTS = (KEEPER, "etcd", "apiserver", "controllers", "scheduler", "nodes", "containerd", "kubelet")

# What functions on Kubernetes have to do with. The others would only take time at the start.
_CONTROLLERS = (
    "statefulset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "endpointslice-controller",
    "root-ca-certificate-publisher-controller",
)

# Upstream's 20 to 50 requests a second are meant for clusters with other users.
_UNHURRIED = ("--kube-api-qps=500", "--kube-api-burst=500")

_PLAYED = "pfrun.test/played"


class ClusterError(Exception):
    """The cluster did not come up, or refused a request; the text says why."""


@dataclass(frozen=True)
class Cluster:
    """A running Kubernetes. Its data, logs and record are in ``directory``."""

    directory: Path
    programs: Programs
    ports: Mapping[str, int]
    token: str = field(repr=False)
    """Of an administrator."""
    node: RealNode | None = None
    """The one on which pods really run, if there is one."""
    node_programs: NodePrograms | None = None
    identities: dict[str, ProcessIdentity] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, repr=False, compare=False)
    """Only in the process that started it, which has to reap them."""

    @property
    def url(self) -> str:
        """Of the API server."""
        return f"https://{self.host}:{self.ports['api']}"

    @property
    def host(self) -> str:
        """The address that the API server listens on: that of the host as pods have it, else loopback."""
        return _LOOPBACK if self.node is None else self.node.host

    @property
    def kubeconfig(self) -> Path:
        """With the rights of an administrator."""
        return self.directory / "kubeconfig"

    def write_kubeconfig(self, path: Path, token: str) -> Path:
        """Make ``path`` a kubeconfig for whoever has ``token``."""
        authority = base64.b64encode((self.directory / "keys/authority.crt").read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(document))
        path.chmod(0o600)
        return path

    def request(self, method: str, path: str, body: object = None, *, content: str = "application/json") -> Any:
        """What the API server answers to an administrator, without any client library; ``ClusterError`` if it is no."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        trusted = ssl.create_default_context(cafile=str(self.directory / "keys/authority.crt"))
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS, context=trusted) as answer:
                text = answer.read().decode()
                return json.loads(text) if answer.headers.get_content_type() == "application/json" else text
        except urllib.error.HTTPError as error:
            with error:
                raise ClusterError(f"{method} {path}: {error.code} {error.read().decode()}") from None
        except (OSError, ValueError) as error:
            raise ClusterError(f"{method} {path}: {error}") from None

    def add_nodes(self, count: int) -> None:
        """Let ``count`` nodes of 1,000 pods each join; returns when they are ready."""
        size = {"cpu": "1000", "memory": "4Ti", "pods": "1000"}
        for number in range(count):
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": f"node-{number}",
                    "annotations": {_PLAYED: "yes"},
                    "labels": {"kubernetes.io/hostname": f"node-{number}"},
                },
                "status": {"allocatable": size, "capacity": size},
            }
            self.request("POST", "/api/v1/nodes", node)
        self._wait_for_nodes(count)

    def _wait_for_nodes(self, count: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while len(ready := self._ready_nodes()) < count:
            self._check(f"only {ready} are ready", deadline)

    def add_namespace(self, name: str) -> None:
        """A new namespace; returns when pods may be made in it."""
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        self.wait_for(f"/api/v1/namespaces/{name}/serviceaccounts/default")

    def wait_for(self, path: str) -> None:
        """Until there is something at ``path``; ``ClusterError`` when nothing comes."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.request("GET", path)
                return
            except ClusterError as error:
                self._check(str(error), deadline)

    def _ready_nodes(self) -> list[str]:
        return [
            node["metadata"]["name"]
            for node in self.request("GET", "/api/v1/nodes")["items"]
            if {"type": "Ready", "status": "True"}.items()
            <= {key: value for each in node["status"].get("conditions", ()) if each["type"] == "Ready"
                for key, value in each.items()}.items()
            and not node["spec"].get("taints")
        ]  # fmt: skip

    # Its parts

    def kill(self, part: str) -> None:
        """SIGKILL one of its processes; returns when it is gone."""
        identity = self.identities.pop(part, None)
        if identity is not None and identity.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(identity.pid, signal.SIGKILL)
        child = self.children.pop(part, None)
        if child is not None:
            child.wait()
            if child.stdin is not None:
                child.stdin.close()
        deadline = time.monotonic() + READY_SECONDS
        while identity is not None and identity.is_alive():
            if time.monotonic() > deadline:
                raise ClusterError(f"{part}: still there after SIGKILL")
            time.sleep(_POLL_SECONDS)

    def launch(self, part: str, *, dies_with_caller: bool = False) -> None:
        """Start one of its processes, the first time or again, and do not wait for it."""
        command = self._command(part)
        if dies_with_caller and (setpriv := shutil.which("setpriv")):
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with self.log(part).open("ab") as output:
            self.note(part, _spawn(command, self.directory, output))

    def note(self, part: str, child: subprocess.Popen[bytes]) -> None:
        """Remember the process that plays ``part``."""
        self.children[part] = child
        self.identities[part] = ProcessIdentity.of(child.pid)

    def start_real_node(self, *, dies_with_caller: bool) -> None:
        """Let the node join on which pods run; returns when it is ready."""
        assert self.node is not None
        assert self.node_programs is not None
        files = self.directory / "node"
        real_node.write_files(self.node, files, self.directory / "keys/authority.crt", self.node_programs)
        self.launch("containerd", dies_with_caller=dies_with_caller)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                real_node.load_pause(self.node, files)
                break
            except OSError as error:
                self._check(str(error), deadline, "containerd")
        self.launch("kubelet", dies_with_caller=dies_with_caller)
        self._wait_for_nodes(1)

    def wait_until_ready(self) -> None:
        """Until the API server answers; ``ClusterError`` when it does not."""
        self.wait_for("/readyz")

    def stop(self) -> None:
        """End it and throw its data away; when this returns nothing of it is left but its logs. Idempotent."""
        for part in reversed(_PARTS):
            self.kill(part)
        real_node.remove(self.directory / "node")
        for name in ("etcd", "keys"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        for name in ("cluster.json", "kubeconfig", "part.kubeconfig", "tokens.csv", "stages.yaml"):
            (self.directory / name).unlink(missing_ok=True)

    def _check(self, seen: str, deadline: float, part_in_question: str = "apiserver") -> None:
        """Wait a moment; ``ClusterError`` when that is pointless."""
        for part, child in self.children.items():
            if child.poll() is not None:
                raise ClusterError(f"{part} ended with exit code {child.returncode}\n{self.tail(part)}")
        if time.monotonic() > deadline:
            raise ClusterError(f"not ready within {READY_SECONDS:g} s: {seen}\n{self.tail(part_in_question)}")
        time.sleep(_POLL_SECONDS)

    def log(self, part: str) -> Path:
        """What it writes."""
        return self.directory / f"{part}.log"

    def tail(self, part: str) -> str:
        """The last lines of its log, for the text of an error."""
        lines = self.log(part).read_text(errors="replace").splitlines()
        return "\n".join([*lines[-_TAIL_LINES:], f"see {self.log(part)}"])

    def _command(self, part: str) -> list[str]:
        directory, ports = self.directory, self.ports
        kubeconfig = f"--kubeconfig={directory}/part.kubeconfig"
        etcd, peer = (f"http://{_LOOPBACK}:{ports[name]}" for name in ("etcd", "peer"))
        match part:
            case "etcd":
                options = [
                    *(f"--{kind}-client-urls={etcd}" for kind in ("listen", "advertise")),
                    f"--listen-peer-urls={peer}",
                    f"--initial-advertise-peer-urls={peer}",
                    f"--initial-cluster=test={peer}",
                    "--name=test",
                    f"--data-dir={directory}/etcd",
                    "--log-level=warn",
                    "--unsafe-no-fsync",  # the data is not meant to outlive the machine
                ]
            case "apiserver":
                options = [
                    f"--etcd-servers={etcd}",
                    f"--bind-address={self.host}",
                    f"--secure-port={ports['api']}",
                    "--advertise-address=192.0.2.1",  # nobody asks; a loopback address is refused
                    "--endpoint-reconciler-type=none",
                    f"--tls-cert-file={directory}/keys/server.crt",
                    f"--tls-private-key-file={directory}/keys/server.key",
                    f"--token-auth-file={directory}/tokens.csv",
                    "--authorization-mode=RBAC",
                    "--service-account-issuer=https://kubernetes.default.svc",
                    f"--service-account-key-file={directory}/keys/accounts.key",
                    f"--service-account-signing-key-file={directory}/keys/accounts.key",
                    "--service-cluster-ip-range=198.19.0.0/16",
                    f"--kubelet-client-certificate={directory}/keys/caller.crt",
                    f"--kubelet-client-key={directory}/keys/caller.key",
                    "--kubelet-preferred-address-types=InternalIP",
                ]
            case "controllers":
                options = [
                    kubeconfig,
                    *self._serving("controllers"),
                    f"--controllers={','.join(_CONTROLLERS)}",
                    f"--root-ca-file={directory}/keys/authority.crt",
                    "--concurrent-statefulset-syncs=20",
                    *_UNHURRIED,
                ]
            case "scheduler":
                options = [kubeconfig, *self._serving("scheduler"), *_UNHURRIED]
            case "nodes":
                options = [
                    kubeconfig,
                    f"--config={directory}/stages.yaml",
                    f"--manage-nodes-with-annotation-selector={_PLAYED}=yes",
                    "--manage-all-nodes=false",
                    "--node-lease-duration-seconds=40",
                    "--cidr=198.18.0.0/16",  # set aside for tests of networks; nobody sends anything there
                    "--node-ip=192.0.2.2",
                    f"--server-address={_LOOPBACK}:{ports['nodes']}",
                ]
                return [str(self.programs.nodes), *options]
            case _:
                if self.node is None or self.node_programs is None:
                    raise ValueError(part)
                rights = directory / "part.kubeconfig"
                return real_node.command(self.node, part, directory / "node", rights, self.node_programs)
        return [str(self.programs.control), part, *options]

    def _serving(self, part: str) -> list[str]:
        return [f"--bind-address={_LOOPBACK}", f"--secure-port={self.ports[part]}", "--leader-elect=false"]


def start(
    directory: Path,
    programs: Programs,
    *,
    nodes: int = 2,
    node_programs: NodePrograms | None = None,
    dies_with_caller: bool = False,
) -> Cluster:
    """A new Kubernetes that answers, with ``nodes`` ready nodes of those that are played; any user may do that.

    With ``node_programs`` it has a node on which pods really run in place of these; only root can do that, and
    ``real_node.check_machine`` says whether it can be done here. ``dies_with_caller``: the kernel ends it when the
    calling *thread* ends. ``ClusterError`` when it does not come up, or runs already. Nothing runs after an error.
    """
    directory = directory.absolute()
    if read(directory, programs) is not None:
        raise ClusterError(f"{directory}: there is a cluster already; stop that one first")
    directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(directory / "etcd", ignore_errors=True)
    cluster = Cluster(directory, programs, _free_ports(), secrets.token_hex(16), node_programs=node_programs)
    try:
        if node_programs is not None:
            cluster, nodes = _with_real_node(cluster, dies_with_caller=dies_with_caller), 0
        _write_files(cluster)
        for part in ("etcd", "apiserver"):
            cluster.launch(part, dies_with_caller=dies_with_caller)
        _write_record(cluster)
        cluster.wait_until_ready()
        for part in ("controllers", "scheduler", *(("nodes",) if nodes else ())):
            cluster.launch(part, dies_with_caller=dies_with_caller)
        _write_record(cluster)
        cluster.add_nodes(nodes)
        if cluster.node is not None:
            cluster.start_real_node(dies_with_caller=dies_with_caller)
            _write_record(cluster)
        cluster.wait_for("/api/v1/namespaces/default/serviceaccounts/default")
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _with_real_node(cluster: Cluster, *, dies_with_caller: bool) -> Cluster:
    """``cluster`` with the namespaces and the link of a node, whose address the API server needs."""
    files = cluster.directory / "node"
    files.mkdir(exist_ok=True)
    command = real_node.keeper_command(files, with_caller=dies_with_caller)
    with cluster.log(KEEPER).open("ab") as output:
        keeper = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if dies_with_caller else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
    cluster.note(KEEPER, keeper)
    assert keeper.stdout is not None
    with keeper.stdout:
        told = keeper.stdout.readline().decode()
    if not told:
        raise ClusterError(f"the node could not be made\n{cluster.tail(KEEPER)}")
    return replace(cluster, node=real_node.write_record(files, told))


def read(directory: Path, programs: Programs) -> Cluster | None:
    """The cluster that runs with its data in ``directory``; ``None`` when there is none."""
    directory = directory.absolute()
    try:
        record = json.loads((directory / "cluster.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    identities = {part: ProcessIdentity(*numbers) for part, numbers in record["processes"].items()}
    if not any(identity.is_alive() for identity in identities.values()):
        return None
    node = RealNode.read(directory / "node")
    return Cluster(directory, programs, record["ports"], record["token"], node, identities=identities)


def _spawn(command: list[str], directory: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _write_record(cluster: Cluster) -> None:
    processes = {part: [identity.pid, identity.start_time] for part, identity in cluster.identities.items()}
    record = {"ports": dict(cluster.ports), "token": cluster.token, "processes": processes}
    path = cluster.directory / "cluster.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(record))


def _write_files(cluster: Cluster) -> None:
    directory, programs = cluster.directory, cluster.programs
    (directory / "keys").mkdir(exist_ok=True)
    _run([str(programs.control), "keys", str(directory / "keys"), cluster.host])
    (directory / "stages.yaml").write_text(_run([str(programs.nodes), "stages"]))
    part = secrets.token_hex(16)
    tokens = directory / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f"{cluster.token},admin,admin,system:masters\n{part},part,part,system:masters\n")
    cluster.write_kubeconfig(cluster.kubeconfig, cluster.token)
    cluster.write_kubeconfig(directory / "part.kubeconfig", part)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=READY_SECONDS)
    if done.returncode != 0:
        raise ClusterError(f"{command[0]}: {done.stderr}")
    return done.stdout


def _free_ports() -> dict[str, int]:
    """Ports that nobody has now. All are held at once, so that they differ."""
    with contextlib.ExitStack() as held:
        numbers = {}
        for name in _PORTS:
            one = held.enter_context(socket.socket())
            one.bind((_LOOPBACK, 0))
            numbers[name] = one.getsockname()[1]
    return numbers
