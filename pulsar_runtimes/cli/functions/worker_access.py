"""The options that say which worker to ask, and the client made of them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pulsar_runtimes.cli.options import given
from pulsar_runtimes.cli.output import print_warnings
from pulsar_runtimes.client.config import load_client_config
from pulsar_runtimes.client.functions import FunctionsClient

if TYPE_CHECKING:  # who shows help needs no HTTP client
    from pulsar_runtimes.client.connection import Connection


def asks_worker(call: Callable[..., Any]) -> Callable[..., Any]:
    """``--url``, ``--token-file`` and ``--tls-trust-cert-path``; ``call`` gets the client made of them as ``client``.

    Nothing is sent before ``call`` asks for it.
    """
    return with_client(FunctionsClient)(call)


def with_client(make: Callable[[Connection], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The same for a client that ``make`` makes of the connection."""
    return lambda call: _with_client(make, call)


def _with_client(make: Callable[[Connection], Any], call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def connected(*, url: str | None, token_file: str | None, tls_trust_cert_path: str | None, **values: Any) -> Any:
        from pulsar_runtimes.client.connection import Connection

        config = load_client_config(os.environ, url=url, token_file=token_file, trust_certs=tls_trust_cert_path)
        print_warnings(config.warnings)
        with Connection(config) as connection:
            return call(client=make(connection), **values)

    for option in (_trust_option, _token_option, _url_option):
        connected = option(connected)
    return connected


_url_option = click.option(
    "--url",
    metavar="URL",
    callback=given,
    help="The worker's web service. [default: PULSAR_ADMIN_URL, else webServiceUrl of the client.conf that "
    "PULSAR_CLIENT_CONF names, else http://127.0.0.1:6750]",
)
_token_option = click.option(
    "--token-file",
    metavar="FILE",
    type=click.Path(),
    callback=given,
    help="A file that holds the token to show. [default: the token in PULSAR_TOKEN, else that of the client.conf]",
)
_trust_option = click.option(
    "--tls-trust-cert-path",
    metavar="FILE",
    type=click.Path(),
    callback=given,
    help="The certificates to trust, in PEM form. [default: those of the client.conf, else the usual ones]",
)
