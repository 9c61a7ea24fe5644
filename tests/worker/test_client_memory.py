"""The client memory limit, seen from outside: the resident memory of a worker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1 << 20
SCRIPTS = Path(__file__).parents[2] / "scripts"
MEASURE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import bench
print(json.dumps(bench.memory_growth(int(sys.argv[2]) or None, int(sys.argv[3]))))
"""


def _growth(limit: int, messages: int) -> tuple[float, int]:
    command = [sys.executable, "-c", MEASURE, str(SCRIPTS), str(limit), str(messages)]
    grown, came = json.loads(subprocess.check_output(command, timeout=120))
    return grown, came


@pytest.mark.broker
@pytest.mark.slow
def test_a_worker_of_the_thread_runtime_keeps_its_limit_and_loses_nothing() -> None:
    """1,000 messages of 1 MiB wait for a slow function; the same without a limit shows that the limit is what acts."""
    grown, came = _growth(64 * MIB, 1000)
    free, came_free = _growth(0, 1000)
    assert (came, came_free) == (1000, 1000)
    assert grown < 120, f"grew by {grown:.0f} MiB"
    assert free > 2 * grown, f"with the limit {grown:.0f} MiB, without {free:.0f} MiB"
