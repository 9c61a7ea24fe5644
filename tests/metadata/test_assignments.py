"""Who runs what, in a topic of a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.metadata.assignments import AssignmentTable
from pulsar_runtimes.metadata.messages import decode_assignment
from pulsar_runtimes.metadata.records import Assignment
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.names import InstanceKey
from tests.metadata.registered import FULL, registered
from tests.waiting import until

pytestmark = pytest.mark.broker

Table = Callable[..., AssignmentTable]
ONE, TWO = Assignment(registered(), 0, "worker-1"), Assignment(registered(), 1, "worker-2")
ALL = Assignment(FULL, -1, "worker-1")


@pytest.fixture
def table(pulsar_client: pulsar.Client, topic: Callable[[str], str], table_options: dict[str, bool]) -> Iterator[Table]:
    """``table("worker-1")`` is the loaded table of that worker."""
    opened: list[AssignmentTable] = []

    def build(worker_id: str = "worker-1") -> AssignmentTable:
        opened.append(AssignmentTable(pulsar_client, topic("assignments"), worker_id=worker_id, **table_options))
        opened[-1].load()
        return opened[-1]

    yield build
    for each in opened:
        each.close()


def test_what_the_leader_assigns_the_others_learn(table: Table) -> None:
    leader, follower = table(), table("worker-2")
    told: list[tuple[InstanceKey, str | None]] = []
    follower.follow(lambda key, found: told.append((key, found.worker_id if found else None)))
    leader.lead()
    for each in (ONE, TWO, ALL):
        leader.put(each)
    moved = Assignment(registered(version=1), 1, "worker-1")
    leader.put(moved)
    leader.delete(ONE.key)
    leader.delete(ONE.key)
    wanted = {moved.key: moved, ALL.key: ALL}
    until(lambda: list(told), lambda seen: len(seen) == 5)
    assert told == [
        (ONE.key, "worker-1"),
        (TWO.key, "worker-2"),
        (ALL.key, "worker-1"),
        (TWO.key, "worker-1"),
        (ONE.key, None),
    ]
    assert leader.assignments() == follower.assignments() == table("worker-3").assignments() == wanted
    assert follower.get(moved.key) == moved and follower.get(ONE.key) is None


def test_the_records_are_those_of_the_reference(
    table: Table, pulsar_client: pulsar.Client, topic: Callable[[str], str]
) -> None:
    leader = table()
    leader.lead()
    leader.put(ALL)
    leader.delete(ALL.key)
    reader = pulsar_client.create_reader(topic("assignments"), pulsar.MessageId.earliest)
    found: list[Any] = []
    while len(found) < 2:
        message = reader.read_next(10_000)
        if "pfrun-end" not in message.properties():
            found.append(message)
    assert [message.partition_key() for message in found] == [f"{FULL.key}:-1"] * 2
    assert decode_assignment(found[0].data()) == ALL and found[1].data() == b""
    assert {message.producer_name() for message in found} == {"worker-1-scheduler-manager"}
    reader.close()


def test_who_does_not_lead_assigns_nothing(table: Table) -> None:
    with pytest.raises(MetadataError, match="does not lead"):
        table().put(ONE)


@pytest.mark.parametrize("key", ["", "f", "t/n/f", "t/n/f:x"])
def test_an_empty_record_of_nothing_is_passed_over(
    table: Table, pulsar_client: pulsar.Client, topic: Callable[[str], str], key: str
) -> None:
    producer = pulsar_client.create_producer(topic("assignments"))
    producer.send(b"", partition_key=key or None)
    producer.close()
    assert table().assignments() == {}
