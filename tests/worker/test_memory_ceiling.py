"""How much memory there is, as told by made-up /proc and /sys trees."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from pulsar_runtimes.worker.memory_ceiling import memory_ceiling_bytes

TOTAL = psutil.virtual_memory().total
V1_NO_LIMIT = "9223372036854771712"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        pytest.param(None, {}, TOTAL, id="no cgroups"),
        pytest.param("0::/\n", {}, TOTAL, id="v2, root group"),
        pytest.param("0::/\n", {"memory.max": "1000"}, 1000, id="v2, a container's own root"),
        pytest.param("0::/a/b\n", {"a/b/memory.max": "1000"}, 1000, id="v2"),
        pytest.param("0::/a/b\n", {"a/b/memory.max": "max"}, TOTAL, id="v2, no limit"),
        pytest.param("0::/a/b\n", {"a/memory.max": "500", "a/b/memory.max": "1000"}, 500, id="v2, the parent's"),
        pytest.param("0::/a/b\n", {"a/memory.max": "500", "a/b/memory.max": "max"}, 500, id="v2, only the parent's"),
        pytest.param("0::/a/b\n", {"a/c/memory.max": "500"}, TOTAL, id="v2, somebody else's"),
        pytest.param("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "1000"}, 1000, id="v1"),
        pytest.param("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": V1_NO_LIMIT}, TOTAL, id="v1, no limit"),
        pytest.param("4:memory:/a\n", {"memory/memory.limit_in_bytes": "1000"}, 1000, id="v1, seen from a container"),
        pytest.param("4:cpu,memory:/a\n", {"memory/a/memory.limit_in_bytes": "1000"}, 1000, id="v1, joint controllers"),
        pytest.param("4:cpu:/a\n", {"memory/a/memory.limit_in_bytes": "1000"}, TOTAL, id="v1, other controller"),
        pytest.param(
            "0::/u\n4:memory:/a\n",
            {"unified/u/memory.max": "max", "memory/a/memory.limit_in_bytes": "1000"},
            1000,
            id="v1 and v2 side by side",
        ),
        pytest.param("4:name=x:y:/a:b\n0::/a:b\n", {"a:b/memory.max": "1000"}, 1000, id="colons in the path"),
    ],
)
def test_the_smallest_limit_above_the_process_counts(
    groups: str | None, files: dict[str, str], expected: int, tmp_path: Path
) -> None:
    if groups is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    assert memory_ceiling_bytes(tmp_path) == expected


def test_the_real_ceiling_is_a_part_of_the_machine_s_memory() -> None:
    assert 0 < memory_ceiling_bytes() <= TOTAL
