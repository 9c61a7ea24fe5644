"""A node on which pods really run: a kubelet, containerd and runc in namespaces of their own. Root only.

Of the host they change nothing: they have a network, mounts and processes for themselves. What shows there is one link
with two routes, and a control group in each hierarchy; ``node_keeper`` takes both away, however the end comes. A pod
reaches servers of the host at ``RealNode.host``, if they listen there, and nobody else; the host reaches the pods.
There is no DNS, and no address of a Service.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from pulsar_runtimes.brokers.process_identity import ProcessIdentity
from tests.kubernetes import node_keeper
from tests.kubernetes.image import Image, write_image, write_layer
from tests.kubernetes.programs import NodePrograms
from tests.standalone.distribution import UnavailableError

NAME = "real"
KEEPER = "keeper"
PARTS = (KEEPER, "containerd", "kubelet")

_RECORD = "node.json"
_SOCKET = "/run/containerd/containerd.sock"
_PAUSE = "pfrun.test/pause:1"
_PLUGINS = Path("/usr/lib/cni")
_TOOLS = ("containerd", "ctr", "runc", "ip", "nsenter", "unshare", "setpriv", "mount")
_PACKAGES = "containerd runc containernetworking-plugins iproute2 util-linux mount"
_LOAD_SECONDS = 300.0
_REMOVE_SECONDS = 30.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class RealNode:
    """Where it is. ``snapshotter`` is how containerd keeps images there."""

    number: int
    process: int
    """Its first one, and when that began (``ProcessIdentity``)."""
    began: int
    snapshotter: str

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """The one whose keeper has written ``directory``; ``None`` as long as it has not."""
        try:
            return cls(**json.loads((directory / _RECORD).read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    @property
    def host(self) -> str:
        """The host's address as pods have it."""
        return f"198.18.{self.number}.1"

    @property
    def address(self) -> str:
        return f"198.18.{self.number}.2"

    @property
    def pods(self) -> str:
        """The addresses of its pods."""
        return f"198.18.{self.number}.128/25"

    @property
    def link(self) -> str:
        """The host's end of the cable between them."""
        return f"{node_keeper.PREFIX}{self.number}"

    @property
    def group(self) -> str:
        """The name of its control groups."""
        return f"{node_keeper.PREFIX}{self.number}"

    def inside(self, *command: str) -> list[str]:
        """``command`` as it is run on the node; it ends when ``nsenter`` is killed."""
        enter = ("nsenter", "--target", str(self.process), "--net", "--mount", "--pid")
        return [*enter, "setpriv", "--pdeathsig", "KILL", *command]

    def load(self, archive: Path) -> None:
        """Give it the image in ``archive``, so that its pods find it without a registry. ``OSError`` if it cannot."""
        command = ("ctr", "--address", _SOCKET, "--namespace", "k8s.io", "images", "import", str(archive.absolute()))
        done = subprocess.run(self.inside(*command), capture_output=True, text=True, timeout=_LOAD_SECONDS)
        if done.returncode != 0:
            raise OSError(f"{archive}: {done.stderr.strip()}")


def check_machine(environment: Mapping[str, str]) -> None:
    """``UnavailableError`` with what this machine lacks. Starts nothing that stays."""
    if os.geteuid() != 0:
        raise UnavailableError("a node on which pods really run needs root")
    path = environment.get("PATH", os.defpath)
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=path) is None]
    missing += [str(_PLUGINS / name) for name in ("bridge", "host-local") if not (_PLUGINS / name).exists()]
    if missing:
        raise UnavailableError(f"a real node needs {', '.join(missing)}; on Debian: apt-get install {_PACKAGES}")
    probe = ["unshare", "--net", "--mount", "--pid", "--fork", "--propagation", "private", "true"]
    done = subprocess.run(probe, capture_output=True, text=True)
    if done.returncode != 0:
        raise UnavailableError(f"a real node needs namespaces of its own: {done.stderr.strip()}")
    if not os.access("/sys/fs/cgroup", os.W_OK) and not any(
        os.access(place, os.W_OK) for place in Path("/sys/fs/cgroup").iterdir()
    ):
        raise UnavailableError("a real node needs control groups that can be written: /sys/fs/cgroup is read-only")


def keeper_command(directory: Path, *, with_caller: bool) -> list[str]:
    """What keeps the node whose files are in ``directory``. It prints where the node is."""
    options = ["--with-caller"] if with_caller else []
    return [sys.executable, "-I", "-S", node_keeper.__file__, "keep", str(directory), *options]


def write_record(directory: Path, text: str) -> RealNode:
    """Remember what a keeper has printed."""
    told = json.loads(text)
    node = RealNode(**told, began=ProcessIdentity.of(told["process"]).start_time)
    (directory / _RECORD).write_text(json.dumps(asdict(node)))
    return node


def write_files(node: RealNode, directory: Path, authority: Path, programs: NodePrograms) -> None:
    """What containerd and the kubelet are told, and the image that each pod needs."""
    _write_json(directory / "network/10-bridge.conflist", _network(node))
    (directory / "containerd.toml").write_text(_containerd(node, directory))
    (directory / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(node, directory, authority)))
    (directory / "resolv.conf").write_text("")
    layer = write_layer(directory / "pause-layer.tar", [("/pause", programs.pause)])
    write_image(directory / "pause.tar", Image(_PAUSE, [layer], command=["/pause"]))


def command(node: RealNode, part: str, directory: Path, kubeconfig: Path, programs: NodePrograms) -> list[str]:
    """What runs ``containerd`` or ``kubelet`` on the node."""
    if part == "containerd":
        return node.inside("containerd", "--config", str(directory / "containerd.toml"))
    return node.inside(
        str(programs.kubelet),
        f"--config={directory}/kubelet.yaml",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={NAME}",
        f"--node-ip={node.address}",
    )


def load_pause(node: RealNode, directory: Path) -> None:
    """The first image. ``OSError`` as long as containerd does not answer."""
    node.load(directory / "pause.tar")


def remove(directory: Path) -> None:
    """Everything of a node whose processes have been killed; also when nothing is there."""
    node = RealNode.read(directory)
    if node is not None:
        deadline = time.monotonic() + _REMOVE_SECONDS
        while ProcessIdentity(node.process, node.began).is_alive():  # it ends last of all on the node
            if time.monotonic() > deadline:
                raise OSError(f"the node in {directory} does not end")
            time.sleep(_POLL_SECONDS)
        node_keeper.tidy(node.number)
    shutil.rmtree(directory, ignore_errors=True)


def _network(node: RealNode) -> dict[str, Any]:
    ranges = [[{"subnet": node.pods}]]
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": False,
        "ipam": {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]},
    }
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}


def _containerd(node: RealNode, directory: Path) -> str:
    # Root without CAP_SYS_RESOURCE, as in many containers, may not lower the score by which the kernel chooses victims.
    return f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{_PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_PLUGINS}"
    conf_dir = "{directory}/network"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{node.snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def _kubelet(node: RealNode, directory: Path, authority: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "AlwaysAllow"},  # only the API server has a certificate to call it with
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.group}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "localStorageCapacityIsolation": False,
        "resolvConf": str(directory / "resolv.conf"),
        # The disk may be nearly full; that is not the business of these pods.
        "evictionHard": {"memory.available": "1%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "volumePluginDir": str(directory / "volume-plugins"),
        "maxPods": 100,
        "serializeImagePulls": False,
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
