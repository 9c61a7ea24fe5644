"""Launch cases that nobody recorded: recorded ones with a few settings changed, the same ones for the same number."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

_GIB = 1 << 30

_WORKER: dict[str, list[Any]] = {
    "pulsarServiceUrl": ["pulsar+ssl://b.example:6651", "pulsar://a:6650,b:6650"],
    "pulsarWebServiceUrl": ["https://b.example:8443/"],
    "stateStorageServiceUrl": ["bk://s:4181"],
    "additionalJavaRuntimeArguments": [["-XX:+UseZGC"], ["-Xmx5g", "-Dp=q"], [], None],
    "exposeAdminClientEnabled": [True, "true", False],
    "ignoreUnknownConfigFields": [True, "false"],
    "maxPendingAsyncRequests": [5, "12", 10.7],
    "instanceLivenessCheckFreqMs": [1000, "45000", 60000.9, 31999],
    "narExtractionDirectory": ["/nar", "", None],
    "downloadDirectory": ["/abs/dir", None, "rel/x", "./d"],
    "useTls": [True],
    "tlsTrustCertsFilePath": ["/tls/ca.pem", ""],
    "tlsAllowInsecureConnection": [True],
    "brokerClientAuthenticationPlugin": ["org.x.Plug"],
    "brokerClientAuthenticationParameters": ["a:b,c:d", ""],
    "functionInstanceMinResources": [{"cpu": 0.1, "ram": 1, "disk": 1}, {"cpu": 2}, {}, None],
    "functionInstanceMaxResources": [{"cpu": 16}, {"cpu": 4, "ram": 8 * _GIB}],
    "functionInstanceResourceGranularities": [{"cpu": 0.1, "ram": 1}, {"cpu": 0.25, "ram": _GIB // 4}],
    "functionInstanceResourceChangeInLockStep": [True],
}
_RUNTIME: dict[str, dict[str, list[Any]]] = {
    "Kubernetes": {
        "jobNamespace": ["ns1", "", None],
        "jobName": ["job", "My_Job", "", None],
        "pulsarDockerImageName": ["images.example/pulsar:4.0.8", None],
        "functionDockerImages": [{"JAVA": "j:1", "PYTHON": "p:1", "GO": "g:1"}, None],
        "imagePullPolicy": ["Always", "Never", None],
        "pulsarRootDir": ["/opt/pulsar", "", None],
        "configAdminCLI": ["/bin/pfadmin", "", None],
        "pulsarAdminUrl": ["http://inner:8080"],
        "installUserCodeDependencies": [True, False, "true", None],
        "pythonDependencyRepository": ["http://pypi.example", ""],
        "extraFunctionDependenciesDir": ["/deps", "rel/deps", "", None],
        "customLabels": [{"team": "My Team!"}, {"a": "", "b": "x" * 80}, {}, None, {"n": 5}, {"c": None}],
        "percentMemoryPadding": [10, 0, 33, "7", 12.9, None],
        "cpuOverCommitRatio": [2, 1.5, "3", None],
        "memoryOverCommitRatio": [1.3, 2, None],
        "grpcPort": [7000, "8000", None],
        "metricsPort": [7001, "9", None],
        "functionInstanceClassPath": ["/cp/*:/d", "", None],
        "gracePeriodSeconds": [0, "3", None],
    },
    "Process": {
        "javaInstanceJarLocation": ["/j/i.jar", None],
        "pythonInstanceLocation": ["/p/main.py", None],
        "logDirectory": ["logs/", "var/log", None],
        "extraFunctionDependenciesDir": ["/deps", "", None, "rel"],
    },
    "Thread": {
        "threadGroupName": ["g", "", None],
        "pulsarClientMemoryLimit": [
            {"absoluteValue": 1},
            {"absoluteValue": "1000"},
            {"absoluteValue": -1},
            {"percentOfMaxDirectMemory": 100.1},
            {"percentOfMaxDirectMemory": 33.33},
            {"absoluteValue": 10**8, "percentOfMaxDirectMemory": 99.9},
            {"absoluteValue": None, "percentOfMaxDirectMemory": 12},
            {"unknown": 1},
            {},
        ],
    },
}
_FUNCTION: dict[str, list[Any]] = {
    "tenant": ["My-Tenant", "t_1", "ten.ant"],
    "namespace": ["ns_x", "UP"],
    "name": ["My_Fn", "fünc", "a" * 55, "f.1-x", "9f"],
    "parallelism": [1, 3],
    "runtimeFlags": ['-Dfoo="a b" -Dbar=1', "-u", "-X dev -W 'ignore x'", "-Dp=${POD_NAME} -Dq=a\\ b"],
    "userConfig": ['{"k":"v"}', '{"q":"<b>$HOME</b>"}', "{}", '{"u":"ünï","n":1.50,"e":1e3}'],
    "resources": [
        {"cpu": 0.5, "ram": "536870912"},
        {"cpu": 2.0005, "ram": "805306368"},
        {"cpu": 3.3333, "ram": "3000000000", "disk": "1"},
        {"cpu": 0.75, "ram": "805306368"},
        {},
    ],
    "processingGuarantees": ["ATMOST_ONCE", "MANUAL"],
    "logTopic": ["persistent://public/default/log"],
    "autoAck": [False],
    "retainOrdering": [True],
    "retryDetails": [{"maxMessageRetries": 3, "deadLetterTopic": "dlq"}],
    "customRuntimeOptions": ["", "{}", "{jobName: unq, extraLabels: {a: b}}", '{"jobNamespace": "n2"}'],
}


def vary(case: Mapping[str, Any], number: int) -> dict[str, Any]:
    """``case`` with up to four settings of the worker, of its runtime, and of the function changed."""
    draw = random.Random(f"{case['name']}-{number}")
    varied = copy.deepcopy(dict(case))
    varied["name"] = f"{case['name']}-{number}"
    worker = varied["workerConfig"]
    runtime = next(name for name in _RUNTIME if name in worker["functionRuntimeFactoryClassName"])
    _change(draw, worker, _WORKER)
    _change(draw, worker.setdefault("functionRuntimeFactoryConfigs", {}), _RUNTIME[runtime])
    if "functionDetails" in varied:
        _change(draw, varied["functionDetails"], _FUNCTION)
    return varied


def _change(draw: random.Random, settings: dict[str, Any], choices: Mapping[str, list[Any]]) -> None:
    for key in draw.sample(sorted(choices), draw.randint(0, min(4, len(choices)))):
        settings[key] = draw.choice(choices[key])
