"""The client memory limit, seen from outside: the resident memory of a worker."""

from __future__ import annotations

import pytest

from scripts.benches.memory import growth_of_a_process

MIB = 1 << 20


@pytest.mark.broker
@pytest.mark.slow
def test_a_worker_of_the_thread_runtime_keeps_its_limit_and_loses_nothing() -> None:
    """1,000 messages of 1 MiB wait for a slow function; the same without a limit shows that the limit is what acts."""
    grown, came = growth_of_a_process(64 * MIB)
    free, came_free = growth_of_a_process(None)
    assert (came, came_free) == (1000, 1000)
    assert grown < 120, f"grew by {grown:.0f} MiB"
    assert free > 2 * grown, f"with the limit {grown:.0f} MiB, without {free:.0f} MiB"
