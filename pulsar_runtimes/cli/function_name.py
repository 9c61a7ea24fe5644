"""Which function a command line means: tenant, namespace and name, apart or in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from pulsar_runtimes.model.names import FunctionKey

from .options import given

F = TypeVar("F", bound=Callable[..., Any])


def split_fqfn(fqfn: str | None, flags: Mapping[str, Any]) -> dict[str, str]:
    """Tenant, namespace and name of ``--fqfn``, which come before those of a file as any other flag."""
    if fqfn is None:
        return {}
    for name in ("tenant", "namespace", "name"):
        if flags.get(name) is not None:
            raise click.UsageError(f"--fqfn cannot be given together with --{name}")
    try:
        key = FunctionKey.parse(fqfn)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--fqfn'") from None
    return {"tenant": key.tenant, "namespace": key.namespace, "name": key.name}


def fqfn_option(command: F) -> F:
    return click.option("--fqfn", metavar="T/NS/NAME", callback=given, help="Tenant, namespace and name in one.")(
        command
    )


def name_options(command: F) -> F:
    """``--tenant``, ``--namespace``, ``--name`` and ``--fqfn``; :func:`read_key` makes a key of them."""
    name = click.option("--name", metavar="TEXT", callback=_part, help="The name of the function.")
    return namespace_options(name(fqfn_option(command)))


def namespace_options(command: F) -> F:
    """``--tenant`` and ``--namespace``."""
    tenant = click.option("--tenant", metavar="TEXT", callback=_part, help="Its tenant; public when not given.")
    namespace = click.option(
        "--namespace", metavar="TEXT", callback=_part, help="Its namespace; default when not given."
    )
    return tenant(namespace(command))


def _part(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Part of a name, which is a segment of a path. A worker may have functions that pfrun would not name so."""
    text: str | None = given(ctx, param, value)
    if text is not None and ("/" in text or text in (".", "..")):
        raise click.BadParameter(f"must be a name without slashes (got {text!r})")
    return text


def read_key(tenant: str | None, namespace: str | None, name: str | None, fqfn: str | None) -> FunctionKey:
    """The function that :func:`name_options` name. ``UsageError`` when they name none."""
    if fqfn is not None:
        return FunctionKey(**split_fqfn(fqfn, {"tenant": tenant, "namespace": namespace, "name": name}))
    if name is None:
        raise click.UsageError("the function must be named: give --name or --fqfn")
    return FunctionKey(tenant or "public", namespace or "default", name)
