"""``pfrun explain``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from pulsar_runtimes.config.setting import Setting, Use, display
from pulsar_runtimes.worker.worker import Worker

from .function_settings import default_function_settings, list_function_settings, surroundings_of
from .memory_sum import lines_of, sum_memory
from .options import WorkerOptions, output_option, worker_options
from .output import print_json, print_problems, print_table, print_title, print_warnings, problem_data
from .workload import LoadedFunction, Workload, load_workload

_DEFAULT = "default"
_STATE = "stateStorageServiceUrl"
_NO_TABLE = "Apache Pulsar's own instance runs it, so that what it does with each setting counts"


@click.command("explain")
@worker_options
@click.option("--all", "every", is_flag=True, help="Show settings that have their default, too.")
@output_option("table")
def command(output: str, every: bool, **options: Any) -> int:
    """Show each setting, where it comes from and what pfrun makes of it.

    First those of the worker, then what its runtime read, then the sum of the memory that Pulsar clients may
    hold, then those of each function. Secrets are masked. The exit code is 2 when a function cannot be run.
    """
    workload = load_workload(WorkerOptions(**options))
    worker = workload.worker
    is_read = worker is not None and len(workload.functions) == len(options["function_config"])
    if output == "json":
        print_json(_as_data(worker if is_read else None, workload, every=every))
    else:
        print_warnings(workload.warnings)
        if worker is not None and is_read:
            _print_tables(worker, workload, every=every)
        print_problems(workload.problems)
    return 2 if workload.problems else 0


def _print_tables(worker: Worker, workload: Workload, *, every: bool) -> None:
    click.secho(f"Worker: {worker.config.file or 'no configuration file'}", bold=True)
    _print_settings(list(_worker_settings(worker, every=every)))
    print_title(f"Runtime: {worker.factory.name}")
    _print_settings(list(_runtime_settings(worker, every=every)))
    print_title("Memory of Pulsar clients")
    memory = sum_memory(worker, (function.spec for function in workload.functions))
    for line in lines_of(memory, worker.factory.name):
        click.echo(line)
    for warning in memory.warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {warning}", err=True)
    for function in workload.functions:
        print_title(f"Function: {function.spec.key}, {function.file}")
        if worker.factory.capabilities.runs_all_replicas:
            click.echo(_NO_TABLE)
        else:
            _print_settings(list(_function_settings(worker, function, every=every)))


def _print_settings(settings: list[Setting]) -> None:
    if settings:
        rows = [[row.key, row.value, row.origin, row.use.value, row.note] for row in settings]
        print_table(["key", "value", "origin", "use", "note"], rows)
    else:
        click.echo("nothing is set; --all shows the defaults")


def _worker_settings(worker: Worker, *, every: bool) -> Iterator[Setting]:
    """Those of the worker itself, without what stands below the runtime's section."""
    below = f"{worker.config.runtime_section.path}."
    for setting in worker.config.settings:
        if not setting.key.startswith(below) and (every or setting.origin != _DEFAULT):
            yield replace(setting, note=_state_note(worker)) if setting.key == _STATE else setting


def _state_note(worker: Worker) -> str:
    """What becomes of the state of functions on this worker."""
    for warning in worker.warnings:
        if warning.path == _STATE:
            return warning.message
    if not worker.state_url:
        return "absent, and the broker is not the embedded one: functions have no state"
    if worker.embedded_state_url:
        return f"absent: pfrun's Python instances keep state in {worker.embedded_state_url}"
    if worker.state_url.startswith("bk://"):
        return "Java and Python functions keep state there"
    return "Python functions keep state there; Java functions are refused"


def _runtime_settings(worker: Worker, *, every: bool) -> Iterator[Setting]:
    """What stands in the runtime's section, and with ``every`` what its factory looked for in vain."""
    section = worker.config.runtime_section
    warned = {warning.path: warning.message for warning in section.warnings}
    if not worker.factory.capabilities.runs_all_replicas:
        idle = surroundings_of(worker).idle
        warned |= {section.where(key): why for key, why in idle.items() if key in section.seen}
    for key in section:
        path = section.where(key)
        use = Use.WARNED if path in warned else Use.HONOURED
        note = warned.get(path, "").removeprefix("has no effect: ")
        note = note.replace(" and has no effect", "")
        yield Setting(path, display(path, section.values[key]), section.origin(key), use, note)
    for key in sorted(section.seen - set(section)) if every else ():
        yield Setting(section.where(key), "", _DEFAULT, Use.HONOURED)


def _function_settings(worker: Worker, function: LoadedFunction, *, every: bool) -> Iterator[Setting]:
    """What becomes of each setting in a local instance; nothing when the function runs elsewhere."""
    if worker.factory.capabilities.runs_all_replicas:
        return
    around = surroundings_of(worker)
    yield from list_function_settings(function.spec, function.section, around)
    if every:
        yield from default_function_settings(function.spec, function.section, around)


def _as_data(worker: Worker | None, workload: Workload, *, every: bool) -> dict[str, Any]:
    """For programs: always the same members, with nothing in them when ``worker`` is ``None``."""
    explained: dict[str, Any] = {"worker": None, "runtime": None, "memory": None, "functions": []}
    return {
        **(explained if worker is None else _explained_data(worker, workload, every=every)),
        "problems": [problem_data(problem) for problem in workload.problems],
        "warnings": [problem_data(warning) for warning in workload.warnings],
    }


def _explained_data(worker: Worker, workload: Workload, *, every: bool) -> dict[str, Any]:
    capabilities = worker.factory.capabilities
    memory = sum_memory(worker, (function.spec for function in workload.functions))
    return {
        "worker": {
            "file": worker.config.file,
            "settings": [_setting_data(row) for row in _worker_settings(worker, every=every)],
        },
        "runtime": {
            "name": worker.factory.name,
            "languages": sorted(language.name for language in capabilities.languages),
            "settings": [_setting_data(row) for row in _runtime_settings(worker, every=every)],
        },
        "memory": dataclasses.asdict(memory),
        "functions": [
            {
                "function": str(function.spec.key),
                "file": function.file,
                "language": function.spec.language.name,
                "admitted": function.admitted,
                "settings": [_setting_data(row) for row in _function_settings(worker, function, every=every)],
            }
            for function in workload.functions
        ],
    }


def _setting_data(setting: Setting) -> dict[str, str]:
    return {
        "key": setting.key,
        "value": setting.value,
        "origin": setting.origin,
        "use": setting.use.value,
        "note": setting.note,
    }
