"""Apache Pulsar standalone on free loopback ports: broker, bookie and metadata in one small Java process."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from pulsar_runtimes.brokers.process_identity import ProcessIdentity
from tests.standalone.distribution import find_java

FunctionsWorker = Literal["thread", "process"]

READY_SECONDS = 180.0
STOP_SECONDS = 15.0

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.1
_REQUEST_SECONDS = 5.0
_TAIL_LINES = 15

# No machine of a test run needs more. The compiler's upper tiers cost more CPU at the start than they ever save here.
_MEMORY = ("-Xms64m", "-Xmx512m", "-XX:MaxDirectMemorySize=512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

# What bin/pulsar opens.
_OPENS = (
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/java.util.zip",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.platform",
    "java.management/sun.management",
    "jdk.management/com.sun.management.internal",
)

_PACKAGES = "org.apache.pulsar.packages.management.storage.filesystem.FileSystemPackagesStorageProvider"
_BROKER = """\
clusterName=standalone
bindAddress={address}
brokerServicePort={broker}
webServicePort={web}
numHttpServerThreads=8
managedLedgerDefaultEnsembleSize=1
managedLedgerDefaultWriteQuorum=1
managedLedgerDefaultAckQuorum=1
managedLedgerCacheSizeMB=32
transactionCoordinatorEnabled=false
allowLoopback=true
listeningInterface={link}
ledgerStorageClass=org.apache.bookkeeper.bookie.storage.ldb.DbLedgerStorage
dbStorage_writeCacheMaxSizeMb=32
dbStorage_readAheadCacheMaxSizeMb=32
journalSyncData=false
journalMaxGroupWaitMSec=1
diskUsageThreshold=0.99
diskUsageWarnThreshold=0.99
enablePackagesManagement=true
packagesManagementStorageProvider={packages}
"""

_WORKER = """\
workerId: standalone
workerHostname: localhost
workerPort: {worker}
pulsarServiceUrl: pulsar://127.0.0.1:{broker}
pulsarWebServiceUrl: http://127.0.0.1:{web}
pulsarFunctionsNamespace: public/functions
pulsarFunctionsCluster: standalone
functionMetadataTopicName: metadata
clusterCoordinationTopicName: coordinate
functionAssignmentTopicName: assignments
schedulerClassName: org.apache.pulsar.functions.worker.scheduler.RoundRobinScheduler
numFunctionPackageReplicas: 1
downloadDirectory: download/pulsar_functions
functionRuntimeFactoryClassName: org.apache.pulsar.functions.runtime.{factory}
failureCheckFreqMs: 5000
rescheduleTimeoutMs: 60000
initialBrokerReconnectMaxRetries: 60
assignmentWriteMaxRetries: 60
instanceLivenessCheckFreqMs: 5000
topicCompactionFrequencySec: 1800
rebalanceCheckFreqSec: -1
"""

_RUNTIME = "functionRuntimeFactoryConfigs"
_FACTORIES: Mapping[FunctionsWorker, tuple[str, Mapping[str, Any]]] = {
    "thread": ("thread.ThreadRuntimeFactory", {"threadGroupName": "functions"}),
    "process": ("process.ProcessRuntimeFactory", {"logDirectory": "logs/functions/"}),
}


class StandaloneError(Exception):
    """Pulsar did not come up; the text has the last lines of its log."""


@dataclass(frozen=True)
class Standalone:
    """A running Pulsar. Its data, log and record are in ``directory``."""

    service_url: str
    admin_url: str
    home: Path
    directory: Path
    identity: ProcessIdentity
    metadata_url: str = ""
    """Of its ZooKeeper; empty without one."""
    table_service_url: str = ""
    """BookKeeper's, where functions keep state; empty unless it was started with one."""
    child: subprocess.Popen[bytes] | None = field(default=None, repr=False, compare=False)
    """Only in the process that started it, which has to reap it."""

    def stop(self) -> None:
        """End it and whatever it has started; when this returns it is gone. Idempotent."""
        if self.identity.is_alive():
            self.identity.stop(grace_seconds=STOP_SECONDS)
            # The instances of its process runtime, when it had no time to end them.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.identity.pid, signal.SIGKILL)
        if self.child is not None:
            self.child.wait()


@dataclass(frozen=True)
class _Ports:
    """Kept with the data, so that clients find a Pulsar again that was stopped and started.

    The last three are those of a Pulsar with a table service. In another one the bookie finds a port by itself, and
    keeps it.
    """

    broker: int
    web: int
    worker: int
    zookeeper: int
    bookie: int
    table_service: int


