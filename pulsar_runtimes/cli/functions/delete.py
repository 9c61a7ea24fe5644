"""``pfrun functions delete``."""

from __future__ import annotations

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.client.functions import FunctionsClient

from .worker_access import asks_worker


@click.command("delete")
@name_options
@asks_worker
def command(client: FunctionsClient, **names: str | None) -> None:
    """Stop a function and forget it."""
    key = read_key(**names)
    client.delete(key)
    click.echo(f"{key}: deleted")
