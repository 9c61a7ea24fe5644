"""``pfrun functions querystate``."""

from __future__ import annotations

import time

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.cli.options import given, output_option
from pulsar_runtimes.cli.output import print_json, print_table
from pulsar_runtimes.client.errors import MissingError
from pulsar_runtimes.client.functions import FunctionsClient
from pulsar_runtimes.model.names import FunctionKey

from .told import plain
from .worker_access import asks_worker

_LOOK_SECONDS = 1.0


@click.command("querystate")
@name_options
@click.option("-k", "--key", "state_key", metavar="TEXT", required=True, callback=given, help="Which value.")
@click.option("-w", "--watch", is_flag=True, help="Show it each time that it has changed, until interrupted.")
@output_option("table")
@asks_worker
def command(client: FunctionsClient, state_key: str, watch: bool, output: str, **names: str | None) -> None:
    """Show a value of a function's state."""
    key = read_key(**names)
    if not watch:
        _show(client.state(key, state_key), output)
        return
    last = None
    while True:
        state = _find(client, key, state_key)
        if state is not None and state != last:
            _show(state, output)
        last = state
        time.sleep(_LOOK_SECONDS)


def _find(client: FunctionsClient, key: FunctionKey, state_key: str) -> dict[str, object] | None:
    try:
        return client.state(key, state_key)
    except MissingError:
        client.get(key)  # that the function is not there is worth telling
        return None


def _show(state: dict[str, object], output: str) -> None:
    if output == "json":
        print_json(state)
    else:
        print_table(list(state), [[plain(value) for value in state.values()]])
