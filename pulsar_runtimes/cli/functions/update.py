"""``pfrun functions update``."""

from __future__ import annotations

from typing import Any

import click

from pulsar_runtimes.client.functions import FunctionsClient

from .function_request import read_request, request_options
from .worker_access import asks_worker


@click.command("update")
@request_options
@click.option("--update-auth-data", is_flag=True, help="Have the function use the credentials of this request.")
@asks_worker
def command(client: FunctionsClient, update_auth_data: bool, **flags: Any) -> None:
    """Change a function that is registered.

    What is not given stays as it is. Inputs, processing guarantees and some others cannot change; the worker says
    which.
    """
    request = read_request(update=True, **flags)
    client.update(request.key, request.config, file=request.file, url=request.url, update_auth_data=update_auth_data)
    click.echo(f"{request.key}: updated")
