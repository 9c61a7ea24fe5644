"""The worker's log on standard error, in a form for people."""

from __future__ import annotations

import logging
import os
import sys

import click

_OWN = "pulsar_runtimes."
_FUNCTION = "pfrun.function."
_COLOURS = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red", logging.DEBUG: "bright_black"}


class LogLine(logging.Formatter):
    """``time level text``; the logger's name is told where it is neither the worker's nor a module's of pfrun."""

    default_msec_format = "%s.%03d"

    def __init__(self, *, colours: bool) -> None:
        super().__init__("%(asctime)s %(level)s %(source)s%(message)s")
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.ljust(7)
        colour = _COLOURS.get(record.levelno) if self._colours else None
        record.level = click.style(level, fg=colour) if colour else level
        name = record.name.removeprefix(_FUNCTION)
        record.source = "" if name.startswith(_OWN) else f"{name}: "
        return super().format(record)


def set_up_logging(*, verbose: bool) -> None:
    """Send every logger's lines to standard error, from INFO on, or from DEBUG on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLine(colours=sys.stderr.isatty() and not os.environ.get("NO_COLOR")))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    if not verbose:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for each request
