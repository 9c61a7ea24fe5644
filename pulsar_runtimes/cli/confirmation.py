"""Asking before something is deleted."""

from __future__ import annotations

import sys

import click


def confirm(who: str, question: str, *, yes: bool) -> None:
    """Go on only if a person says so, or said so before with ``--yes``; ``who`` asks, for the message if none can."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{who} asks before it deletes, and nobody can answer here; give --yes")
    click.confirm(question, abort=True, err=True)
