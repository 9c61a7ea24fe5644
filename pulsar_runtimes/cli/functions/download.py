"""``pfrun functions download``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from pulsar_runtimes.cli.function_name import name_options, read_key
from pulsar_runtimes.cli.options import given
from pulsar_runtimes.client.functions import FunctionsClient
from pulsar_runtimes.model.errors import ConfigError, Problem

from .worker_access import asks_worker


@click.command("download")
@name_options
@click.option(
    "--path",
    metavar="PATH",
    callback=given,
    help="A package's name, or a path of the package store.",
)
@click.option("--transform-function", is_flag=True, help="Of a connector, the function that transforms for it.")
@click.option(
    "--destination-file",
    "--destinationFile",
    metavar="FILE",
    type=click.Path(),
    required=True,
    callback=given,
    help="Where to write it.",
)
@asks_worker
def command(
    client: FunctionsClient,
    path: str | None,
    transform_function: bool,
    destination_file: str,
    **names: str | None,
) -> None:
    """Fetch the code of a function, or what the package store has at a path.

    A file that is there already is replaced once everything has arrived.
    """
    if path is not None and any(names.values()):
        raise click.UsageError("give --path, or name a function")
    key = None if path is not None else read_key(**names)
    with _written(Path(destination_file)) as target:
        if key is None:
            client.download_package(path or "", target)
        else:
            client.download(key, target, transform_function=transform_function)
    click.echo(f"{destination_file}: downloaded")


@contextmanager
def _written(file: Path) -> Iterator[BinaryIO]:
    """A file beside ``file`` that takes its place when all is well, and is gone when it is not."""
    try:
        number, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.absolute().parent)
    except OSError as error:
        raise _unwritable(file, error) from None
    beside = Path(name)
    try:
        with os.fdopen(number, "wb") as target:
            yield target
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        beside.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from None
    finally:
        beside.unlink(missing_ok=True)


def _unwritable(file: Path, error: OSError) -> ConfigError:
    return ConfigError(Problem("", f"cannot be written: {(error.strerror or '').lower()}", str(file)))
