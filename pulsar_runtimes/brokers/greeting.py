"""What a broker says of itself when one connects to it.

The first exchange of the Pulsar protocol: CONNECT, which a broker without authentication answers with CONNECTED
and its ``server_version``. Source: ``PulsarApi.proto``, ``BaseCommand``, of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from urllib.parse import urlsplit

_DEFAULT_PORT = 6650
_MOST_BYTES = 4096

_CONNECT = b"\x08\x02\x12\x09\x0a\x05pfrun\x20\x13"
"""``BaseCommand{type: CONNECT, connect: {client_version: "pfrun", protocol_version: 19}}``."""

_CONNECTED = re.compile(rb"\x08\x03\x1a[\x00-\x7f]\x0a([\x00-\x7f])")
"""The beginning of ``BaseCommand{type: CONNECTED, connected: {server_version: ...``, with the length of the version."""


def read_server_version(service_url: str, *, timeout_seconds: float = 2.0) -> str:
    """``server_version`` of the first broker of ``service_url`` that answers, such as ``Pulsar Server4.0.8``.

    Empty when none does within the time, when TLS is used, or when a broker wants to know first who asks: the
    answer serves a guess, and its lack is no failure.
    """
    scheme, _, addresses = service_url.partition("://")
    if scheme != "pulsar":
        return ""
    for address in addresses.partition("/")[0].split(","):
        with contextlib.suppress(OSError, ValueError, struct.error):
            one = urlsplit(f"//{address}")
            where = (one.hostname or "", one.port or _DEFAULT_PORT)
            with socket.create_connection(where, timeout_seconds) as connection:
                connection.sendall(struct.pack(">II", len(_CONNECT) + 4, len(_CONNECT)) + _CONNECT)
                with connection.makefile("rb") as answer:
                    _, size = struct.unpack(">II", answer.read(8))
                    return _server_version(answer.read(min(size, _MOST_BYTES)))
    return ""


def _server_version(command: bytes) -> str:
    found = _CONNECTED.match(command)
    if found is None:
        return ""
    version = command[found.end() : found.end() + found[1][0]]
    return version.decode() if len(version) == found[1][0] else ""
