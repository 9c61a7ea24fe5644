"""Times and lengths of time, for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def moment(milliseconds: Any) -> str:
    """A time in milliseconds since the epoch as the clock of this machine shows it; empty for none."""
    if not isinstance(milliseconds, int | float) or milliseconds <= 0:
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def latency(milliseconds: Any) -> str:
    """A mean time in milliseconds; empty for none."""
    return f"{milliseconds:.3f} ms" if isinstance(milliseconds, int | float) and milliseconds else ""
