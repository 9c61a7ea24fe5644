"""``pfrun functions get``."""

from __future__ import annotations

import json
from typing import Any

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.cli.options import output_option
from pulsar_runtimes.cli.output import print_json, print_table
from pulsar_runtimes.client.functions import FunctionsClient

from .told import plain
from .worker_access import asks_worker


@click.command("get")
@name_options
@output_option("table")
@asks_worker
def command(client: FunctionsClient, output: str, **names: str | None) -> None:
    """Show what a function is, as its worker has it.

    As JSON it is a function config, which --function-config-file takes together with the code.
    """
    config = client.get(read_key(**names))
    if output == "json":
        print_json(config)
    else:
        print_table(["key", "value"], [[key, _shown(value)] for key, value in config.items()])


def _shown(value: Any) -> str:
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
