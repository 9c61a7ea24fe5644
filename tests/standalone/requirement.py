"""What to do with a test when the machine lacks what Pulsar needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.standalone.distribution import UnavailableError

T = TypeVar("T")


def or_skip(get: Callable[[], T]) -> T:
    """What ``get`` gives. On ``UnavailableError`` the test is skipped; with PFRUN_REQUIRE_STANDALONE=1 it fails."""
    try:
        return get()
    except UnavailableError as error:
        if os.environ.get("PFRUN_REQUIRE_STANDALONE") == "1":
            raise
        pytest.skip(str(error))
