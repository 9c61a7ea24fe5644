"""The built-in runtimes of this machine keep the contract, with real instances and a real broker."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.function import InstanceSpec, Language, ProcessingGuarantees
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.process.factory import ProcessRuntimeFactory
from pulsar_runtimes.runtimes.thread.factory import ThreadRuntimeFactory
from pulsar_runtimes.testing import RuntimeFactoryConformance, function_spec, instance_spec

pytestmark = [pytest.mark.broker, pytest.mark.slow]


class LocalConformance(RuntimeFactoryConformance):
    @pytest.fixture
    def spec(self, sample: Callable[..., InstanceSpec]) -> InstanceSpec:
        return sample("Exclaim")

    @pytest.fixture
    def crashing_spec(self, sample: Callable[..., InstanceSpec]) -> InstanceSpec:
        return sample("Unbuildable")

    @pytest.fixture
    def context(self, tmp_path: Path) -> FactoryContext:
        return FactoryContext(tmp_path / "state", 8 << 30, os.environ)

    @pytest.fixture
    def refused_spec(self) -> InstanceSpec:
        return instance_spec(function=function_spec(processing_guarantees=ProcessingGuarantees.EFFECTIVELY_ONCE))


class TestThreadConformance(LocalConformance):
    @pytest.fixture
    def factory(self, context: FactoryContext) -> ThreadRuntimeFactory:
        return ThreadRuntimeFactory.from_config(Section({}), context)


class TestProcessConformance(LocalConformance):
    @pytest.fixture
    def config(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"logDirectory": str(tmp_path / "logs")}

    @pytest.fixture
    def factory(self, context: FactoryContext, config: Mapping[str, Any]) -> ProcessRuntimeFactory:
        return ProcessRuntimeFactory.from_config(Section(config), context)

    @pytest.fixture
    def refused_spec(self) -> InstanceSpec:
        return instance_spec(function=function_spec(language=Language.JAVA))


class TestSpawnedProcessConformance(TestProcessConformance):
    """``runtimeFlags`` give an instance an interpreter of its own."""

    @pytest.fixture
    def spec(self, sample: Callable[..., InstanceSpec]) -> InstanceSpec:
        spec = sample("Exclaim")
        return replace(spec, function=replace(spec.function, runtime_flags="-O"))
