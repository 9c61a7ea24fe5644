"""Specs for tests: complete, ordinary, and changed only where the test says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pulsar_runtimes.model.function import (
    DEFAULT_RESOURCES,
    ComponentType,
    ConsumerSpec,
    FunctionSpec,
    InstanceSpec,
    Language,
    SinkSpec,
    SourceSpec,
)


def function_spec(**changes: Any) -> FunctionSpec:
    """A Python function ``public/default/exclaim`` that reads one topic and writes one, with ``changes`` made."""
    usual = FunctionSpec(
        tenant="public",
        namespace="default",
        name="exclaim",
        class_name="exclaim.Exclaim",
        language=Language.PYTHON,
        auto_ack=True,
        parallelism=1,
        source=SourceSpec(input_specs={"persistent://public/default/in": ConsumerSpec()}),
        sink=SinkSpec(topic="persistent://public/default/out"),
        resources=DEFAULT_RESOURCES,
        component_type=ComponentType.FUNCTION,
        package="exclaim.py",
    )
    return replace(usual, **changes)


def instance_spec(**changes: Any) -> InstanceSpec:
    """Instance 0 of :func:`function_spec` against a broker on its usual port, with ``changes`` made."""
    usual = InstanceSpec(
        function=function_spec(),
        instance_id=0,
        function_id="4f0c1a52-8a3e-4b1d-9d43-0c5f7f2b9a01",
        function_version="1",
        code_file="/functions/exclaim.py",
        service_url="pulsar://localhost:6650",
        web_service_url="http://localhost:8080",
    )
    return replace(usual, **changes)
