"""``pfrun functions logs``."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.client.errors import RequestError, WorkerError
from pulsar_runtimes.client.functions import FunctionsClient
from pulsar_runtimes.model.names import FunctionKey

from .instance_option import instance_option
from .told import mappings
from .worker_access import asks_worker

_LOOK_SECONDS = 0.5
_MOST_LINES = 10_000
_BETWEEN_LIVES = 503


@click.command("logs")
@name_options
@instance_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until interrupted.")
@click.option(
    "--tail",
    metavar="NUMBER",
    type=click.IntRange(0, _MOST_LINES),
    default=100,
    show_default=True,
    help="How many lines of before to show of each instance.",
)
@asks_worker
def command(client: FunctionsClient, instance_id: int | None, follow: bool, tail: int, **names: str | None) -> None:
    """Show what the instances of a function have written to their logs.

    With several instances each line begins with the number of its own. Only workers of pfrun show logs.
    """
    key = read_key(**names)
    numbers = [instance_id] if instance_id is not None else _instances(client, key)
    logs = [_Log(client, key, number, f"{number}: " if len(numbers) > 1 else "") for number in numbers]
    for log in logs:
        log.show(tail)
    while follow:
        time.sleep(_LOOK_SECONDS)
        for log in logs:
            log.show_new()


def _instances(client: FunctionsClient, key: FunctionKey) -> list[int]:
    told = mappings(client.status(key).get("instances"))
    return [each["instanceId"] for each in told if isinstance(each.get("instanceId"), int)]


class _Log:
    """One instance's log, and how far it was shown."""

    def __init__(self, client: FunctionsClient, key: FunctionKey, number: int, prefix: str) -> None:
        self._ask: Callable[..., tuple[str, str]] = lambda **what: client.log(key, number, **what)
        self._name = f"{key}:{number}"
        self._prefix = prefix
        self._mark = ""

    def show(self, tail: int) -> None:
        text, self._mark = self._ask(tail=tail)
        self._print(text)

    def show_new(self) -> None:
        """What came since; nothing while the instance is between two lives, or another worker takes it over."""
        if not self._mark:
            raise RequestError(f"{self._name}: its runtime cannot tell what is new in the log; --follow needs that")
        text = "more"
        try:
            while text:
                text, self._mark = self._ask(tail=0, since=self._mark)
                self._print(text)
        except WorkerError as error:
            if error.status != _BETWEEN_LIVES:
                raise

    def _print(self, text: str) -> None:
        for line in text.splitlines():
            click.echo(f"{self._prefix}{line}")
