"""What a worker told, taken with care: it was written by somebody else's program, and goes to a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The mappings in ``value``, if it is a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def plain(value: Any) -> str:
    """``value`` as text of one line that does nothing to a terminal; empty for ``None``."""
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in text).rstrip()
