"""The stage of the tests that move a supervisor by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pulsar_runtimes.testing import FakeClock
from tests.supervisor.stage import Stage


@pytest.fixture
def stage(fake_clock: FakeClock) -> Iterator[Stage]:
    stage = Stage(fake_clock)
    yield stage
    stage.supervisor.stop()
