"""What user code sees of its surroundings while it handles a message."""

from __future__ import annotations

import base64
import logging
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.instance.context import InstanceContext
from pulsar_runtimes.instance.function_state import NO_STORE
from pulsar_runtimes.model.errors import StateKindError
from pulsar_runtimes.model.function import ConsumerSpec, InstanceSpec, ProcessingGuarantees, SinkSpec
from pulsar_runtimes.state.base import StateValue
from pulsar_runtimes.state.sqlite_store import SqliteStateStore, sqlite_url
from tests.instance.workbench import Workbench
from tests.waiting import until

pytestmark = pytest.mark.broker

Look = Callable[[Any], Any]


def seen_by_a_function(workbench: Workbench, look: Look, spec: InstanceSpec | None = None, **settings: Any) -> Any:
    """What ``look(context)`` gives inside a call of the function, for a message with ``settings``."""
    spec = spec or workbench.spec(output=False)
    answers: list[Any] = []
    served = workbench.serve(spec, lambda value, context: answers.append(look(context)))
    workbench.publish("hello", **settings)
    until(lambda: answers or served.instance.stats.user_exceptions)
    assert answers, served.instance.stats.snapshot().latest_user_exceptions[0][0]
    return answers[0]


def test_every_method_of_the_client_library_s_context_is_there() -> None:
    names = {name for name in vars(pulsar.Context) if not name.startswith("_")}
    assert {name for name in names if name not in vars(InstanceContext)} == set()


def test_the_message_of_the_moment_is_told(workbench: Workbench) -> None:
    seen = seen_by_a_function(
        workbench,
        lambda c: {
            "key": (c.get_message_key(), c.get_partition_key(), c.get_ordering_key()),
            "properties": c.get_message_properties(),
            "time": c.get_message_eventtime(),
            "topic": c.get_current_message_topic_name(),
            "partition": c.get_message_partition_index(),
            "id": (c.get_message_id().ledger_id(), c.get_message_id().entry_id()),
            "sequence": c.get_message_sequence_id(),
        },
        partition_key="k",
        ordering_key="o",
        properties={"a": "b"},
        event_timestamp=1234567890,
    )
    ledger, entry = seen.pop("id")
    assert seen == {
        "key": ("k", "k", "o"),
        "properties": {"a": "b"},
        "time": 1234567890,
        "topic": workbench.topic("in"),
        "partition": -1,
        "sequence": (ledger << 28) | entry,
    }


def test_each_message_has_its_own_id_as_the_producer_got_it(workbench: Workbench) -> None:
    seen: list[bytes] = []
    workbench.serve(
        workbench.spec(output=False), lambda value, context: seen.append(context.get_message_id().serialize())
    )
    ids = workbench.publish("1", "2", "3")
    until(lambda: len(seen) == 3)
    assert [pulsar.MessageId.deserialize(one).entry_id() for one in seen] == [one.entry_id() for one in ids]


def test_the_function_is_told(workbench: Workbench) -> None:
    spec = workbench.spec(inputs=("in", "more"), sink=SinkSpec(topic=workbench.topic("out"), ser_de_class_name="S"))
    spec = replace(spec, instance_id=3, function_id="FID", function_version="FVER")

    class Text:
        def serialize(self, value: object) -> bytes:
            return repr(value).encode()

    def look(value: str, context: Any) -> dict[str, Any]:
        names = ("tenant", "namespace", "name", "id", "version")
        return {name: getattr(context, f"get_function_{name}")() for name in names} | {
            "instance": context.get_instance_id(),
            "inputs": context.get_input_topics(),
            "output": context.get_output_topic() == spec.function.sink.topic,
            "serde": context.get_output_serde_class_name(),
            "client": type(context.get_pulsar_client()).__name__,
        }

    workbench.serve(spec, look, S=Text)
    workbench.publish("x")
    assert workbench.outputs(1) == [
        repr(
            {
                "tenant": "public",
                "namespace": "default",
                "name": "f",
                "id": "FID",
                "version": "FVER",
                "instance": 3,
                "inputs": [workbench.topic("in"), workbench.topic("more")],
                "output": True,
                "serde": "S",
                "client": "Client",
            }
        )
    ]


