"""``--instance-id``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pulsar_runtimes.model.names import FunctionKey, InstanceKey

F = TypeVar("F", bound=Callable[..., Any])


def instance_option(command: F) -> F:
    return click.option(
        "--instance-id",
        "--instanceId",
        metavar="NUMBER",
        type=click.IntRange(min=0),
        help="One instance, counted from 0; all when not given.",
    )(command)


def shown(key: FunctionKey, instance_id: int | None) -> str:
    """The function, or the instance of it that is meant."""
    return str(key if instance_id is None else InstanceKey(key, instance_id))