def start(
    directory: Path,
    home: Path,
    environment: Mapping[str, str],
    *,
    functions_worker: FunctionsWorker | None = None,
    worker_settings: Mapping[str, Any] | None = None,
    with_zookeeper: bool = False,
    table_service: bool = False,
    broker_settings: Mapping[str, str] | None = None,
    token: str = "",
    address: str = _LOOPBACK,
    link: str = "lo",
    dies_with_caller: bool = False,
) -> Standalone:
    """A Pulsar that answers, with its data under ``directory``; data of an earlier start is kept, ports too.

    ``worker_settings`` are keys of ``functions_worker.yml``; those of its runtime factory are added to ours.
    ``with_zookeeper`` keeps the metadata in a ZooKeeper, which a worker in a process of its own needs, and
    ``table_service`` brings BookKeeper's, with a ZooKeeper: both listen on all addresses, and cannot be told otherwise.
    ``broker_settings`` are keys of ``standalone.conf``; with authentication ``token`` is that of a super user. It
    listens on ``address``, which ``link`` of this machine has. ``dies_with_caller``: the kernel ends it when the
    calling *thread* ends. Its worker, if it has one, leads. ``UnavailableError`` without Java; ``StandaloneError`` when
    it does not come up, or runs already. Nothing runs after an error.
    """
    directory = directory.absolute()
    java = find_java(environment)
    if running := read(directory):
        raise StandaloneError(f"{directory}: in use by process {running.identity.pid}; stop that one first")
    directory.mkdir(parents=True, exist_ok=True)
    ports = _read_ports(directory) or _free_ports()
    command = [
        java,
        *_java_options(home, directory),
        *_arguments(
            directory,
            ports,
            functions_worker,
            worker_settings or {},
            broker_settings or {},
            table_service=table_service,
            listens=(address, link),
        ),
    ]
    if with_zookeeper and not table_service:
        command += ["--zookeeper-port", str(ports.zookeeper), "--zookeeper-dir", f"{directory}/data/zookeeper"]
    if with_zookeeper or table_service:
        environment = {**environment, "PULSAR_STANDALONE_USE_ZOOKEEPER": "1"}
    if dies_with_caller and (setpriv := shutil.which("setpriv", path=environment.get("PATH", os.defpath))):
        command = [setpriv, "--pdeathsig", "KILL", *command]
    log = directory / "standalone.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=directory,  # it makes packages-storage, download and logs in its working directory
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Standalone(
        service_url=f"pulsar://{address}:{ports.broker}",
        admin_url=f"http://{address}:{ports.web}",
        home=home,
        directory=directory,
        identity=ProcessIdentity.of(child.pid),
        metadata_url=f"zk:{_LOOPBACK}:{ports.zookeeper}" if with_zookeeper or table_service else "",
        table_service_url=f"bk://{_LOOPBACK}:{ports.table_service}" if table_service else "",
        child=child,
    )
    try:
        _write_record(running, ports)
        _wait_until_ready(child, (address, ports.web), log, functions_worker, token)
    except BaseException:
        running.stop()
        raise
    return running


def read(directory: Path) -> Standalone | None:
    """The Pulsar that runs with its data in ``directory``; ``None`` when there is none."""
    record = _read_record(directory.absolute())
    if record is None:
        return None
    identity = ProcessIdentity(record["pid"], record["startTime"])
    if not identity.is_alive():
        return None
    return Standalone(
        service_url=record["serviceUrl"],
        admin_url=record["adminUrl"],
        home=Path(record["home"]),
        directory=directory.absolute(),
        identity=identity,
        table_service_url=record["tableServiceUrl"],
    )


def _java_options(home: Path, directory: Path) -> list[str]:
    """What bin/pulsar gives to Java, less what a test run has no use for."""
    opens = [argument for package in _OPENS for argument in ("--add-opens", f"{package}=ALL-UNNAMED")]
    drivers = "org.apache.pulsar.metadata.bookkeeper.PulsarMetadata"
    properties = {
        "java.net.preferIPv4Stack": "true",
        "io.netty.tryReflectionSetAccessible": "true",
        "org.apache.pulsar.shade.io.netty.tryReflectionSetAccessible": "true",
        "bookkeeper.metadata.bookie.drivers": f"{drivers}BookieDriver",
        "bookkeeper.metadata.client.drivers": f"{drivers}ClientDriver",
        "log4j.configurationFile": "log4j2.yaml",
        "log4j2.is.webapp": "false",
        "log4j.shutdownHookEnabled": "false",
        "pulsar.log.appender": "RoutingAppender",
        "pulsar.routing.appender.default": "Console",
        "pulsar.log.dir": f"{directory}/logs",
        "pulsar.log.file": "standalone.log",
        "pulsar.log.level": "info",
        "pulsar.log.root.level": "info",
        "pulsar.functions.java.instance.jar": f"{home}/instances/java-instance.jar",
        "pulsar.functions.python.instance.file": f"{home}/instances/python-instance/python_instance_main.py",
        "pulsar.functions.extra.dependencies.dir": f"{home}/instances/deps",
        "pulsar.functions.instance.classpath": f"{home}/lib/*",
        "pulsar.functions.log.conf": f"{home}/conf/functions_log4j2.xml",
        "pulsar.functions.process.container.log.dir": f"{directory}/logs",
    }
    defined = [f"-D{name}={value}" for name, value in properties.items()]
    return [*_MEMORY, *opens, *defined, "-cp", f"{home}/conf:{home}/lib/*"]


