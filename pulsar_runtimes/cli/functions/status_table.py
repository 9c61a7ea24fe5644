"""The status of a function for people: a table of its instances, what they last failed at, and how lives ended.

A member that is missing or odd is an empty cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pulsar_runtimes.cli.output import print_table, print_title

from .moments import latency, moment
from .told import mapping, mappings, plain

_HEADINGS = (
    "instance",
    "state",
    "restarts",
    "received",
    "processed",
    "exceptions",
    "latency",
    "last invocation",
    "reason",
)

_EXCEPTIONS = {"latestUserExceptions": "function", "latestSystemExceptions": "system"}


def print_status(status: Mapping[str, Any], *, verbose: bool) -> None:
    """``FunctionStatus`` as the admin API tells it. With ``verbose`` also the last lines of what ended."""
    instances = [
        (str(instance.get("instanceId", "")), mapping(instance.get("status")))
        for instance in mappings(status.get("instances"))
    ]
    if not instances:
        click.echo("the worker has no instance of it yet", err=True)
        return
    print_table(_HEADINGS, [_row(number, data) for number, data in instances])
    _print_exceptions(instances)
    _print_ends(instances, verbose=verbose)


def _row(number: str, data: Mapping[str, Any]) -> list[str]:
    exceptions = [data.get(key, 0) for key in ("numUserExceptions", "numSystemExceptions")]
    return [
        number,
        _state(data),
        str(data.get("numRestarts", "")),
        str(data.get("numReceived", "")),
        str(data.get("numSuccessfullyProcessed", "")),
        str(sum(count for count in exceptions if isinstance(count, int))),
        latency(data.get("averageLatency")),
        moment(data.get("lastInvocationTime")),
        "" if data.get("running") else plain(data.get("error")),
    ]


def _state(data: Mapping[str, Any]) -> str:
    if data.get("running"):
        return "running"
    return "not running" if data.get("error") else "stopped"


def _print_exceptions(instances: list[tuple[str, Mapping[str, Any]]]) -> None:
    rows = [
        [number, side, moment(told.get("timestampMs")), plain(told.get("exceptionString"))]
        for number, data in instances
        for key, side in _EXCEPTIONS.items()
        for told in mappings(data.get(key))
    ]
    if rows:
        print_title("Latest exceptions")
        print_table(["instance", "side", "when", "exception"], rows)


def _print_ends(instances: list[tuple[str, Mapping[str, Any]]], *, verbose: bool) -> None:
    ends = [(number, end) for number, data in instances for end in mappings(data.get("ends"))]
    if not ends:
        return
    print_title("How the last lives ended")
    headings = ["instance", "when", "exit code", "reason", "last messages"]
    if not verbose:
        print_table(headings, [_end_row(number, end) for number, end in ends])
        return
    for number, end in ends:
        print_table(headings, [_end_row(number, end)])
        for line in end.get("lastLines") or ["(it wrote nothing)"]:
            click.echo(f"  {plain(line)}")


def _end_row(number: str, end: Mapping[str, Any]) -> list[str]:
    code, messages = end.get("exitCode"), end.get("lastMessages")
    return [
        number,
        moment(end.get("timestampMs")),
        "" if code is None else str(code),
        plain(end.get("reason")),
        ", ".join(plain(message) for message in messages) if isinstance(messages, list) else "",
    ]
