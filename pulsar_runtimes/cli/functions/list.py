"""``pfrun functions list``."""

from __future__ import annotations

import click

from pulsar_runtimes.cli.function_name import namespace_options
from pulsar_runtimes.cli.options import output_option
from pulsar_runtimes.cli.output import print_json, print_table
from pulsar_runtimes.client.functions import FunctionsClient

from .told import plain
from .worker_access import asks_worker


@click.command("list")
@namespace_options
@output_option("table")
@asks_worker
def command(client: FunctionsClient, tenant: str | None, namespace: str | None, output: str) -> None:
    """List the functions of a namespace, public/default when not given."""
    tenant, namespace = tenant or "public", namespace or "default"
    names = client.names(tenant, namespace)
    if output == "json":
        print_json(names)
    elif names:
        print_table(["name"], [[plain(name)] for name in names])
    else:
        click.echo(f"{tenant}/{namespace} has no functions", err=True)
