"""The commands of ``pfrun functions``, one file each: clients of a running worker, pfrun's or Apache Pulsar's."""

from __future__ import annotations

import click

from pulsar_runtimes.cli.command_group import CommandGroup

COMMANDS = {
    "create": "Register a function, which then runs.",
    "update": "Change a function that is registered.",
    "delete": "Stop a function and forget it.",
    "get": "Show what a function is.",
    "list": "List the functions of a namespace.",
    "status": "Show how the instances of a function are doing.",
    "stats": "Show what the instances of a function have counted.",
    "start": "Start what was stopped of a function.",
    "stop": "Stop a function, or one of its instances.",
    "restart": "Stop a function, or an instance, and start it anew.",
    "trigger": "Send one message to a function and print its answer.",
    "logs": "Show what the instances of a function have written.",
    "apply": "Make a worker have the functions of a directory.",
    "querystate": "Show a value of a function's state.",
    "putstate": "Set a value of a function's state.",
    "upload": "Put a file into the worker's package store.",
    "download": "Fetch the code of a function.",
}
"""Each command with its short help, as in :data:`pulsar_runtimes.cli.group.COMMANDS`."""


@click.group(
    "functions",
    cls=CommandGroup,
    table=COMMANDS,
    package=__name__,
    epilog="pfrun functions COMMAND --help tells more of a command.",
)
def command() -> None:
    """Create, change and watch the functions of a running worker.

    The worker is pfrun's own or one of Apache Pulsar: both serve the same API. The flags are those of
    pulsar-admin functions. The exit code is 2 when the worker finds the request wrong, or has no such function,
    and 1 when it is away, refuses whoever asks, or fails.
    """
