"""``pfrun packages``: what a running worker keeps of the code of functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import click

from pulsar_runtimes.client.packages import PackagesClient

from .functions.moments import moment
from .functions.told import mapping, mappings, plain
from .functions.worker_access import with_client
from .options import output_option
from .output import print_json, print_table

_HEADINGS = ("where", "sha256", "file", "size", "kept since", "used by", "name")
_DIGITS = 12
_UNITS = ("KiB", "MiB", "GiB", "TiB")
_USES = {
    "running": "(instances of an earlier version)",
    "new": "(nothing; too new to be removed)",
    "unknown": "(perhaps something; the worker cannot tell)",
    "unused": "nothing",
}


@click.group("packages")
def command() -> None:
    """List the packages that a running worker of pfrun keeps, and remove those that nothing needs.

    They are the code of functions, sinks and sources that came with a request or from a URL: in the directory of the
    worker that is asked, and with functionsWorkerEnablePackageManagement also in the brokers' packages, for all workers
    of the cluster. What users gave to the brokers by themselves is neither listed nor removed.
    """


@command.command("list")
@output_option("table")
@with_client(PackagesClient)
def list_(client: PackagesClient, output: str) -> None:
    """List the packages, and the functions that use them."""
    found = client.packages()
    if output == "json":
        print_json(found)
    elif rows := [_row(each) for each in mappings(found)]:
        print_table(_HEADINGS, rows)
    else:
        click.echo("there are no packages", err=True)


@command.command("gc")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option(
    "--older-than",
    metavar="SECONDS",
    type=click.IntRange(0, 10 * 365 * 24 * 3600),
    default=600,
    help="Spare what is younger: it may belong to a function that somebody registers with another worker just now. "
    "[default: 600]",
)
@output_option("table")
@with_client(PackagesClient)
def gc(client: PackagesClient, dry_run: bool, older_than: int, output: str) -> int:
    """Remove packages that nothing needs.

    Nothing needs a package that no registered function has, no instance of the asked worker runs, and no request to
    that worker brings just now. The exit code is 1 when one of them could not be removed.
    """
    removal = mapping(client.remove_unused(older_than_seconds=older_than, dry_run=dry_run))
    removed = mappings(removal.get("removed"))
    problems = removal.get("problems")
    problems = problems if isinstance(problems, list) else []
    if output == "json":
        print_json(removal)
    else:
        if removed:
            print_table(_HEADINGS, [_row(each) for each in removed])
        count = f"{len(removed)} package{'' if len(removed) == 1 else 's'}"
        done = "would be removed" if dry_run else "removed"
        click.echo(f"{count} {done}, {_size(sum(_bytes(each) for each in removed))}")
        if isinstance(too_new := removal.get("tooNew"), int) and too_new:
            click.echo(f"{too_new} more that nothing uses yet: too new, see --older-than")
    for problem in problems:
        click.echo(plain(problem), err=True)
    return 1 if problems else 0


def _row(package: Mapping[str, Any]) -> list[str]:
    functions = package.get("functions")
    used_by = ", ".join(plain(each) for each in functions) if isinstance(functions, list) else ""
    use = plain(package.get("use"))
    return [
        plain(package.get("place")),
        plain(package.get("sha256"))[:_DIGITS],
        plain(package.get("fileName")),
        _size(_bytes(package)),
        moment(package.get("keptSinceMs")),
        used_by or _USES.get(use, use),
        plain(package.get("name")) if package.get("place") == "brokers" else "",
    ]


def _bytes(package: Mapping[str, Any]) -> int:
    size = package.get("sizeBytes")
    return size if isinstance(size, int) else 0


def _size(count: int) -> str:
    """A number of bytes, for people."""
    if count < 1024:
        return f"{count} bytes"
    power = min(int(math.log(count, 1024)), len(_UNITS))
    return f"{count / 1024**power:.1f} {_UNITS[power - 1]}"
