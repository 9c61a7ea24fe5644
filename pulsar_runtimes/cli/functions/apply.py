"""``pfrun functions apply``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from pulsar_runtimes.cli.confirmation import confirm
from pulsar_runtimes.cli.options import given, output_option
from pulsar_runtimes.cli.output import print_json, print_table, print_warnings
from pulsar_runtimes.client.errors import RequestError, WorkerError
from pulsar_runtimes.client.functions import FunctionsClient

from .apply_plan import Action, Step, plan_steps, read_directory
from .worker_access import asks_worker

_DONE = {Action.CREATE: "created", Action.UPDATE: "updated", Action.DELETE: "deleted"}


@click.command("apply")
@click.option(
    "-f",
    "--directory",
    metavar="DIR",
    type=click.Path(),
    required=True,
    callback=given,
    help="Configs, one in each .yml, .yaml or .json file: of functions in it or in functions/, of sinks in sinks/, of "
    "sources in sources/.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan, and do nothing.")
@click.option(
    "--prune",
    is_flag=True,
    help="Delete the functions, sinks and sources of the same namespaces that the directory does not have.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before something is deleted.")
@output_option("table")
@asks_worker
def command(client: FunctionsClient, directory: str, dry_run: bool, prune: bool, yes: bool, output: str) -> int:
    """Make a worker have the functions, sinks and sources of a directory.

    The files are those that pulsar-admin takes; the subdirectory says what a file is, and one in the directory itself
    is a function.

    What is missing is created. What differs is updated: the members that a file states, and the code if it is a
    file. What a file leaves out stays as it is. A second run has nothing to do.

    Nothing is changed when a file is wrong, or asks for a change that no update can make.
    """
    wanted, warnings = read_directory(Path(directory))
    print_warnings(warnings)
    steps = plan_steps(client, wanted, prune=prune)
    _print_plan(steps, output)
    if dry_run or all(step.action is Action.NOTHING for step in steps):
        return 0
    _confirm(steps, yes=yes)
    return _carry_out(client, steps)


def _print_plan(steps: Sequence[Step], output: str) -> None:
    if output == "json":
        print_json(
            [
                {"kind": s.kind.title, "name": str(s.key), "action": s.action.value, "members": list(s.members)}
                for s in steps
            ]
        )
        return
    to_do = [step for step in steps if step.action is not Action.NOTHING]
    if to_do:
        print_table(
            ["kind", "name", "action", "what differs"],
            [[step.kind.title, str(step.key), step.action.value, ", ".join(step.members)] for step in to_do],
        )
    else:
        click.echo("nothing to do")


def _confirm(steps: Sequence[Step], *, yes: bool) -> None:
    deleted = Counter(step.kind.title for step in steps if step.action is Action.DELETE)
    if deleted:
        counted = ", ".join(f"{count} {title}{'' if count == 1 else 's'}" for title, count in deleted.items())
        confirm("--prune", f"delete {counted}?", yes=yes)


def _carry_out(client: FunctionsClient, steps: Sequence[Step]) -> int:
    """Do each step, whatever becomes of the others; the exit code of the worst."""
    code = 0
    for step in steps:
        if step.action is Action.NOTHING:
            continue
        try:
            _do(client, step)
        except WorkerError as error:
            click.echo(str(error), err=True)
            code = code if code == 1 else 2 if isinstance(error, RequestError) else 1
        else:
            click.echo(f"{step.key}: {_DONE[step.action]}", err=True)
    return code


def _do(client: FunctionsClient, step: Step) -> None:
    request, of_kind = step.request, client.of_kind(step.kind.type)
    if request is None:
        of_kind.delete(step.key)
    elif step.action is Action.CREATE:
        of_kind.create(step.key, request.config, file=request.file, url=request.url)
    else:
        of_kind.update(step.key, request.config, file=request.file, url=request.url)
