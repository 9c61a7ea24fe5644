"""The commands that ask a worker to stop, start or restart a function: one shape, three words."""

from __future__ import annotations

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.client.functions import FunctionsClient

from .instance_option import instance_option, shown
from .worker_access import asks_worker


def change_command(action: str, summary: str, told: str) -> click.Command:
    """The command named ``action``, which is what it asks for; ``told`` is what a person reads when it was taken."""

    @click.command(action, help=f"{summary}\n\nThe worker says when it is decided, and does it then: see status.")
    @name_options
    @instance_option
    @asks_worker
    def command(client: FunctionsClient, instance_id: int | None, **names: str | None) -> None:
        key = read_key(**names)
        client.change(key, action, instance_id)
        click.echo(f"{shown(key, instance_id)}: {told}")

    return command
