"""One running function on a real broker: what it acknowledges, publishes and counts, and how it ends."""

from __future__ import annotations

import logging
import os
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.instance.instance import InstanceFailed
from pulsar_runtimes.instance.memory import MAX_MESSAGE_BYTES, MemoryBudget
from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import (
    CompressionType,
    ConsumerSpec,
    InstanceSpec,
    ProcessingGuarantees,
    ProducerSpec,
    SinkSpec,
    SubscriptionPosition,
)
from tests.instance.workbench import Served, Workbench
from tests.waiting import until

pytestmark = pytest.mark.broker

ATLEAST_ONCE = ProcessingGuarantees.ATLEAST_ONCE
ATMOST_ONCE = ProcessingGuarantees.ATMOST_ONCE
MANUAL = ProcessingGuarantees.MANUAL


class Blocks:
    """A function that stays in its call until the test lets it go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()

    def __call__(self, value: Any, context: Any) -> Any:
        self.entered.set()
        assert self.leave.wait(30)
        return value

    process = __call__


@pytest.fixture
def blocks() -> Iterator[Blocks]:
    function = Blocks()
    yield function
    function.leave.set()


def same(value: Any, context: Any) -> Any:
    return value


# When the input is acknowledged


@pytest.mark.parametrize(
    ("guarantee", "auto_ack", "left"),
    [
        (ATLEAST_ONCE, True, []),
        (ATLEAST_ONCE, False, ["1", "2"]),
        (ATMOST_ONCE, True, []),
        (ATMOST_ONCE, False, ["1", "2"]),
        (MANUAL, True, ["1", "2"]),
        (MANUAL, False, ["1", "2"]),
    ],
)
@pytest.mark.parametrize("answers", [True, False], ids=["output", "no output"])
def test_what_was_handled_is_acknowledged_as_the_guarantee_says(
    guarantee: ProcessingGuarantees, auto_ack: bool, left: list[str], answers: bool, workbench: Workbench
) -> None:
    spec = workbench.spec(processing_guarantees=guarantee, auto_ack=auto_ack)
    served = workbench.serve(spec, lambda value, context: value if answers else None)
    workbench.publish("1", "2")
    until(lambda: served.instance.stats.processed == 2)
    served.stop()
    assert workbench.left_over(spec) == left
    assert workbench.all_of() == (["1", "2"] if answers else [])


@pytest.mark.parametrize(("guarantee", "left"), [(ATLEAST_ONCE, ["1"]), (ATMOST_ONCE, []), (MANUAL, ["1"])])
def test_a_message_whose_call_is_not_over_is_acknowledged_only_at_most_once(
    guarantee: ProcessingGuarantees, left: list[str], workbench: Workbench, blocks: Blocks
) -> None:
    spec = workbench.spec(processing_guarantees=guarantee)
    served = workbench.serve(spec, blocks)
    workbench.publish("1")
    assert blocks.entered.wait(10)
    served.stop(grace_seconds=0.05)
    assert workbench.left_over(spec) == left


class OutputSerDe(Blocks):
    """Blocks between the end of the call and the publishing of its result."""

    def serialize(self, value: Any) -> bytes:
        return str(self(value, None)).encode()


@pytest.mark.parametrize(("guarantee", "left"), [(ATLEAST_ONCE, ["1"]), (ATMOST_ONCE, [])])
def test_a_message_is_acknowledged_at_least_once_only_when_its_output_is_the_broker_s(
    guarantee: ProcessingGuarantees, left: list[str], workbench: Workbench
) -> None:
    serde = OutputSerDe()
    sink = SinkSpec(topic=workbench.topic("out"), ser_de_class_name="S")
    spec = workbench.spec(processing_guarantees=guarantee, sink=sink)
    served = workbench.serve(spec, same, S=lambda: serde)
    workbench.publish("1")
    assert serde.entered.wait(10)
    served.stop(grace_seconds=0.05)
    assert workbench.left_over(spec) == left
    serde.leave.set()


def test_the_broker_has_the_output_before_the_input_is_acknowledged(workbench: Workbench) -> None:
    spec = workbench.spec()
    served = workbench.make(spec, same)
    events: list[str] = []
    answered, source = served.instance._sent, served.instance._inputs[0]

    def sent(*arguments: Any) -> None:
        events.append(f"output {arguments[2]}")
        answered(*arguments)

    def acknowledge(message_id: Any) -> None:
        events.append("acknowledged")
        usual(message_id)

    served.instance._sent = sent  # type: ignore[method-assign, assignment]
    served.start()
    assert served.ready.wait(10)
    usual, source.acknowledge = source.acknowledge, acknowledge
    workbench.publish("1")
    until(lambda: len(events) == 2)
    assert events == ["output Result.Ok", "acknowledged"]
    served.stop()
    assert workbench.left_over(spec) == []


def test_the_output_of_a_function_without_an_output_topic_goes_nowhere(workbench: Workbench) -> None:
    spec = workbench.spec(output=False)
    served = workbench.serve(spec, same)
    workbench.publish("1")
    until(lambda: served.instance.stats.processed == 1)
    served.stop()
    assert workbench.left_over(spec) == []


@pytest.mark.parametrize("guarantee", [ATLEAST_ONCE, ATMOST_ONCE, MANUAL])
def test_every_acknowledged_input_has_its_output_when_stopped_in_the_middle(
    guarantee: ProcessingGuarantees, workbench: Workbench
) -> None:
    sent = [f"message {number}" for number in range(1000)]
    spec = workbench.spec(processing_guarantees=guarantee)
    begun = threading.Event()

    def process(value: str, context: Any) -> str:
        if value == sent[100]:
            begun.set()
        return value

    served = workbench.serve(spec, process)
    producer = workbench.client.create_producer(workbench.topic("in"))
    for text in sent:
        producer.send_async(text.encode(), lambda result, _: None)
    assert begun.wait(20)
    served.stop()
    producer.flush()
    producer.close()
    outputs, left = workbench.all_of(), workbench.left_over(spec)
    assert set(outputs) | set(left) == set(sent)
    assert set(sent) - set(left) <= set(outputs)
    assert len(outputs) >= 101
    if guarantee is MANUAL:
        assert left == sent
    else:
        assert set(outputs).isdisjoint(left)


# What goes wrong


def test_an_exception_is_counted_and_the_message_comes_again(workbench: Workbench) -> None:
    tries: list[str] = []

    def process(value: str, context: Any) -> str:
        tries.append(value)
        if tries.count("bad") == 1 and value == "bad":
            raise ValueError("not this time")
        return value

    spec = workbench.spec()
    served = workbench.serve(spec, process)
    workbench.publish("bad", "good")
    assert workbench.outputs(2) == ["good", "bad"]
    stats = served.instance.stats.snapshot()
    assert (stats.received, stats.processed, stats.user_exceptions, stats.system_exceptions) == (3, 2, 1, 0)
    assert stats.latest_user_exceptions[0][0].endswith("ValueError: not this time\n")
    served.stop()
    assert workbench.left_over(spec) == []


def test_at_most_once_a_failed_message_never_comes_again(workbench: Workbench) -> None:
    tries: list[str] = []

    def process(value: str, context: Any) -> str:
        tries.append(value)
        raise ValueError("never")

    spec = workbench.spec(processing_guarantees=ATMOST_ONCE)
    served = workbench.serve(spec, process)
    workbench.publish("a", "b")
    until(lambda: served.instance.stats.user_exceptions == 2)
    served.stop()
    assert workbench.left_over(spec) == []
    assert tries == ["a", "b"]


def test_an_output_the_broker_refuses_gives_the_input_back(workbench: Workbench) -> None:
    large = os.urandom(MAX_MESSAGE_BYTES + 1)
    spec = workbench.spec()
    served = workbench.serve(spec, lambda value, context: large if value == "large" else value)
    workbench.publish("large", "small")
    assert workbench.outputs(1) == ["small"]
    until(lambda: served.instance.stats.system_exceptions >= 2)
    text, _ = served.instance.stats.snapshot().latest_system_exceptions[0]
    assert text.startswith("publishing the result of message (")
    assert text.endswith(" failed: Result.MessageTooBig")
    served.stop()
    assert workbench.left_over(spec) == ["large"]


@pytest.mark.parametrize("share", [None, 64 << 20], ids=["no limit", "memory limit"])
def test_an_output_that_cannot_be_encoded_gives_the_input_back(share: int | None, workbench: Workbench) -> None:
    spec = workbench.spec()
    served = workbench.serve(spec, lambda value, context: [value] if value == 1 else value, budget=MemoryBudget(share))
    workbench.publish("1", "fine")
    assert workbench.outputs(1) == ["fine"]
    until(lambda: served.instance.stats.system_exceptions >= 2)
    text, _ = served.instance.stats.snapshot().latest_system_exceptions[0]
    assert "IdentitySerde cannot serialize object of type <class 'list'>" in text
    served.stop()
    assert workbench.left_over(spec) == ["1"]


def test_an_input_that_cannot_be_decoded_is_a_system_exception_and_given_back(workbench: Workbench) -> None:
    inputs = {workbench.topic("in"): ConsumerSpec(serde_class_name="serde.PickleSerDe")}
    spec = workbench.spec(source={"input_specs": inputs})
    served = workbench.serve(spec, same)
    workbench.publish(b"no pickle", b"\x80\x04K\x07.")
    assert workbench.outputs(1) == ["7"]
    assert served.instance.stats.system_exceptions >= 1
    assert served.instance.stats.user_exceptions == 0
    served.stop()
    assert workbench.left_over(spec) == ["no pickle"]


def test_a_function_that_exits_ends_its_instance_with_the_reason(workbench: Workbench) -> None:
    def process(value: str, context: Any) -> None:
        raise SystemExit("enough")

    spec = workbench.spec()
    served = workbench.serve(spec, process)
    workbench.publish("1")
    served.join()
    (error,) = served.errors
    assert isinstance(error, InstanceFailed)
    assert str(error) == "the instance failed: SystemExit: enough"
    assert not served.instance.running
    assert workbench.left_over(spec) == ["1"]


def test_an_output_topic_that_cannot_be_is_a_system_exception(workbench: Workbench) -> None:
    served = workbench.serve(workbench.spec(sink=SinkSpec(topic="a//b")), same)
    workbench.publish("1")
    until(lambda: served.instance.stats.system_exceptions >= 1)


# The subscription


@pytest.mark.parametrize(("given", "name"), [("", "public/default/f"), ("mine", "mine")])
def test_the_subscription_is_named_after_the_function_unless_it_has_a_name(
    given: str, name: str, workbench: Workbench
) -> None:
    spec = workbench.spec(source={"subscription_name": given})
    workbench.serve(spec, same).stop()
    workbench.publish("kept")
    consumer = workbench.client.subscribe(
        workbench.topic("in"), name, pulsar.ConsumerType.Shared, initial_position=pulsar.InitialPosition.Latest
    )
    assert consumer.receive(5000).data() == b"kept"
    consumer.close()


@pytest.mark.parametrize(
    ("position", "outputs"), [(SubscriptionPosition.LATEST, ["new"]), (SubscriptionPosition.EARLIEST, ["old", "new"])]
)
def test_a_new_subscription_begins_where_it_was_asked_to(
    position: SubscriptionPosition, outputs: list[str], workbench: Workbench
) -> None:
    workbench.publish("old")
    workbench.serve(workbench.spec(source={"subscription_position": position}), same)
    workbench.publish("new")
    assert workbench.outputs(len(outputs)) == outputs


def test_a_subscription_goes_on_where_the_last_instance_ended(workbench: Workbench) -> None:
    spec = workbench.spec(source={"subscription_position": SubscriptionPosition.LATEST})
    workbench.serve(spec, same).stop()
    workbench.publish("meanwhile")
    workbench.serve(spec, same)
    assert workbench.outputs(1) == ["meanwhile"]


def test_two_instances_share_the_messages(workbench: Workbench) -> None:
    spec = workbench.spec(source={"input_specs": {workbench.topic("in"): ConsumerSpec(receiver_queue_size=1)}})
    handled: list[int] = []

    def process(value: int, context: Any) -> int:
        handled.append(context.get_instance_id())
        return value

    for number in range(2):
        workbench.serve(replace(spec, instance_id=number), process)
    workbench.publish(*map(str, range(20)))
    assert sorted(workbench.outputs(20)) == sorted(map(str, range(20)))
    assert set(handled) == {0, 1}


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_the_receiver_queue_may_have_any_size(size: int, workbench: Workbench) -> None:
    inputs = {workbench.topic("in"): ConsumerSpec(receiver_queue_size=size)}
    served = workbench.serve(workbench.spec(source={"input_specs": inputs}), same)
    workbench.publish("1", "2", "3")
    assert workbench.outputs(3) == ["1", "2", "3"]
    served.stop()


def test_several_inputs_are_read_and_one_call_is_made_at_a_time(workbench: Workbench) -> None:
    inputs = {
        workbench.topic("a"): ConsumerSpec(),
        workbench.topic("b"): ConsumerSpec(),
        workbench.topic("text"): ConsumerSpec(schema_type="STRING"),
        workbench.topic("pickled"): ConsumerSpec(serde_class_name="serde.PickleSerDe"),
    }
    spec = workbench.spec(source={"input_specs": inputs})
    busy = threading.Lock()
    seen: list[Any] = []

    def process(value: Any, context: Any) -> None:
        assert busy.acquire(blocking=False)
        seen.append((context.get_current_message_topic_name(), value))
        busy.release()

    served = workbench.serve(spec, process)
    for name in ("a", "b", "text"):
        workbench.publish(*["12"] * 20, to=name)
    workbench.publish(*[b"\x80\x04K\x07."] * 20, to="pickled")
    until(lambda: served.instance.stats.processed == 80)
    assert served.instance.stats.user_exceptions == 0
    expected = {"a": 12, "b": 12, "text": "12", "pickled": 7}
    assert sorted(map(repr, seen)) == sorted(
        repr((workbench.topic(name), value)) for name, value in expected.items() for _ in range(20)
    )
    served.stop()
    for name in expected:
        assert workbench.left_over(spec, name) == []


# The output


@pytest.mark.parametrize("forward", [False, True])
def test_an_output_tells_its_input_and_forwards_nothing_else(forward: bool, workbench: Workbench) -> None:
    sink = SinkSpec(topic=workbench.topic("out"), forward_source_message_property=forward)
    workbench.serve(workbench.spec(sink=sink), same)
    (sent,) = workbench.publish("1", properties={"a": "b"}, partition_key="k")
    (message,) = workbench.reader()(1)
    properties = message.properties()
    assert properties.keys() == {"__pfn_input_topic__", "__pfn_input_msg_id__"}
    assert properties["__pfn_input_topic__"] == workbench.topic("in")
    assert message.partition_key() == ""
    told = properties["__pfn_input_msg_id__"]
    assert set(told) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=")
    reader = workbench.client.create_reader(workbench.topic("in"), pulsar.MessageId.earliest)
    first = reader.read_next(5000)
    assert (first.message_id().ledger_id(), first.message_id().entry_id()) == (sent.ledger_id(), sent.entry_id())
    assert told == urlsafe_b64encode(first.message_id().serialize()).decode()
    reader.close()


@pytest.mark.parametrize("kind", CompressionType)
@pytest.mark.parametrize("batch_builder", ["", "KEY_BASED"])
def test_the_producer_s_settings_are_taken(kind: CompressionType, batch_builder: str, workbench: Workbench) -> None:
    producer = ProducerSpec(max_pending_messages=10, compression_type=kind, batch_builder=batch_builder)
    sink = SinkSpec(topic=workbench.topic("out"), producer_spec=producer)
    served = workbench.serve(workbench.spec(sink=sink), same)
    texts = [f"{number} " + "x" * 1000 for number in range(20)]
    workbench.publish(*texts)
    messages = workbench.reader()(20)
    # An output that is there twice was read twice, published twice, or its input came twice; this tells which.
    seen = [(str(m.message_id()), m.properties()["__pfn_input_msg_id__"], m.data()[:3]) for m in messages]
    assert [m.data().decode() for m in messages] == texts, f"{served.instance.stats.total()}; {seen}"


def test_what_a_function_returns_is_published_as_identity_serde_writes_it(workbench: Workbench) -> None:
    values = {"i": 1, "f": 1.5, "c": 2j, "s": "k\u00e4se", "b": b"\x00\xff", "e": ""}
    workbench.serve(workbench.spec(), lambda value, context: values[value])
    workbench.publish(*values)
    expected = [b"1", b"1.5", b"2j", "k\u00e4se".encode(), b"\x00\xff", b""]
    assert [message.data() for message in workbench.reader()(6)] == expected


# The memory limit


def test_a_small_memory_limit_slows_and_loses_nothing(workbench: Workbench) -> None:
    spec = workbench.spec()
    served = workbench.serve(spec, lambda value, context: "x" * value, budget=MemoryBudget(1000))
    workbench.publish(*["300"] * 50)
    assert [len(text) for text in workbench.outputs(50)] == [300] * 50
    share = served.instance._share
    assert share is not None
    until(lambda: share.in_flight_bytes == 0)
    served.stop()
    assert workbench.left_over(spec) == []


def test_a_neighbour_that_comes_or_goes_makes_an_instance_subscribe_anew_and_loses_nothing(
    workbench: Workbench,
) -> None:
    budget = MemoryBudget(100 * MAX_MESSAGE_BYTES)
    spec = workbench.spec()
    served = workbench.serve(spec, same, budget=budget)
    source = served.instance._inputs[0]
    sent = 0
    for _ in range(3):
        for change in ("come", "go"):
            before = source._consumer
            workbench.publish(*map(str, range(sent, sent + 20)))
            sent += 20
            if change == "come":
                neighbour = budget.open()
            else:
                assert neighbour is not None
                neighbour.close()
            until(lambda before=before: source._consumer is not before)  # type: ignore[misc]
    until(lambda: served.instance.stats.processed >= sent)
    served.stop()
    assert set(workbench.all_of()) == set(map(str, range(sent)))
    assert workbench.left_over(spec) == []


# The log topic


def test_what_is_logged_in_a_call_goes_to_the_log_topic(workbench: Workbench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    spec = workbench.spec(log_topic=workbench.topic("log"))

    def process(value: str, context: Any) -> str:
        context.get_logger().info("told %s", value)
        logging.getLogger("of.its.own").warning("logged")
        logging.getLogger("of.its.own").debug("whispered")
        outside = threading.Thread(target=lambda: logging.getLogger("x").warning("elsewhere"))
        outside.start()
        outside.join()
        return value

    served = workbench.serve(spec, process)
    logging.getLogger("of.its.own").warning("outside of a call")
    workbench.publish("hello")
    assert workbench.outputs(1) == ["hello"]
    served.stop()
    logging.getLogger("of.its.own").warning("after the end")
    lines = workbench.all_of("log")
    assert [line.partition("] ")[2] for line in lines] == ["[INFO]: told hello", "[WARNING]: logged"]
    assert all(line.startswith("[20") for line in lines)


def test_the_traceback_of_an_exception_is_in_the_log_topic(workbench: Workbench) -> None:
    spec = workbench.spec(log_topic=workbench.topic("log"), source={"negative_ack_redelivery_delay_ms": 60_000})

    def process(value: str, context: Any) -> str:
        raise ValueError("for the log")

    served = workbench.serve(spec, process)
    workbench.publish("1")
    until(lambda: served.instance.stats.user_exceptions == 1)
    served.stop()
    (line,) = workbench.all_of("log")
    assert "[ERROR]: the function raised an exception for message (" in line
    assert line.endswith("ValueError: for the log")


# Its life


def test_an_instance_says_when_it_is_ready_and_when_it_runs(workbench: Workbench) -> None:
    served = workbench.make(workbench.spec(), same)
    assert not served.instance.running
    served.start()
    assert served.ready.wait(10)
    assert served.instance.running
    served.stop()
    assert not served.instance.running
    assert served.errors == []


def test_a_stop_before_the_start_ends_it_at_once(workbench: Workbench) -> None:
    spec = workbench.spec()
    served = workbench.make(spec, same)
    served.instance.stop(1.0)
    served.start()
    served.join(5.0)
    assert served.errors == []


def test_a_stop_waits_for_the_call_at_hand(workbench: Workbench, blocks: Blocks) -> None:
    spec = workbench.spec()
    served = workbench.serve(spec, blocks)
    workbench.publish("1", "2")
    assert blocks.entered.wait(10)
    served.instance.stop(20.0)
    until(lambda: served.instance._resting)
    blocks.leave.set()
    served.join()
    assert workbench.all_of() == ["1"]
    assert workbench.left_over(spec) == ["2"]


def test_a_call_that_outlives_the_grace_acknowledges_and_publishes_nothing(
    workbench: Workbench, blocks: Blocks
) -> None:
    spec = workbench.spec()
    served = workbench.serve(spec, blocks)
    workbench.publish("1")
    assert blocks.entered.wait(10)
    served.stop(grace_seconds=0.05)
    (hung,) = served.instance.hung_threads()
    blocks.leave.set()
    hung.join(10)
    assert served.instance.hung_threads() == []
    assert workbench.all_of() == []
    assert workbench.left_over(spec) == ["1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ["a//b"]}, "subscribing to a//b at pulsar://"),
        ({"source": {"timeout_ms": 5}}, "failed: Consumer Config Exception: Unacknowledged message timeout"),
    ],
)
def test_a_subscription_that_cannot_be_is_a_clear_error(
    changes: dict[str, Any], message: str, workbench: Workbench
) -> None:
    names = changes.pop("inputs", None)
    spec: InstanceSpec = workbench.spec(
        source={"input_specs": {name: ConsumerSpec() for name in names}} if names else changes["source"]
    )
    served: Served = workbench.make(spec, same)
    with pytest.raises(LaunchError) as caught:
        served.instance.run()
    assert message in str(caught.value)
    assert workbench.url in str(caught.value)
