"""``pfrun functions trigger``."""

from __future__ import annotations

from pathlib import Path

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.cli.options import given
from pulsar_runtimes.client.functions import FunctionsClient

from .worker_access import asks_worker


@click.command("trigger")
@name_options
@click.option("--trigger-value", "--triggerValue", metavar="TEXT", help="The message.")
@click.option(
    "--trigger-file", "--triggerFile", metavar="FILE", type=click.Path(), callback=given, help="A file of the message."
)
@click.option("--topic", metavar="TOPIC", callback=given, help="The input to send it to, if there are several.")
@asks_worker
def command(
    client: FunctionsClient,
    trigger_value: str | None,
    trigger_file: str | None,
    topic: str | None,
    **names: str | None,
) -> None:
    """Send one message to a function and print its answer.

    A function without an output topic has no answer. The bytes of an answer that is no text are written as they are.
    """
    if (trigger_value is None) is (trigger_file is None):
        raise click.UsageError("give the message as --trigger-value or as --trigger-file")
    data = Path(trigger_file) if trigger_file is not None else trigger_value or ""
    _print(client.trigger(read_key(**names), data, topic))


def _print(answer: bytes) -> None:
    try:
        text = answer.decode()
    except UnicodeDecodeError:
        click.echo(answer, nl=False)
        return
    if text:
        click.echo(text)
