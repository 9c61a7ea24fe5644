"""What every instance does first, done once beforehand in the process that instances are forked from.

Memory that was written before a fork is shared by all children. So everything that can be imported, parsed or
cached without a thread and without a connection happens here; it takes two megabytes off each instance.
"""

from __future__ import annotations

import contextlib
import importlib
import logging.config
import socket
from collections.abc import Sequence

import certifi
from prometheus_client import generate_latest

from . import main  # noqa: F401 - everything an instance imports
from .arguments import parse_arguments
from .environment import LOGGING_CONFIG_FILE
from .exposition import build_registry
from .stats import Stats

_IMPORTED_LATE = ("encodings.idna", "grpc._server", "grpc._utilities", "importlib.resources")
"""Modules that libraries import when they are first used."""


def warm_up(argv: Sequence[str]) -> None:
    """Do what an instance with the command line ``argv`` would do first. Raises nothing; starts no thread."""
    for name in _IMPORTED_LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # A command line that cannot be read is its instance's to report.
    with contextlib.suppress(Exception, SystemExit):
        spec = parse_arguments(argv).spec
        certifi.where()
        logging.config.fileConfig(LOGGING_CONFIG_FILE, disable_existing_loggers=False)
        socket.getaddrinfo("127.0.0.1", 0)
        generate_latest(build_registry(Stats(), spec))
