"""Which settings may hold a secret, told by their name alone."""

from __future__ import annotations

import re

HIDDEN = "***"
"""Stands for the value of a secret wherever settings are shown."""

_SECRET = re.compile(r"password|passwd|secret|token|params|authenticationparameters|credential", re.IGNORECASE)


def looks_secret(path: str) -> bool:
    """Whether the value at the dotted ``path`` must not be shown. Rather hides too much than too little."""
    return _SECRET.search(path) is not None and not path.endswith("ClassName")
