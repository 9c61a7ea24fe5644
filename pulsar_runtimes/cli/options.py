"""The options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from pulsar_runtimes.plug_point import PlugPoint
from pulsar_runtimes.worker.broker_keeper import BROKERS, EMBEDDED_BROKER

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Which worker and which functions a command line means."""

    conf: str | None
    function_config: Sequence[str]
    state_dir: str | None
    broker: str


def plugin_names(plug_point: PlugPoint[Any]) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Completes the names of what is installed. Any text is let through: the look-up has the better message."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = sorted({plugin.name for plugin in plug_point.installed()})
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]

    return complete


def given(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Refuse an empty value: it is a shell variable that is not set, and would mean the default."""
    if value == "" or (isinstance(value, tuple) and "" in value):
        raise click.BadParameter("must not be empty")
    return value


_LONGEST_GRACE_SECONDS = 24 * 3600


def _seconds(ctx: click.Context, param: click.Parameter, value: Any) -> float:
    """A length of time that a thread can wait: not endless, not negative, and a number."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _LONGEST_GRACE_SECONDS:
        raise click.BadParameter(
            f"must be a number of seconds, from 0 to {_LONGEST_GRACE_SECONDS} (got {str(value)!r})"
        )
    return seconds


def conf_option(command: F) -> F:
    return click.option(
        "-c",
        "--conf",
        metavar="FILE",
        type=click.Path(),
        callback=given,
        help="The worker's configuration, such as functions_worker.yml. Without it the file that "
        "PULSAR_WORKER_CONF names; without that the process runtime and the embedded broker.",
    )(command)


def function_config_option(command: F) -> F:
    return click.option(
        "--function-config",
        metavar="FILE",
        type=click.Path(),
        multiple=True,
        callback=given,
        help="A function, in the form of pulsar-admin's --function-config-file. May be given many times.",
    )(command)


def state_dir_option(command: F) -> F:
    return click.option(
        "--state-dir",
        metavar="DIR",
        type=click.Path(),
        callback=given,
        help="Where the worker keeps what outlives it, the embedded broker's data among it. "
        "[default: PFRUN_STATE_DIR, else pfrun in XDG_STATE_HOME or ~/.local/state]",
    )(command)


def broker_option(command: F) -> F:
    return click.option(
        "--broker",
        metavar="NAME",
        shell_complete=plugin_names(BROKERS),
        default=EMBEDDED_BROKER,
        show_default=True,
        callback=given,
        help="The broker to start when pulsarServiceUrl is not set.",
    )(command)


def worker_options(command: F) -> F:
    """``--conf``, ``--function-config``, ``--state-dir`` and ``--broker``: the members of :class:`WorkerOptions`."""
    for option in (broker_option, state_dir_option, function_config_option, conf_option):
        command = option(command)
    return command


def grace_option(command: F) -> F:
    return click.option(
        "--grace",
        metavar="SECONDS",
        default="10",
        show_default=True,
        callback=_seconds,
        help="What functions have to finish the messages they hold. A second signal ends it.",
    )(command)


def verbose_option(command: F) -> F:
    return click.option("-v", "--verbose", is_flag=True, help="Log more.")(command)


def output_option(default: str) -> Decorator[Any]:
    """``--output json``, or the form for people that ``default`` names."""
    return click.option(
        "--output",
        type=click.Choice([default, "json"]),
        default=default,
        show_default=True,
        help="The form of the output.",
    )
