"""Registered functions for tests."""

from __future__ import annotations

from typing import Any

from pulsar_runtimes.model.registration import FunctionAuth, PackageLocation, Registration
from pulsar_runtimes.testing import function_spec
from tests.model.test_details import FULL as EVERY_SETTING


def registered(version: int = 0, **changes: Any) -> Registration:
    """An ordinary function, with ``changes`` of its spec."""
    function = function_spec(**{"package": "", **changes})
    return Registration(function, PackageLocation("function://public/default/exclaim@1", "exclaim.py"), version=version)


FULL = Registration(
    EVERY_SETTING,
    PackageLocation("public/default/f/1-f.jar", "f.jar"),
    PackageLocation("public/default/f/1-t.jar", "t.jar"),
    version=3,
    created_ms=1_700_000_000_000,
    stopped={0: True, 1: False, 6: True},
    auth=FunctionAuth(b"\x00secret\xff", "org.example.Provider"),
)
"""One with every member set."""