CONFIG = {"text": "v", "number": 1, "list": [1, 2], "env": "$HOME"}


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (lambda c: c.get_user_config_value("text"), "v"),
        (lambda c: c.get_user_config_value("list"), [1, 2]),
        (lambda c: c.get_user_config_value("env"), "$HOME"),
        (lambda c: c.get_user_config_value("missing"), None),
        (lambda c: dict(c.get_user_config_map()), CONFIG),
        (lambda c: c.get_secret("PASSWORD"), "s3cret"),
        (lambda c: c.get_secret("OTHER"), None),
    ],
)
def test_config_and_secrets_are_as_the_function_was_given_them(
    look: Look, expected: object, workbench: Workbench
) -> None:
    spec = workbench.spec(output=False, user_config=CONFIG, secrets_map={"PASSWORD": "s3cret"})
    assert seen_by_a_function(workbench, look, spec) == expected


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.incr_counter("k", 1),
        lambda c: c.get_counter("k"),
        lambda c: c.del_counter("k"),
        lambda c: c.put_state("k", b"v"),
        lambda c: c.get_state("k"),
    ],
)
def test_state_is_refused_with_a_clear_error(call: Look, workbench: Workbench) -> None:
    def look(context: Any) -> str:
        with pytest.raises(RuntimeError) as caught:
            call(context)
        return str(caught.value)

    said = seen_by_a_function(workbench, look)
    assert said == f"public/default/f: {NO_STORE}"


# State: shared by all instances of the function


@pytest.fixture
def stateful(workbench: Workbench, tmp_path: Path) -> InstanceSpec:
    return replace(workbench.spec(output=False), embedded_state_url=sqlite_url(tmp_path / "state.db"))


def test_counters_and_values_are_kept(stateful: InstanceSpec, workbench: Workbench, tmp_path: Path) -> None:
    def look(context: Any) -> list[Any]:
        seen = [context.get_counter("n"), context.get_state("s")]
        context.incr_counter("n", 5)
        context.incr_counter("n", -7)
        context.put_state("s", "text é")
        context.put_state("b", b"\x00\xff")
        seen += [context.get_counter("n"), context.get_state("n"), context.get_state("s"), context.get_state("b")]
        context.del_counter("n")
        context.del_counter("s")
        return [*seen, context.get_counter("n"), context.get_state("s")]

    seen = seen_by_a_function(workbench, look, stateful)
    assert seen == [None, None, -2, b"\xff" * 7 + b"\xfe", "text é".encode(), b"\x00\xff", None, None]
    store = SqliteStateStore(tmp_path / "state.db")
    assert store.get(stateful.function.key, "b") == StateValue(b"\x00\xff", 0)
    store.close()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.get_counter("text"), StateKindError),
        (lambda c: c.incr_counter("text", 1), StateKindError),
        (lambda c: c.put_state("counter", "x"), StateKindError),
        (lambda c: c.incr_counter("counter", 1.5), ValueError),
        (lambda c: c.incr_counter("counter", 1 << 63), ValueError),
        (lambda c: c.put_state("text", 5), TypeError),
        (lambda c: c.put_state("text", None), TypeError),
    ],
)
def test_state_that_cannot_be_is_refused(
    call: Look, error: type[Exception], stateful: InstanceSpec, workbench: Workbench
) -> None:
    def look(context: Any) -> list[Any]:
        context.put_state("text", "12345678")
        context.incr_counter("counter", 1)
        with pytest.raises(error):
            call(context)
        return [context.get_state("text"), context.get_counter("counter")]

    assert seen_by_a_function(workbench, look, stateful) == [b"12345678", 1]


