"""``pulsarClientMemoryLimit`` means what it means to Apache Pulsar, and a wrong one says where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import load_worker_config
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.runtimes.memory_limit import ClientMemoryLimit, parse_client_memory_limit
from pulsar_runtimes.worker.worker import Worker

MIB = 1 << 20


def limit(value: Any, ceiling_bytes: int) -> int | None:
    section = Section({"pulsarClientMemoryLimit": value}, "functionRuntimeFactoryConfigs")
    parsed = parse_client_memory_limit(section)
    section.done()
    return parsed.bytes_of(ceiling_bytes)


@pytest.mark.parametrize(
    ("absolute", "percent", "ceiling_bytes", "expected"),
    [
        (None, None, 256 * MIB, None),
        (64 * MIB + 1, None, 256 * MIB, 64 * MIB + 1),
        (None, 20, 256 * MIB, 53687091),
        (None, 33.3, 768 * MIB, 268167020),
        (None, 100, 768 * MIB, 768 * MIB),
        (None, 1e-9, 768 * MIB, 0),
        (512 * MIB, 10, 1024 * MIB, 107374182),
        (64 * MIB, 50, 1024 * MIB, 64 * MIB),
        # an absolute value may be more than there is
        (1024 * MIB, None, 256 * MIB, 1024 * MIB),
        # as the reference's reader has it: text is fine, a fraction is cut
        ("67108864", None, 256 * MIB, 64 * MIB),
        (1.9, None, 256 * MIB, 1),
        (None, "12.5", 8 * MIB, MIB),
    ],
)
def test_the_smaller_of_what_was_said_counts(
    absolute: object, percent: object, ceiling_bytes: int, expected: int | None
) -> None:
    value = {"absoluteValue": absolute, "percentOfMaxDirectMemory": percent}
    assert limit(value, ceiling_bytes) == expected
    said = {key: part for key, part in value.items() if part is not None}
    assert limit(said, ceiling_bytes) == expected, "a key without a value is the same as no key"


@pytest.mark.parametrize("section", [Section({}), Section({"pulsarClientMemoryLimit": None})])
def test_without_the_section_there_is_no_limit(section: Section) -> None:
    assert parse_client_memory_limit(section) == ClientMemoryLimit()
    section.done()


ABSOLUTE = "pulsarClientMemoryLimit.absoluteValue"
PERCENT = "pulsarClientMemoryLimit.percentOfMaxDirectMemory"


@pytest.mark.parametrize("runtime", ["thread", "process"])
@pytest.mark.parametrize(
    ("yaml", "line", "key", "message"),
    [
        ("absoluteValue: 0", 4, ABSOLUTE, "must be above 0, in bytes (got 0)"),
        ("absoluteValue: -1", 4, ABSOLUTE, "must be above 0, in bytes (got -1)"),
        ("absoluteValue: 64M", 4, ABSOLUTE, "must be a number (got '64M')"),
        ("absoluteValue: ''", 4, ABSOLUTE, "must be a number (got '')"),
        ("absoluteValue: true", 4, ABSOLUTE, "must be a number (got true)"),
        ("percentOfMaxDirectMemory: 0", 4, PERCENT, "must be above 0 and at most 100 (got 0)"),
        ("percentOfMaxDirectMemory: -1", 4, PERCENT, "must be above 0 and at most 100 (got -1)"),
        ("percentOfMaxDirectMemory: 101", 4, PERCENT, "must be above 0 and at most 100 (got 101)"),
        ("percentOfMaxDirectMemory: 100.001", 4, PERCENT, "must be above 0 and at most 100 (got 100.001)"),
        ("percentOfMaxDirectMemory: 10%", 4, PERCENT, "must be a number (got '10%')"),
        # both are looked at, even where one decides
        ("absoluteValue: 0\n    percentOfMaxDirectMemory: 50", 4, ABSOLUTE, "must be above 0, in bytes (got 0)"),
        ("absoluteValue: 1\n    percentOfMaxDirectMemory: 0", 5, PERCENT, "must be above 0 and at most 100 (got 0)"),
    ],
)
def test_a_wrong_value_names_its_key_and_line(
    runtime: str, yaml: str, line: int, key: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "functions_worker.yml"
    file.write_text(
        f"functionRuntimeFactoryClassName: {runtime}\n"
        f"functionRuntimeFactoryConfigs:\n  pulsarClientMemoryLimit:\n    {yaml}\n"
    )
    with pytest.raises(ConfigError) as refusal:
        Worker(load_worker_config(file, {}), state_dir=tmp_path / "state", environment={})
    assert str(refusal.value) == f"{file}:{line}: functionRuntimeFactoryConfigs.{key}: {message}"


@pytest.mark.parametrize("value", ["", "64M", 7, []])
def test_what_is_no_mapping_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"functionRuntimeFactoryConfigs\.pulsarClientMemoryLimit: must be a mapping"):
        limit(value, MIB)


def test_a_misspelt_part_is_refused() -> None:
    with pytest.raises(ConfigError, match="absoluteValue"):
        limit({"absolutValue": 1}, MIB)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (ClientMemoryLimit(), "no limit"),
        (ClientMemoryLimit(64), "absoluteValue 64 bytes"),
        (ClientMemoryLimit(None, 20), "20% of 1000 = 200 bytes"),
        (ClientMemoryLimit(64, 20), "min(absoluteValue 64, 20% of 1000 = 200) = 64 bytes"),
    ],
)
def test_the_sum_can_be_explained(parts: ClientMemoryLimit, text: str) -> None:
    assert parts.explain(1000) == text