def _arguments(
    directory: Path,
    ports: _Ports,
    functions_worker: FunctionsWorker | None,
    worker_settings: Mapping[str, Any],
    broker_settings: Mapping[str, str],
    *,
    table_service: bool,
    listens: tuple[str, str],
) -> list[str]:
    """The class and its arguments; writes the files that they name."""
    broker_file = directory / "standalone.conf"
    more = "".join(f"{name}={value}\n" for name, value in broker_settings.items())
    address, link = listens
    text = _BROKER.format(**vars(ports), packages=_PACKAGES, address=address, link=link)
    broker_file.write_text(text + more)
    arguments = ["org.apache.pulsar.PulsarStandaloneStarter", "--config", str(broker_file)]
    arguments += ["--advertised-address", address]
    arguments += ["--bookkeeper-dir", f"{directory}/data/bookkeeper", "--metadata-dir", f"{directory}/data/metadata"]
    if table_service:
        arguments += ["--zookeeper-port", f"{ports.zookeeper}", "--bookkeeper-port", f"{ports.bookie}"]
        arguments += ["--stream-storage-port", f"{ports.table_service}"]
    else:
        arguments += ["--no-stream-storage"]
    if functions_worker is None:
        return [*arguments, "--no-functions-worker"]
    factory, runtime = _FACTORIES[functions_worker]
    settings = yaml.safe_load(_WORKER.format(**vars(ports), factory=factory)) | worker_settings
    settings[_RUNTIME] = {**runtime, **worker_settings.get(_RUNTIME, {})}
    worker_file = directory / "functions_worker.yml"
    worker_file.write_text(yaml.safe_dump(settings))
    return [*arguments, "--functions-worker-conf", str(worker_file)]


def _wait_until_ready(
    child: subprocess.Popen[bytes],
    web: tuple[str, int],
    log: Path,
    functions_worker: FunctionsWorker | None,
    token: str,
) -> None:
    # The namespace is made after the broker's port opens.
    awaited = {"/admin/v2/brokers/health": "", "/admin/v2/namespaces/public/default": ""}
    if functions_worker is not None:
        awaited["/admin/v3/functions/public/default"] = ""
        awaited["/admin/v2/worker/cluster/leader/ready"] = " true"  # before that it makes functions by half, or not
    deadline = time.monotonic() + READY_SECONDS
    for path, told in awaited.items():
        while not (seen := _get(web, path, token)).startswith(f"200{told}"):
            if child.poll() is not None:
                raise StandaloneError(f"Pulsar ended with exit code {child.returncode}\n{_tail(log)}")
            if time.monotonic() >= deadline:
                wanted = f"200{told}"
                raise StandaloneError(f"{path}: no {wanted} within {READY_SECONDS:g} s (last: {seen})\n{_tail(log)}")
            time.sleep(_POLL_SECONDS)


def _get(web: tuple[str, int], path: str, token: str) -> str:
    """The status of the answer and the beginning of its body, or why there is none."""
    connection = http.client.HTTPConnection(*web, timeout=_REQUEST_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return f"{answer.status} {answer.read(100).decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([*lines[-_TAIL_LINES:], f"see {log}"])


def _free_ports() -> _Ports:
    """Ports that nobody has now. All are held at once, so that they differ."""
    with contextlib.ExitStack() as held:
        numbers = []
        for _ in fields(_Ports):
            one = held.enter_context(socket.socket())
            one.bind((_LOOPBACK, 0))
            numbers.append(one.getsockname()[1])
    return _Ports(*numbers)


def _record_path(directory: Path) -> Path:
    return directory / "standalone.json"


def _write_record(running: Standalone, ports: _Ports) -> None:
    record = {
        "serviceUrl": running.service_url,
        "adminUrl": running.admin_url,
        "tableServiceUrl": running.table_service_url,
        "home": str(running.home),
        "pid": running.identity.pid,
        "startTime": running.identity.start_time,
        "ports": vars(ports),
    }
    _record_path(running.directory).write_text(json.dumps(record))


def _read_record(directory: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(_record_path(directory).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return record


def _read_ports(directory: Path) -> _Ports | None:
    record = _read_record(directory)
    return None if record is None else _Ports(**record["ports"])
