"""``pfrun render``."""

from __future__ import annotations

from typing import Any

import click

from .options import WorkerOptions, worker_options
from .output import print_warnings
from .workload import load_workload


@click.command("render")
@worker_options
def command(**options: Any) -> None:
    """Print what start would launch, instance by instance, and start nothing.

    These are the command lines of processes and the manifests of Kubernetes, with secrets masked. The ids of
    functions are new at every start, and the port of the embedded broker is only known once it runs.
    """
    if not options["function_config"]:
        raise click.UsageError("there is nothing to render; give --function-config")
    workload = load_workload(WorkerOptions(**options))
    print_warnings(workload.warnings)
    worker = workload.require_worker()
    for function in workload.functions:
        for spec in worker.plan(function.spec):
            click.echo(worker.factory.render(spec).rstrip("\n"))
