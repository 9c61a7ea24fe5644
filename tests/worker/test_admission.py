"""What a broker's limits keep out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pulsar_runtimes.brokers.base import BrokerLimits
from pulsar_runtimes.brokers.lite import LiteBroker
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import (
    ConsumerSpec,
    FunctionSpec,
    Language,
    ProcessingGuarantees,
    SinkSpec,
    SourceSpec,
)
from pulsar_runtimes.testing import function_spec
from pulsar_runtimes.worker.admission import check_broker


def java(input_schema: str, output_schema: str, *, output: str = "out", parallelism: int = 1) -> FunctionSpec:
    return function_spec(
        parallelism=parallelism,
        language=Language.JAVA,
        source=SourceSpec(input_specs={"in": ConsumerSpec(schema_type=input_schema)}),
        sink=SinkSpec(topic=output, schema_type=output_schema),
    )


@pytest.mark.parametrize(("function", "topics"), [(java("", "string"), "in"), (java("", ""), "in, out")])
def test_a_java_function_must_name_its_schemas_where_no_broker_knows_them(function: FunctionSpec, topics: str) -> None:
    with pytest.raises(AdmissionError, match=f"without a schemaType for {topics}"):
        check_broker(function, "pulsar-lite", LiteBroker.limits)
    check_broker(function, "pulsar", BrokerLimits())


@pytest.mark.parametrize("function", [java("string", "string"), java("string", "", output="")])
def test_a_java_function_that_names_them_is_served(function: FunctionSpec) -> None:
    check_broker(function, "pulsar-lite", LiteBroker.limits)


def test_effectively_once_needs_a_broker_that_keeps_a_message_once() -> None:
    function = replace(java("string", "string"), processing_guarantees=ProcessingGuarantees.EFFECTIVELY_ONCE)
    with pytest.raises(AdmissionError, match="cannot serve EFFECTIVELY_ONCE"):
        check_broker(function, "pulsar-lite", LiteBroker.limits)
    check_broker(function, "pulsar", BrokerLimits())


def test_replicas_that_run_as_a_whole_need_a_broker_that_tells_them_apart() -> None:
    two = java("string", "string", parallelism=2)
    with pytest.raises(AdmissionError, match="several replicas, whose consumers it takes for one"):
        check_broker(two, "pulsar-lite", LiteBroker.limits, as_whole=True)
    check_broker(two, "pulsar", BrokerLimits(), as_whole=True)
    check_broker(two, "pulsar-lite", LiteBroker.limits)
    check_broker(java("string", "string"), "pulsar-lite", LiteBroker.limits, as_whole=True)


def test_everything_that_is_lacking_is_told_at_once() -> None:
    source = SourceSpec(input_specs={"in.*": ConsumerSpec(is_regex_pattern=True)})
    with pytest.raises(AdmissionError, match="GO functions and input topics given by a pattern"):
        check_broker(function_spec(language=Language.GO, source=source), "pulsar-lite", LiteBroker.limits)
