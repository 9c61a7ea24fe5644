"""A worker's bounds on resources are those of the reference, and all problems are told at once."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.details import parse_details
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import Resources
from pulsar_runtimes.runtimes.resource_bounds import ResourceBounds, check_resources, resource_problems
from pulsar_runtimes.testing.specs import function_spec

MIB = 1 << 20
GRAIN = 128 * MIB
ORACLE = Path(__file__).resolve().parents[1] / "oracle"


@pytest.mark.parametrize(
    ("asked", "bounds", "text"),
    [
        pytest.param(
            Resources(cpu=0.4, ram=512 * MIB),
            ResourceBounds(minimum=Resources(cpu=0.5, ram=512 * MIB)),
            "Per instance CPU requested, 0.4, for function is less than the minimum required, 0.5",
            id="admission-below-minimum",
        ),
        pytest.param(
            Resources(cpu=1.0, ram=512 * MIB),
            ResourceBounds(minimum=Resources(cpu=0.5, ram=1 << 30)),
            "Per instance RAM requested, 536870912, for function is less than the minimum required, 1073741824",
            id="admission-minimum-defaults",
        ),
        pytest.param(
            Resources(cpu=0.5, ram=GRAIN + 1),
            ResourceBounds(granularities=Resources(cpu=0.25, ram=GRAIN)),
            "Per instance ram requested, 134217729, for function should be positive and "
            "a multiple of the granularity, 134217728",
            id="admission-granularity",
        ),
        pytest.param(
            Resources(cpu=0.5, ram=3 * GRAIN),
            ResourceBounds(granularities=Resources(cpu=0.25, ram=GRAIN), change_in_lock_step=True),
            "Per instance cpu requested, 0.5, ram requested, 402653184, for function should be positive and "
            "the same multiple of the granularity, cpu, 0.25, ram, 134217728",
            id="admission-lock-step",
        ),
    ],
)
def test_the_words_are_those_that_the_reference_was_seen_to_use(
    asked: Resources, bounds: ResourceBounds, text: str
) -> None:
    """The names of the cases are those of the reference's recorded answers."""
    assert resource_problems(asked, bounds) == [text]


@pytest.mark.parametrize(
    ("asked", "bounds"),
    [
        pytest.param(Resources(), ResourceBounds(), id="nothing is bounded"),
        pytest.param(Resources(), ResourceBounds(change_in_lock_step=True), id="lock-step without granularities"),
        pytest.param(
            Resources(cpu=0.5, ram=512), ResourceBounds(minimum=Resources(cpu=0.5, ram=512)), id="just the minimum"
        ),
        pytest.param(
            Resources(cpu=2.0, ram=512), ResourceBounds(maximum=Resources(cpu=2.0, ram=512)), id="just the maximum"
        ),
        pytest.param(
            Resources(cpu=1.0, ram=512, disk=1),
            ResourceBounds(
                minimum=Resources(disk=2), maximum=Resources(cpu=1.0, ram=512), granularities=Resources(disk=7)
            ),
            id="disk is never checked",
        ),
        pytest.param(
            Resources(cpu=0.3, ram=7),
            ResourceBounds(granularities=Resources(cpu=0.1)),
            id="cpu is counted in thousandths",
        ),
        pytest.param(
            Resources(cpu=0.3, ram=7),
            ResourceBounds(granularities=Resources(cpu=0.0004, ram=7)),
            id="a cpu granularity below a thousandth is none",
        ),
        pytest.param(
            Resources(cpu=0.5, ram=2 * GRAIN),
            ResourceBounds(granularities=Resources(cpu=0.25, ram=GRAIN), change_in_lock_step=True),
            id="the same multiple of both",
        ),
        pytest.param(
            Resources(cpu=0.5, ram=3 * GRAIN),
            ResourceBounds(granularities=Resources(ram=GRAIN), change_in_lock_step=True),
            id="lock-step with one granularity only",
        ),
    ],
)
def test_what_is_within_the_bounds_is_admitted(asked: Resources, bounds: ResourceBounds) -> None:
    check_resources(function_spec(resources=asked), bounds)


@pytest.mark.parametrize(
    ("asked", "bounds"),
    [
        pytest.param(Resources(cpu=2.1, ram=1), ResourceBounds(maximum=Resources(cpu=2.0, ram=1)), id="too much cpu"),
        pytest.param(Resources(cpu=2.0, ram=2), ResourceBounds(maximum=Resources(cpu=2.0, ram=1)), id="too much ram"),
        pytest.param(Resources(ram=7), ResourceBounds(granularities=Resources(cpu=0.1)), id="no cpu is no multiple"),
        pytest.param(Resources(cpu=1.0), ResourceBounds(granularities=Resources(ram=7)), id="no ram is no multiple"),
        pytest.param(
            Resources(cpu=0.35, ram=7), ResourceBounds(granularities=Resources(cpu=0.1)), id="between two steps of cpu"
        ),
    ],
)
def test_what_is_outside_of_them_is_refused(asked: Resources, bounds: ResourceBounds) -> None:
    assert len(resource_problems(asked, bounds)) == 1


def test_a_function_without_resources_asks_for_none() -> None:
    with pytest.raises(AdmissionError, match=r"CPU requested, 0\.0, .*; Per instance RAM requested, 0, "):
        check_resources(function_spec(resources=None), ResourceBounds(minimum=Resources(cpu=0.5, ram=1)))


@pytest.mark.parametrize("case", ["below-minimum", "minimum-defaults", "granularity", "lock-step"])
def test_a_recorded_function_is_refused_as_the_reference_refused_it(case: str) -> None:
    asked = json.loads((ORACLE / f"cases/admission-{case}.json").read_text())
    answer = json.loads((ORACLE / f"expected/admission-{case}.json").read_text())
    function = parse_details(json.dumps(asked["functionDetails"]))
    bounds = ResourceBounds.from_settings(parse_worker_config(Section(asked["workerConfig"]), {}))
    with pytest.raises(AdmissionError) as raised:
        check_resources(function, bounds)
    assert str(raised.value) == f"public/default/f1: {answer['admissionError']}"


def test_all_problems_are_told_at_once_and_the_function_is_named() -> None:
    bounds = ResourceBounds(
        minimum=Resources(cpu=0.5, ram=0), maximum=Resources(cpu=4.0, ram=100), granularities=Resources(cpu=0.25, ram=7)
    )
    with pytest.raises(AdmissionError) as raised:
        check_resources(function_spec(resources=Resources(cpu=0.1, ram=101)), bounds)
    assert str(raised.value) == (
        "public/default/exclaim: Per instance CPU requested, 0.1, for function is less than the minimum required, 0.5; "
        "Per instance RAM requested, 101, for function is greater than the maximum required, 100; "
        "Per instance cpu requested, 0.1, for function should be positive and a multiple of the granularity, 0.25; "
        "Per instance ram requested, 101, for function should be positive and a multiple of the granularity, 7"
    )


def test_the_bounds_come_from_the_settings_of_the_worker() -> None:
    values = {
        "functionInstanceMinResources": {"cpu": 0.5, "ram": 1, "disk": 2},
        "functionInstanceMaxResources": {"cpu": 4.0, "ram": 5, "disk": 6},
        "functionInstanceResourceGranularities": {"cpu": 0.25, "ram": 8, "disk": 9},
        "functionInstanceResourceChangeInLockStep": True,
    }
    bounds = ResourceBounds.from_settings(parse_worker_config(Section(values), {}))
    assert dataclasses.astuple(bounds) == ((0.5, 1, 2), (4.0, 5, 6), (0.25, 8, 9), True)
