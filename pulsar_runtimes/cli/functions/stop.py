"""``pfrun functions stop``."""

from __future__ import annotations

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.client.functions import FunctionsClient

from .instance_option import instance_option, shown
from .worker_access import asks_worker


@click.command("stop")
@name_options
@instance_option
@asks_worker
def command(client: FunctionsClient, instance_id: int | None, **names: str | None) -> None:
    """Stop a function, or one of its instances.

    The worker says when it is decided, and does it then: see status.
    """
    key = read_key(**names)
    client.change(key, "stop", instance_id)
    click.echo(f"{shown(key, instance_id)}: will be stopped")
