"""What a pod may use, and what is kept free for it.

Source: ``KubernetesRuntime#getFunctionContainer`` of Apache Pulsar 4.0.8. Pure.
"""

from __future__ import annotations

import math
from typing import Any

from pulsar_runtimes.model.function import DEFAULT_RESOURCES, Resources

from .config import KubernetesConfig

_LONGEST = 2**63 - 1


def build_pod_resources(asked: Resources | None, config: KubernetesConfig) -> dict[str, Any]:
    """``resources`` of the container, disk left out.

    Memory is the function's and the padding, cpu is rounded to thousandths; requests are these divided by the
    over-commit ratios. Arithmetic is that of doubles, as the reference's, so that the last digit is the same.
    """
    ram = asked.ram if asked is not None and asked.ram else DEFAULT_RESOURCES.ram
    cpu = asked.cpu if asked is not None and asked.cpu else DEFAULT_RESOURCES.cpu
    padded = ram + _rounded(ram * (config.percent_memory_padding / 100.0))
    strict = config.strict_reference
    return {
        "limits": {"cpu": _cores(cpu, strict), "memory": str(padded)},
        "requests": {
            "cpu": _cores(_divided(cpu, config.cpu_over_commit_ratio), strict),
            "memory": str(_cut(_divided(padded, config.memory_over_commit_ratio))),
        },
    }


def _cores(cores: float, strict: bool) -> str:
    """Cores in thousandths. The reference gives none at all below half of one, which is no limit to Kubernetes."""
    thousandths = _rounded(cores * 1000)
    if not strict:
        thousandths = max(1, thousandths)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def _rounded(value: float) -> int:
    """To the nearest whole number, halves up, within 64 bits (``Math.round``)."""
    return _cut(math.floor(value + 0.5) if abs(value) < _LONGEST else value)


def _cut(value: float) -> int:
    """Towards zero, within 64 bits, as a cast to ``long``."""
    return _LONGEST if value >= _LONGEST else -_LONGEST - 1 if value <= -_LONGEST - 1 else int(value)


def _divided(value: float, by: float) -> float:
    """A ratio of 0 is possible with ``strictReference`` only, where it gives what Java gives."""
    return value / by if by else math.copysign(math.inf, value)
