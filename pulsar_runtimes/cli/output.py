"""Tables and JSON on standard output, and what goes to standard error beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from pulsar_runtimes.model.errors import Problem

_WIDEST_COLUMN = 60
"""A longer cell shifts the rest of its own row, and not that of all rows."""


def print_json(data: Any) -> None:
    """``data`` on standard output, for programs."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """``rows`` under ``headings``, in columns. A column without any value is left out."""
    cells = [list(row) for row in rows]
    used = [number for number in range(len(headings)) if any(row[number] for row in cells)]
    lines = [[headings[number].upper() for number in used], *([row[number] for number in used] for row in cells)]
    widths = [min(_WIDEST_COLUMN, max(map(len, column))) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_title(text: str) -> None:
    """A heading between tables."""
    click.echo()
    click.secho(text, bold=True)


def print_warnings(warnings: Iterable[Problem]) -> None:
    """Each warning as a line of standard error."""
    for warning in warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {warning}", err=True)


def print_problems(problems: Iterable[Problem]) -> None:
    """Each problem as a line of standard error."""
    for problem in problems:
        click.echo(str(problem), err=True)


def problem_data(problem: Problem) -> dict[str, Any]:
    """``problem`` for JSON."""
    return {"file": problem.file, "line": problem.line, "key": problem.path, "message": problem.message}
