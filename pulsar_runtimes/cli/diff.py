"""``pfrun diff``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import click

from pulsar_runtimes.runtimes.kubernetes.change import Step
from pulsar_runtimes.runtimes.kubernetes.live_job import Comparison, compare

from .kubernetes_worker import require_kubernetes
from .options import WorkerOptions, output_option, worker_options
from .output import print_json, print_warnings
from .workload import load_workload

_WHAT = {
    Step.CREATE: "is not there, and would be created",
    Step.SCALE: "would get another number of replicas; no pod that stays is touched",
    Step.REPLACE: "would be changed in place",
    Step.RECREATE: "would be deleted and created",
}
_LONGEST_VALUE = 200


@click.command("diff")
@worker_options
@output_option("text")
def command(output: str, **options: Any) -> int:
    """Compare what runs on Kubernetes with what start would make of it.

    For each function that differs it tells which fields do, whether its pods would restart, and which of the fields
    nobody may change, so that the StatefulSet has to be made anew. Nothing is changed. The exit code is 0 when all is
    as it would be made, and 1 when something differs.
    """
    if not options["function_config"]:
        raise click.UsageError("there is nothing to compare; give --function-config")
    workload = load_workload(WorkerOptions(**options))
    print_warnings(workload.warnings)
    worker = workload.require_worker()
    factory = require_kubernetes(worker)
    with closing(factory.connect()) as api:
        found = [
            compare(api, factory.job(spec)) for function in workload.functions for spec in worker.plan(function.spec)
        ]
    if output == "json":
        print_json([_as_data(each) for each in found])
    else:
        for each in found:
            click.echo("\n".join(_lines(each)))
    return 0 if all(each.is_equal for each in found) else 1


def _lines(found: Comparison) -> Iterator[str]:
    job, change = found.job, found.change
    what = f"{job.key}: StatefulSet {job.name} of namespace {job.namespace}"
    if found.foreign:
        yield f"{job.key}: {found.foreign}"
        return
    if found.is_equal:
        yield f"{what} is as it should be"
        return
    told = _WHAT.get(change.step, "was changed by somebody else, and is left like that")
    if change.step is Step.REPLACE:
        told += "; its pods restart one after another" if change.restarts_pods else "; no pod restarts"
    if change.immutable:
        told += f", as nobody may change {', '.join(change.immutable)}; all of its pods end first"
    yield f"{what} {told}"
    for each in found.differences:
        yield f"  {each.path}: {_value(each.live)} -> {_value(each.wanted)}"


def _value(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _as_data(found: Comparison) -> dict[str, Any]:
    return {
        "function": str(found.job.key),
        "namespace": found.job.namespace,
        "name": found.job.name,
        "equal": found.is_equal,
        "step": found.change.step.value,
        "restartsPods": found.change.restarts_pods,
        "immutable": list(found.change.immutable),
        "foreign": found.foreign,
        "differences": [asdict(each) for each in found.differences],
    }
