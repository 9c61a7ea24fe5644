"""``pfrun functions upload``."""

from __future__ import annotations

from pathlib import Path

import click

from pulsar_runtimes.cli.options import given
from pulsar_runtimes.client.functions import FunctionsClient

from .worker_access import asks_worker


@click.command("upload")
@click.option(
    "--source-file",
    "--sourceFile",
    metavar="FILE",
    type=click.Path(),
    required=True,
    callback=given,
    help="The file to store.",
)
@click.option(
    "--path",
    metavar="PATH",
    required=True,
    callback=given,
    help="Where: a package's name, such as function://public/default/name@1, or a path of the package store.",
)
@asks_worker
def command(client: FunctionsClient, source_file: str, path: str) -> None:
    """Put a file into the worker's package store."""
    client.upload(path, Path(source_file))
    click.echo(f"{path}: stored")
