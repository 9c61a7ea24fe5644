"""Options of an instance that may hold secrets, as the file that each kind of instance reads them from. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping


def ini_options(secret: Mapping[str, str]) -> str:
    """What a Python instance takes by ``--config_file``: it fills what the command line leaves open."""
    lines = (f"{name} = {value}\n" for name, value in secret.items())
    return "[DEFAULT]\n" + "".join(lines)


def argument_file(secret: Mapping[str, str]) -> str:
    """What a Java instance takes by ``@file``: one quoted argument a line."""
    lines = []
    for name, value in secret.items():
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'--{name}\n"{quoted}"\n')
    return "".join(lines)


def yaml_safe_json(value: object) -> str:
    """JSON that a YAML parser takes as well: it knows no surrogate pairs, and refuses some characters in the raw.

    A Go instance takes it by ``-instance-conf-path``.
    """
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text)
