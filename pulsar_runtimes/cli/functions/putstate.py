"""``pfrun functions putstate``."""

from __future__ import annotations

import json
from typing import Any

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.client.functions import FunctionsClient

from .worker_access import asks_worker

_SHAPE = 'must be a state in JSON, such as \'{"key": "k", "stringValue": "v"}\''
_VALUES = ("stringValue", "byteValue", "numberValue")


def _state(ctx: click.Context, param: click.Parameter, text: str) -> dict[str, Any]:
    try:
        state = json.loads(text)
    except (ValueError, RecursionError):
        raise click.BadParameter(_SHAPE) from None
    if not isinstance(state, dict) or not state.get("key") or not isinstance(state["key"], str):
        raise click.BadParameter(f"{_SHAPE}; the key is missing")
    if not any(state.get(name) is not None for name in _VALUES):
        raise click.BadParameter(f"{_SHAPE}; the value is missing: one of {', '.join(_VALUES)}")
    return state


@click.command("putstate")
@name_options
@click.option("-s", "--state", metavar="JSON", required=True, callback=_state, help="The key and its value.")
@asks_worker
def command(client: FunctionsClient, state: dict[str, Any], **names: str | None) -> None:
    """Set a value of a function's state.

    \b
    pfrun functions putstate --name f --state '{"key": "k", "stringValue": "v"}'
    """
    key = read_key(**names)
    client.put_state(key, state["key"], state)
    click.echo(f"{key}: {state['key']} is set")
