"""``pfrun check``."""

from __future__ import annotations

from typing import Any

import click

from pulsar_runtimes.worker.worker import Worker

from .options import WorkerOptions, output_option, worker_options
from .output import print_json, print_problems, print_warnings, problem_data
from .workload import LoadedFunction, Workload, load_workload


@click.command("check")
@worker_options
@output_option("text")
def command(output: str, **options: Any) -> int:
    """Tell whether start would work, and start nothing.

    Reads all files, makes the runtime factory and asks it to admit each function. Prints every problem, each as
    file:line: key: what is wrong. The exit code is 0 when all is well, warnings or not, and 2 otherwise.
    """
    parsed = WorkerOptions(**options)
    workload = load_workload(parsed)
    if output == "json":
        print_json(_as_data(workload))
    else:
        _print_text(workload, parsed)
    return 2 if workload.problems else 0


def _print_text(workload: Workload, options: WorkerOptions) -> None:
    print_warnings(workload.warnings)
    print_problems(workload.problems)
    if workload.worker is not None:
        _ok(f"{workload.worker.config.file or 'no configuration file'}: {_runtime(workload.worker, options.broker)}")
    for function in workload.functions:
        if function.admitted:
            count = function.spec.parallelism
            _ok(f"{function.file}: {function.spec.key}, {count} instance{'' if count == 1 else 's'}")
    if workload.worker is None and workload.functions:
        click.echo("functions were not asked whether they can run, as there is no runtime to ask", err=True)


def _ok(text: str) -> None:
    click.echo(f"{click.style('ok', fg='green')} {text}")


def _runtime(worker: Worker, broker: str) -> str:
    return f"{worker.factory.name} runtime, broker {worker.service_url or f'{broker} (embedded)'}"


def _as_data(workload: Workload) -> dict[str, Any]:
    worker = workload.worker
    return {
        "ok": not workload.problems,
        "runtime": None if worker is None else worker.factory.name,
        "functions": [_function_data(function) for function in workload.functions],
        "problems": [problem_data(problem) for problem in workload.problems],
        "warnings": [problem_data(warning) for warning in workload.warnings],
    }


def _function_data(function: LoadedFunction) -> dict[str, Any]:
    return {
        "file": function.file,
        "function": str(function.spec.key),
        "instances": function.spec.parallelism,
        "admitted": function.admitted,
    }
