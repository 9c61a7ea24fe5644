"""``pfrun functions status``."""

from __future__ import annotations

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.cli.options import output_option
from pulsar_runtimes.cli.output import print_json
from pulsar_runtimes.client.functions import FunctionsClient

from .instance_option import instance_option
from .status_table import print_status
from .worker_access import asks_worker


@click.command("status")
@name_options
@instance_option
@output_option("table")
@click.option("-v", "--verbose", is_flag=True, help="Show the last lines of each life that ended, too.")
@asks_worker
def command(client: FunctionsClient, instance_id: int | None, output: str, verbose: bool, **names: str | None) -> None:
    """Show how the instances of a function are doing.

    A worker of pfrun also tells how the last lives of an instance ended: why, and which messages it had in hand.
    """
    status = client.status(read_key(**names), instance_id)
    if output == "json":
        print_json(status)
    elif instance_id is None:
        print_status(status, verbose=verbose)
    else:
        print_status({"instances": [{"instanceId": instance_id, "status": status}]}, verbose=verbose)