def test_a_store_that_is_configured_counts_before_the_embedded_one(
    stateful: InstanceSpec, workbench: Workbench, tmp_path: Path
) -> None:
    spec = replace(stateful, state_storage_url=sqlite_url(tmp_path / "configured.db"))
    assert not seen_by_a_function(workbench, lambda context: context.put_state("k", "v"), spec)
    assert (tmp_path / "configured.db").is_file() and not (tmp_path / "state.db").exists()


def test_a_function_without_state_opens_no_store(stateful: InstanceSpec, workbench: Workbench, tmp_path: Path) -> None:
    assert seen_by_a_function(workbench, lambda context: context.get_instance_id(), stateful) == 0
    assert not (tmp_path / "state.db").exists()


def test_a_metric_is_summed_over_calls(workbench: Workbench) -> None:
    served = workbench.serve(workbench.spec(output=False), lambda value, context: context.record_metric("size", value))
    workbench.publish("2", "3.5")
    until(lambda: served.instance.stats.user_metrics.get("size") == (5.5, 2))


def test_the_logger_is_the_instance_s(workbench: Workbench) -> None:
    logger = seen_by_a_function(workbench, lambda c: c.get_logger())
    assert isinstance(logger, logging.Logger)
    assert logger.name == "public/default/f:0"


# publish


def test_a_function_publishes_to_any_topic_with_settings(workbench: Workbench) -> None:
    told: list[Any] = []
    conf = {"partition_key": "k", "ordering_key": "o", "event_timestamp": 77, "properties": {"a": "1", "b": "1"}}

    def publish(context: Any) -> None:
        context.publish(
            workbench.topic("other"),
            7,
            properties={"b": "2"},
            message_conf=conf,
            compression_type=pulsar.CompressionType.ZLib,
            callback=lambda result, message_id: told.append((result, message_id)),
        )

    seen_by_a_function(workbench, publish)
    (message,) = workbench.reader("other")(1)
    assert message.data() == b"7"
    assert (message.partition_key(), message.ordering_key()) == ("k", "o")
    assert message.properties() == {"a": "1", "b": "2"}
    assert message.event_timestamp() == 77
    until(lambda: told)
    assert str(told[0][0]) == "Result.Ok"
    assert conf["properties"] == {"a": "1", "b": "1"}


def test_publish_takes_a_serde_by_name(workbench: Workbench) -> None:
    value = {"a": [1]}
    seen_by_a_function(
        workbench, lambda c: c.publish(workbench.topic("other"), value, serde_class_name="serde.PickleSerDe")
    )
    (message,) = workbench.reader("other")(1)
    assert pickle.loads(message.data()) == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"message": ["no bytes"]}, "TypeError: IdentitySerde cannot serialize object of type <class 'list'>"),
        ({"serde_class_name": "serde.Gone"}, "LaunchError: 'serde.Gone': module 'pulsar.functions.serde'"),
        ({"message_conf": {"color": "red"}}, "TypeError: publish: no message setting named 'color'; known: partition_key"),  # noqa: E501
        ({"topic_name": "a//b"}, "Invalid"),
    ],
)  # fmt: skip
def test_a_publish_that_cannot_be_is_the_function_s_own_exception(
    arguments: dict[str, Any], message: str, workbench: Workbench
) -> None:
    given = {"topic_name": workbench.topic("other"), "message": "m"} | arguments
    served = workbench.serve(workbench.spec(output=False), lambda value, context: context.publish(**given))
    workbench.publish("go")
    until(lambda: served.instance.stats.user_exceptions)
    assert message in served.instance.stats.snapshot().latest_user_exceptions[0][0]


