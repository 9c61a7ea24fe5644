"""Where the admin API may listen. Pure."""

from __future__ import annotations

import ipaddress

from pulsar_runtimes.model.errors import ConfigError, Problem

LOOPBACK = "127.0.0.1"
ALL_ADDRESSES = "0.0.0.0"


def listening_host(*, authenticated: bool, insecure: bool = False, host: str = "") -> str:
    """The address to listen on: ``host``, or else all addresses, or only loopback where nobody is asked who he is.

    ``authenticated``: whether callers must be known. ``insecure``: whether somebody said that they need not be.
    ``ConfigError`` when ``host`` is not of loopback and neither holds.
    """
    open_to_all = authenticated or insecure
    if not host:
        return ALL_ADDRESSES if open_to_all else LOOPBACK
    if not open_to_all and not is_loopback(host):
        message = (
            f"must be true, for the admin API to listen on {host}: whoever reaches it could run programs here "
            "(--insecure allows that all the same)"
        )
        raise ConfigError(Problem("authenticationEnabled", message))
    return host


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``: an address, or ``localhost``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
