"""The subprocess runtime keeps the contract, with real instances and a real broker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pfrun_subprocess.factory import SubprocessRuntimeFactory

from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.testing import RuntimeFactoryConformance, function_spec, instance_spec

GOOD = """
from pulsar import Function

class Exclaim(Function):
    def process(self, input, context):
        return input + "!"
"""


@pytest.mark.broker
class TestSubprocessConformance(RuntimeFactoryConformance):
    @pytest.fixture
    def factory(self, tmp_path: Path) -> SubprocessRuntimeFactory:
        return SubprocessRuntimeFactory(FactoryContext(tmp_path / "state", 1 << 30, os.environ))

    @pytest.fixture
    def spec(self, tmp_path: Path, broker_url: str) -> InstanceSpec:
        return _instance(tmp_path, GOOD, broker_url)

    @pytest.fixture
    def crashing_spec(self, tmp_path: Path, broker_url: str) -> InstanceSpec:
        return _instance(tmp_path, "raise RuntimeError('no such thing')\n", broker_url)

    @pytest.fixture
    def refused_spec(self) -> InstanceSpec:
        return instance_spec(function=function_spec(runtime_flags="-v"))


def _instance(directory: Path, code: str, broker_url: str) -> InstanceSpec:
    code_file = directory / "exclaim.py"
    code_file.write_text(code)
    return instance_spec(code_file=str(code_file), service_url=broker_url)