def test_a_publish_the_broker_refuses_is_a_system_exception(workbench: Workbench) -> None:
    told: list[Any] = []
    large = os.urandom(6 << 20)

    def process(value: str, context: Any) -> None:
        context.publish(workbench.topic("other"), large, callback=lambda result, _: told.append(str(result)))

    served = workbench.serve(workbench.spec(output=False), process)
    workbench.publish("go")
    until(lambda: told)
    assert told == ["Result.MessageTooBig"]
    until(lambda: served.instance.stats.system_exceptions == 1)
    (text, _) = served.instance.stats.snapshot().latest_system_exceptions[0]
    assert text == f"publishing to {workbench.topic('other')} failed: Result.MessageTooBig"


def test_a_callback_that_raises_harms_nothing(workbench: Workbench) -> None:
    def process(value: str, context: Any) -> str:
        context.publish(workbench.topic("other"), value, callback=lambda result, _: 1 / 0)
        return value

    served = workbench.serve(workbench.spec(), process)
    workbench.publish("1", "2", "3")
    assert workbench.outputs(3) == ["1", "2", "3"]
    until(lambda: served.instance.stats.user_exceptions == 3)
    assert "ZeroDivisionError" in served.instance.stats.snapshot().latest_user_exceptions[0][0]


def test_a_publish_after_a_delay_comes_late(workbench: Workbench) -> None:
    """The setting is the client library's, which takes a time span."""
    seen_by_a_function(
        workbench,
        lambda c: c.publish(workbench.topic("other"), "m", message_conf={"deliver_after": timedelta(milliseconds=1)}),
    )
    assert workbench.outputs(1, "other") == ["m"]


# ack


@pytest.mark.parametrize("spelling", ["whole", "partition", "short"])
def test_manual_messages_are_acknowledged_by_the_function(spelling: str, workbench: Workbench) -> None:
    whole = workbench.topic("in")
    topic = {
        "whole": whole,
        "partition": f"{whole}-partition-3",
        "short": whole.removeprefix("persistent://public/default/"),
    }[spelling]
    spec = workbench.spec(processing_guarantees=ProcessingGuarantees.MANUAL)

    def process(value: str, context: Any) -> str:
        if value == "good":
            context.ack(context.get_message_id(), topic)
        return value

    served = workbench.serve(spec, process)
    workbench.publish("good", "bad")
    assert workbench.outputs(2) == ["good", "bad"]
    served.stop()
    assert workbench.left_over(spec) == ["bad"]


def test_several_topics_are_acknowledged_each_on_its_own(workbench: Workbench) -> None:
    spec = workbench.spec(inputs=("a", "b", "c"), processing_guarantees=ProcessingGuarantees.MANUAL)
    inputs = dict(spec.function.source.input_specs) | {workbench.topic("c"): ConsumerSpec(schema_type="string")}
    function = replace(spec.function, source=replace(spec.function.source, input_specs=inputs))
    spec = replace(spec, function=function)

    def process(value: str, context: Any) -> str:
        if value.startswith("good"):
            context.ack(context.get_message_id(), context.get_current_message_topic_name())
        return value

    served = workbench.serve(spec, process)
    for name in "abc":
        workbench.publish(f"good {name}", f"bad {name}", to=name)
    assert sorted(workbench.outputs(6)) == sorted(f"{kind} {name}" for kind in ("good", "bad") for name in "abc")
    served.stop()
    for name in "abc":
        assert workbench.left_over(spec, name) == [f"bad {name}"]


def test_a_topic_that_is_no_input_cannot_be_acknowledged(workbench: Workbench) -> None:
    def look(context: Any) -> str:
        with pytest.raises(ValueError, match="is not an input topic") as caught:
            context.ack(context.get_message_id(), "other")
        return str(caught.value)

    assert seen_by_a_function(workbench, look) == "ack: 'other' is not an input topic of public/default/f"


def test_a_kept_message_id_is_one_that_others_can_read(workbench: Workbench) -> None:
    serialized = seen_by_a_function(workbench, lambda c: c.get_message_id().serialize())
    assert pulsar.MessageId.deserialize(base64.b64decode(base64.b64encode(serialized))).entry_id() == 0
