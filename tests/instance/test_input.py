"""How input topics are grouped and subscribed to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.instance.input import Input, InputSpec, plan_inputs, subscription_type
from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import ConsumerSpec, ProcessingGuarantees, SourceSpec, SubscriptionType
from pulsar_runtimes.testing import function_spec, instance_spec
from tests.instance.workbench import GivenCode

PLAIN = ConsumerSpec()
PATTERN = ConsumerSpec(is_regex_pattern=True)
TEXT = ConsumerSpec(schema_type="string")


@pytest.mark.parametrize(
    ("source", "inputs"),
    [
        ({"input_specs": {"a": PLAIN}}, [(("a",), PLAIN)]),
        ({"input_specs": {"a": PLAIN, "b": ConsumerSpec()}}, [(("a", "b"), PLAIN)]),
        ({"input_specs": {"a": PLAIN, "b": TEXT, "c": PLAIN}}, [(("a", "c"), PLAIN), (("b",), TEXT)]),
        ({"input_specs": {"a.*": PATTERN, "b.*": PATTERN}}, [(("a.*",), PATTERN), (("b.*",), PATTERN)]),
        ({"topics_pattern": "a.*"}, [(("a.*",), PATTERN)]),
        ({"topics_to_ser_de_class_name": {"a": "", "b": "S"}}, [(("a",), PLAIN), (("b",), ConsumerSpec("", "S"))]),
        ({"topics_to_ser_de_class_name": {"a": "S"}, "input_specs": {"a": PLAIN}}, [(("a",), PLAIN)]),
        ({}, []),
    ],
)
def test_topics_that_are_read_alike_share_a_consumer(source: dict[str, Any], inputs: list[Any]) -> None:
    planned = plan_inputs(function_spec(source=SourceSpec(**source)))
    assert list(planned) == [InputSpec(topics, consumer) for topics, consumer in inputs]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Shared"),
        ({"source": SourceSpec(subscription_type=SubscriptionType.FAILOVER)}, "Failover"),
        ({"source": SourceSpec(subscription_type=SubscriptionType.KEY_SHARED)}, "KeyShared"),
        ({"retain_ordering": True}, "Failover"),
        ({"retain_key_ordering": True}, "KeyShared"),
        ({"retain_ordering": True, "retain_key_ordering": True}, "Failover"),
        ({"processing_guarantees": ProcessingGuarantees.EFFECTIVELY_ONCE}, "Failover"),
        ({"processing_guarantees": ProcessingGuarantees.MANUAL}, "Shared"),
    ],
)
def test_the_subscription_s_type_follows_the_order_that_was_asked_for(changes: dict[str, Any], expected: str) -> None:
    assert subscription_type(function_spec(**changes)) is getattr(pulsar.ConsumerType, expected)


@pytest.fixture
def nobody() -> Iterator[tuple[str, pulsar.Client]]:
    """The address of a port where nobody listens, and a client that would go there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"pulsar://127.0.0.1:{taken.getsockname()[1]}"
        quiet = pulsar.FileLogger(pulsar.LoggerLevel.Error, "/dev/null")
        client = pulsar.Client(url, operation_timeout_seconds=1, logger=quiet)
        yield url, client
        client.shutdown()


def test_a_broker_that_does_not_answer_is_named_with_its_address(nobody: tuple[str, pulsar.Client]) -> None:
    url, client = nobody
    source = Input(InputSpec(("a", "b"), PLAIN), instance_spec(service_url=url), GivenCode())
    with pytest.raises(LaunchError) as caught:
        source.open(client, None, 1)
    assert str(caught.value) == f"subscribing to a, b at {url} failed: Pulsar error: TimeOut"
    source.close()


def test_a_pattern_that_is_none_is_a_clear_error(nobody: tuple[str, pulsar.Client]) -> None:
    source = Input(InputSpec(("a(",), PATTERN), instance_spec(), GivenCode())
    with pytest.raises(LaunchError, match=r"^the topic pattern 'a\(' is no regular expression: "):
        source.open(nobody[1], None, 1)
