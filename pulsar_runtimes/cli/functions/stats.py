"""``pfrun functions stats``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.cli.options import output_option
from pulsar_runtimes.cli.output import print_json, print_table, print_title
from pulsar_runtimes.client.functions import FunctionsClient

from .instance_option import instance_option
from .moments import latency, moment
from .told import mapping, mappings, plain
from .worker_access import asks_worker

_COUNTS = {
    "receivedTotal": "received",
    "processedSuccessfullyTotal": "processed",
    "userExceptionsTotal": "user exceptions",
    "systemExceptionsTotal": "system exceptions",
}


@click.command("stats")
@name_options
@instance_option
@output_option("table")
@asks_worker
def command(client: FunctionsClient, instance_id: int | None, output: str, **names: str | None) -> None:
    """Show what the instances of a function have counted, in all and within the last minute."""
    stats = client.stats(read_key(**names), instance_id)
    if output == "json":
        print_json(stats)
    elif instance_id is None:
        instances = [
            (plain(each.get("instanceId")), mapping(each.get("metrics"))) for each in mappings(stats.get("instances"))
        ]
        _print_tables([*instances, ("all", stats)])
    else:
        _print_tables([(str(instance_id), stats)])


def _print_tables(rows: list[tuple[str, Mapping[str, Any]]]) -> None:
    headings = ["instance", *_COUNTS.values(), "latency"]
    cells = [[*_cells(number, data), moment(data.get("lastInvocation"))] for number, data in rows]
    print_table([*headings, "last invocation"], cells)
    print_title("Within the last minute")
    print_table(headings, [_cells(number, mapping(data.get("1min"))) for number, data in rows])
    own = [
        [number, plain(name), plain(value)]
        for number, data in rows
        for name, value in mapping(data.get("userMetrics")).items()
    ]
    if own:
        print_title("Metrics of the function")
        print_table(["instance", "metric", "value"], own)


def _cells(number: str, data: Mapping[str, Any]) -> list[str]:
    return [number, *(plain(data.get(key)) for key in _COUNTS), latency(data.get("avgProcessLatency"))]
