"""What tests that start workers share beside the fixtures ``run`` and ``build``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.worker.worker import Worker

SAMPLES = Path(__file__).parent / "functions" / "samples.py"

Run = Callable[..., Worker]
Build = Callable[..., FunctionSpec]
