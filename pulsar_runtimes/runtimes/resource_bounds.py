"""Which resources a worker lets a function ask for. Pure.

Rules and texts: ``KubernetesRuntimeFactory#doAdmissionChecks`` of Apache Pulsar 4.0.8, the only runtime there that
has them. The reference stops at the first problem; here all are told. Disk is never checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pulsar_runtimes.config.worker_settings import WorkerSettings
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import FunctionSpec, Resources


@dataclass(frozen=True, slots=True)
class ResourceBounds:
    """The worker's four settings. ``None`` bounds nothing; a granularity of 0 asks for no multiple of it."""

    minimum: Resources | None = None
    maximum: Resources | None = None
    granularities: Resources | None = None
    change_in_lock_step: bool = False

    @classmethod
    def from_settings(cls, settings: WorkerSettings) -> Self:
        return cls(
            settings.function_instance_min_resources,
            settings.function_instance_max_resources,
            settings.function_instance_resource_granularities,
            settings.function_instance_resource_change_in_lock_step,
        )


def check_resources(function: FunctionSpec, bounds: ResourceBounds) -> None:
    """``AdmissionError`` with everything about the resources of ``function`` that ``bounds`` do not allow."""
    problems = resource_problems(function.resources or Resources(), bounds)
    if problems:
        raise AdmissionError(f"{function.key}: {'; '.join(problems)}")


def resource_problems(resources: Resources, bounds: ResourceBounds) -> list[str]:
    """What is wrong, each in the reference's words and in the order of its checks."""
    return [*_below(resources, bounds.minimum), *_above(resources, bounds.maximum), *_off_steps(resources, bounds)]


def _below(asked: Resources, minimum: Resources | None) -> Iterator[str]:
    if minimum is None:
        return
    for name, value, least in (("CPU", asked.cpu, minimum.cpu), ("RAM", asked.ram, minimum.ram)):
        if value < least:
            yield f"Per instance {name} requested, {value}, for function is less than the minimum required, {least}"


def _above(asked: Resources, maximum: Resources | None) -> Iterator[str]:
    if maximum is None:
        return
    for name, value, most in (("CPU", asked.cpu, maximum.cpu), ("RAM", asked.ram, maximum.ram)):
        if value > most:
            yield f"Per instance {name} requested, {value}, for function is greater than the maximum required, {most}"


def _off_steps(asked: Resources, bounds: ResourceBounds) -> Iterator[str]:
    """Steps that are no whole number, or are not the same for cpu and ram where they must be."""
    steps = bounds.granularities
    if steps is None:
        return
    cpu, cpu_step = _millis(asked.cpu), _millis(steps.cpu)
    cpu_fits = cpu_step <= 0 or _is_multiple(cpu, cpu_step)
    ram_fits = steps.ram <= 0 or _is_multiple(asked.ram, steps.ram)
    for name, value, step, fits in (
        ("cpu", asked.cpu, steps.cpu, cpu_fits),
        ("ram", asked.ram, steps.ram, ram_fits),
    ):
        if not fits:
            yield (
                f"Per instance {name} requested, {value}, for function should be positive and "
                f"a multiple of the granularity, {step}"
            )
    both = cpu_fits and ram_fits and cpu_step > 0 and steps.ram > 0
    if bounds.change_in_lock_step and both and cpu // cpu_step != asked.ram // steps.ram:
        yield (
            f"Per instance cpu requested, {asked.cpu}, ram requested, {asked.ram}, for function should be positive "
            f"and the same multiple of the granularity, cpu, {steps.cpu}, ram, {steps.ram}"
        )


def _is_multiple(value: int, step: int) -> bool:
    return value != 0 and value % step == 0


def _millis(cores: float) -> int:
    """Thousandths of a core, rounded as Java does, so that 0.3 is three steps of 0.1."""
    return math.floor(cores * 1000 + 0.5)
