"""``pfrun functions create``."""

from __future__ import annotations

from typing import Any

import click

from pulsar_runtimes.client.functions import FunctionsClient

from .function_request import read_request, request_options
from .worker_access import asks_worker


@click.command("create")
@request_options
@asks_worker
def command(client: FunctionsClient, **flags: Any) -> None:
    """Register a function, which then runs.

    --py, --jar and --go name a file, which is sent, or a URL that the worker reads: http://, function:// for a
    package of Pulsar's package service, builtin:// for what the worker has. A relative path starts at the working
    directory, or else where the --function-config-file lies.

    What can be checked here is checked before anything is sent.
    """
    request = read_request(update=False, **flags)
    client.create(request.key, request.config, file=request.file, url=request.url)
    click.echo(f"{request.key}: created")
