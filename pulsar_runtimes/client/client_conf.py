"""Apache Pulsar's ``client.conf``, as far as a client of the admin API reads it."""

from __future__ import annotations

import re
from pathlib import Path

from pulsar_runtimes.model.errors import ConfigError, Problem

_LARGEST_BYTES = 1 << 20
_ENTRY = re.compile(r"\s*([^=:\s#!]+)\s*[=:\s]\s*(.*?)\s*")


def read_client_conf(path: Path) -> dict[str, str]:
    """The entries of the file at ``path``, those without a value left out. ``ConfigError`` when it is unreadable."""
    text = read_text(path)
    found = (_ENTRY.fullmatch(line) for line in text.splitlines())
    return {entry[1]: entry[2] for entry in found if entry and entry[2]}


def read_text(path: Path) -> str:
    """A small text file. ``ConfigError`` when it is not there, or none."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(Problem("", "there is no such file", str(path))) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(Problem("", f"cannot be read: {(reason or '').lower()}", str(path))) from None
    if len(content) > _LARGEST_BYTES:
        raise ConfigError(Problem("", f"is larger than {_LARGEST_BYTES} bytes", str(path)))
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(Problem("", "is not UTF-8 text", str(path))) from None
