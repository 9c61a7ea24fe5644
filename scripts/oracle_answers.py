"""What pfrun would launch for a case of recorded reference behaviour, through the public API; nothing is launched.

A case is a JSON object: ``workerConfig``, ``environment``, ``files``, ``functionDetails``, ``instance``, ``codeFile``
and what else the launch depends on. The answer has ``processCommand``, ``processEnv`` and ``clientMemoryLimit``, or the
manifests ``statefulSet``, ``service`` and ``secret`` with ``secretNamespace``; or ``startError`` or ``admissionError``
when there is nothing to launch.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pulsar_runtimes import PfrunError, Worker, parse_worker_config
from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.model.details import parse_details
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.runtimes.base import STRICT_VARIABLE
from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.runtimes.process.factory import ProcessRuntimeFactory
from pulsar_runtimes.runtimes.resource_bounds import ResourceBounds, check_resources
from pulsar_runtimes.runtimes.thread.factory import ThreadRuntimeFactory

HOME = "@PULSAR_HOME@"
DEFAULT_DIRECT_MEMORY = 268435456
DEFAULT_CLASS_PATH = "/pulsar/lib/*"


def answer(case: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one case, with ``@PULSAR_HOME@`` where a path begins with the made-up installation."""
    with tempfile.TemporaryDirectory(prefix="pfrun-oracle-") as home:
        case = json.loads(json.dumps(case).replace(HOME, home))
        for name, text in case.get("files", {}).items():
            file = Path(home, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        found = {"name": case["name"], **_answer(case, home)}
        answered: dict[str, Any] = json.loads(json.dumps(found).replace(home, HOME))
        return answered


def _answer(case: Mapping[str, Any], home: str) -> dict[str, Any]:
    # The JVM of the reference's worker is told its class path; here a variable says it.
    class_path = case.get("workerClassPath", DEFAULT_CLASS_PATH)
    ours = {STRICT_VARIABLE: "1", "PULSAR_FUNCTION_INSTANCE_CLASSPATH": class_path}
    environment = {"PULSAR_HOME": home, **ours, **case.get("environment", {})}
    try:
        worker = _worker(case, environment, home)
    except PfrunError as error:
        return {"startError": str(error)}
    if isinstance(worker.factory, ThreadRuntimeFactory):
        return _thread(case, worker, worker.factory)
    if isinstance(worker.factory, ProcessRuntimeFactory):
        return _process(case, worker, worker.factory, environment)
    if isinstance(worker.factory, KubernetesRuntimeFactory):
        return _kubernetes(case, worker, worker.factory)
    raise TypeError(f"there are no answers for the {worker.factory.name} runtime")


def _worker(case: Mapping[str, Any], environment: Mapping[str, str], home: str) -> Worker:
    config = parse_worker_config(parse_document(json.dumps(case["workerConfig"])), environment)
    return Worker(
        config,
        state_dir=Path(home, "state"),
        environment=environment,
        memory_ceiling_bytes=case.get("maxDirectMemory", DEFAULT_DIRECT_MEMORY),
    )


def _thread(case: Mapping[str, Any], worker: Worker, factory: ThreadRuntimeFactory) -> dict[str, Any]:
    """The limit of the shared client, which is made before any function, so that an error leaves it as it is."""
    found: dict[str, Any] = {"clientMemoryLimit": factory.client_memory_bytes or 0}
    if case.get("functionDetails") is not None:
        spec = _instance(case, worker)
        if spec.function.language is not Language.JAVA:  # what the reference runs here, pfrun runs as a process
            try:
                factory.check(spec)
            except PfrunError as error:
                found["startError"] = str(error)
    return found


def _process(
    case: Mapping[str, Any], worker: Worker, factory: ProcessRuntimeFactory, environment: Mapping[str, str]
) -> dict[str, Any]:
    if case.get("functionDetails") is None:
        return {}
    given = case.get("functionAuth") or {}
    # The clear text provider keeps the token itself; what is stored stands where others keep the end of a name.
    kept = given.get("secretId") if given.get("operation") == "stored" else given.get("token")
    try:
        spec = _instance(case, worker)
    except ValueError as error:  # details that cannot be read are no function
        return {"admissionError": str(error)}
    try:
        launch = factory.launch(replace(spec, auth_data=kept or ""))
    except PfrunError as error:
        return {"startError": str(error)}
    assert launch.command is not None
    changed = {name: value for name, value in launch.environment.items() if environment.get(name) != value}
    return {"processCommand": list(launch.command), "processEnv": changed}


def _kubernetes(case: Mapping[str, Any], worker: Worker, factory: KubernetesRuntimeFactory) -> dict[str, Any]:
    if case.get("functionDetails") is None:
        return {}
    try:
        spec = _instance(case, worker)
        check_resources(spec.function, ResourceBounds.from_settings(worker.config))
        factory.check(spec)
    except (PfrunError, ValueError) as error:  # details that cannot be read are no function
        return {"admissionError": str(error)}
    try:
        spec, secret = _with_credentials(case.get("functionAuth") or {}, spec, factory)
        manifests = factory.manifests(spec)
    except PfrunError as error:
        return {"startError": str(error)}
    return {
        "statefulSet": manifests.stateful_set,
        "service": manifests.service,
        "secret": secret,
        "secretNamespace": secret and secret["metadata"]["namespace"],
    }


def _with_credentials(
    given: Mapping[str, Any], spec: InstanceSpec, factory: KubernetesRuntimeFactory
) -> tuple[InstanceSpec, dict[str, Any] | None]:
    """The instance with what is kept of the user's token, and the Secret that is made for it."""
    operation, token, secret_id = (given.get(key) or "" for key in ("operation", "token", "secretId"))
    if operation in ("", "stored"):
        return replace(spec, auth_data=secret_id), None
    known = replace(spec, auth_data=secret_id if operation == "update" else "")
    kept = factory.plan_token(known, token, secret_id)
    return replace(spec, auth_data=kept.data), kept.secret


def _instance(case: Mapping[str, Any], worker: Worker) -> InstanceSpec:
    """The instance of the case's number; what the reference draws at random is the case's."""
    given = case.get("instance", {})
    number = given.get("instanceId", 0)
    function = replace(parse_details(json.dumps(case["functionDetails"])), package=case.get("codeFile", ""))
    wide = replace(function, parallelism=max(function.parallelism, number + 1))
    spec: InstanceSpec = worker.plan(wide)[number]
    return replace(
        spec,
        function=function,
        function_id=given.get("functionId", ""),
        function_version=given.get("functionVersion", ""),
        port=given.get("port", 0),
        metrics_port=given.get("metricsPort", 0),
        first_consumer_number=0,
        transform_file=case.get("transformFunctionFile") or "",
        transform_id=given.get("transformFunctionId", ""),
        code_name=case.get("originalCodeFileName") or "",
        transform_name=case.get("originalTransformFunctionFileName") or "",
    )


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: scripts/oracle-answers CASES_DIR OUT_DIR")
    cases, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(cases.glob("*.json")):
        found = answer(json.loads(path.read_text(encoding="utf-8")))
        (out / path.name).write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
