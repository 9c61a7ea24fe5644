"""The registered functions, in a topic of a real broker, in both formats."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pulsar
import pytest

from pulsar_runtimes.brokers.lite import LiteBroker
from pulsar_runtimes.metadata import function_proto as proto
from pulsar_runtimes.metadata.messages import decode_request, encode_registration
from pulsar_runtimes.metadata.records import RequestKind
from pulsar_runtimes.metadata.registrations import RegistrationTable
from pulsar_runtimes.metadata.topic_reader import TopicReader
from pulsar_runtimes.model.errors import MetadataError, OutdatedError
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.observation import Phase
from pulsar_runtimes.model.registration import Registration, change
from tests.metadata.registered import FULL, registered
from tests.waiting import until

pytestmark = pytest.mark.broker

Table = Callable[..., RegistrationTable]
TOPIC = "persistent://public/functions/metadata"
KEY = FunctionKey("public", "default", "exclaim")


@pytest.fixture(params=[False, True], ids=["requests", "compacted"])
def compacted(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def table(
    pulsar_client: pulsar.Client, topic: Callable[[str], str], compacted: bool, table_options: dict[str, bool]
) -> Iterator[Table]:
    """``table("worker-1")`` is the loaded table of that worker."""
    opened: list[RegistrationTable] = []

    def build(worker_id: str = "worker-1", *, keep: list[RegistrationTable] | None = None) -> RegistrationTable:
        made = RegistrationTable(
            pulsar_client, topic("metadata"), worker_id=worker_id, compacted=compacted, **table_options
        )
        opened.append(made)
        if keep is not None:
            keep.append(made)
        made.load()
        return made

    yield build
    for each in opened:
        each.close()


@pytest.fixture
def messages(pulsar_client: pulsar.Client, topic: Callable[[str], str]) -> Callable[[int], list[Any]]:
    """``messages(3)`` are the first three of the topic that are no marks."""

    def read(count: int) -> list[Any]:
        reader = pulsar_client.create_reader(topic("metadata"), pulsar.MessageId.earliest)
        found: list[Any] = []
        while len(found) < count:
            message = reader.read_next(10_000)
            if "pfrun-end" not in message.properties():
                found.append(message)
        reader.close()
        return found

    return read


def test_an_empty_topic_is_an_empty_table(table: Table) -> None:
    empty = table()
    assert empty.registrations() == {} and empty.get(KEY) is None and not empty.leads


def test_what_one_worker_wrote_the_next_one_reads(table: Table) -> None:
    writer = table()
    writer.lead()
    writer.put(registered(version=0))
    writer.put(FULL)
    writer.put(registered(version=1, parallelism=3))
    writer.put(registered(name="other"))
    writer.delete(FunctionKey("public", "default", "other"), 1)
    wanted = {KEY: registered(version=1, parallelism=3), FULL.key: FULL}
    assert writer.registrations() == wanted
    writer.close()
    assert writer.registrations() == wanted

    reader = table("worker-2")
    assert reader.registrations() == wanted
    assert reader.get(KEY) == wanted[KEY]


def test_many_are_all_read(table: Table) -> None:
    writer = table()
    writer.lead()
    for number in range(1500):
        writer.put(registered(name=f"f{number % 500}", version=number))
    found = table("worker-2").registrations()
    assert {key.name: each.version for key, each in found.items()} == {f"f{n}": n + 1000 for n in range(500)}
    assert found == writer.registrations()


def test_the_records_are_those_of_the_reference(table: Table, compacted: bool, messages: Callable[..., Any]) -> None:
    writer = table()
    writer.lead()
    writer.put(registered(version=0))
    writer.put(registered(version=1, parallelism=2))
    writer.delete(KEY, 2)
    found = messages(3)
    assert [message.properties() for message in found] == [{"version": str(n)} for n in range(3)]
    assert {message.producer_name() for message in found} == {"worker-1-leader"}
    if compacted:
        assert [message.partition_key() for message in found] == [str(KEY)] * 3
        assert [message.data() for message in found] == [
            encode_registration(registered(version=0)),
            encode_registration(registered(version=1, parallelism=2)),
            b"",
        ]
    else:
        assert [message.partition_key() for message in found] == [""] * 3
        requests = [decode_request(message.data()) for message in found]
        assert [request.kind for request in requests] == [RequestKind.UPDATE, RequestKind.UPDATE, RequestKind.DELETE]
        assert [request.worker_id for request in requests] == ["worker-1"] * 3
        assert len({request.request_id for request in requests}) == 3
        assert requests[2].registration == registered(version=2, parallelism=2)


def test_a_version_that_is_not_above_the_known_one_is_refused(table: Table) -> None:
    writer = table()
    writer.lead()
    writer.put(registered(version=5))
    for outdated in (5, 4, 0):
        with pytest.raises(OutdatedError, match=f"public/default/exclaim: version {outdated} is out of date"):
            writer.put(registered(version=outdated))
        with pytest.raises(OutdatedError):
            writer.delete(KEY, outdated)
    assert writer.get(KEY) == registered(version=5)
    writer.delete(KEY, 6)
    writer.put(registered(version=0))  # a new one begins anew
    assert table("worker-2").registrations() == {KEY: registered(version=0)}


def test_an_outdated_record_of_somebody_else_is_passed_over(
    table: Table, pulsar_client: pulsar.Client, topic: Callable[[str], str], compacted: bool
) -> None:
    if not compacted:
        pytest.skip("one format will do")
    producer = pulsar_client.create_producer(topic("metadata"))
    for version in (3, 2):
        record = registered(version=version, parallelism=version)
        producer.send(encode_registration(record), partition_key=str(KEY), properties={"version": str(version)})
    producer.send(b"", partition_key=str(KEY), properties={"version": "3"})
    assert table().registrations() == {KEY: registered(version=3, parallelism=3)}


def test_a_function_that_nobody_knows_is_removed_without_a_word(table: Table, messages: Callable[..., Any]) -> None:
    writer = table()
    writer.lead()
    writer.delete(KEY, 7)
    writer.put(FULL)
    (first,) = messages(1)
    assert first.properties() == {"version": str(FULL.version)}


def test_who_does_not_lead_does_not_write(table: Table) -> None:
    with pytest.raises(MetadataError, match="does not lead"):
        table().put(registered())


def test_a_snapshot_does_not_change(table: Table) -> None:
    writer = table()
    writer.lead()
    before = writer.registrations()
    assert writer.registrations() is before
    writer.put(registered())
    assert before == {} and writer.registrations().keys() == {KEY}


def test_a_follower_is_told_of_each_change_in_order(table: Table) -> None:
    leader, follower = table(), table("worker-2")
    seen: list[tuple[str, int | None]] = []
    follower.follow(lambda key, found: seen.append((key.name, found.version if found else None)))
    leader.lead()
    leader.put(registered())
    leader.put(FULL)
    leader.put(registered(version=1))
    leader.delete(KEY, 2)
    wanted = [("exclaim", 0), (FULL.key.name, 3), ("exclaim", 1), ("exclaim", None)]
    until(lambda: list(seen), lambda told: told == wanted)
    assert follower.registrations() == {FULL.key: FULL}


def test_leadership_goes_from_one_to_the_other_and_back(table: Table) -> None:
    one, two = table(), table("worker-2")
    told: dict[str, list[int]] = {"one": [], "two": []}
    one.follow(lambda _, found: told["one"].append(found.version if found else -1))
    two.follow(lambda _, found: told["two"].append(found.version if found else -1))
    version = 0
    for _ in range(3):
        for leader, other in ((one, two), (two, one)):
            leader.lead()
            assert leader.leads and not other.leads
            assert leader.get(KEY) == (registered(version=version) if version else None)
            version += 1
            leader.put(registered(version=version))
            leader.resign()
            assert not leader.leads
    until(lambda: (one.get(KEY), two.get(KEY)), lambda found: found == (registered(version=6),) * 2)
    until(lambda: told, lambda seen: all(each == [1, 2, 3, 4, 5, 6] for each in seen.values()))


def test_a_function_of_a_newer_worker_keeps_its_version(
    table: Table, pulsar_client: pulsar.Client, topic: Callable[[str], str], compacted: bool
) -> None:
    newer = proto.FunctionMetaData.FromString(encode_registration(registered(version=4)))
    newer.functionDetails.runtime = 9
    data = newer.SerializeToString()
    if not compacted:
        data = proto.ServiceRequest(functionMetaData=newer, workerId="w", requestId="r").SerializeToString()
    producer = pulsar_client.create_producer(topic("metadata"))
    producer.send(data, partition_key=str(KEY) if compacted else None, properties={"version": "4"})
    producer.close()

    here = table()
    assert here.registrations() == {} and here.get(KEY) is None
    assert here.unreadable()[KEY].reason == "runtime: cannot be read (got 9)"
    here.lead()
    with pytest.raises(OutdatedError):
        here.put(registered(version=4))
    here.delete(KEY, 5)
    assert here.unreadable() == {}
    assert table("worker-2").unreadable() == {}


def test_what_nobody_understands_is_logged_and_passed_over(
    table: Table,
    pulsar_client: pulsar.Client,
    topic: Callable[[str], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = table()
    writer.lead()
    writer.put(registered())
    writer.close()
    producer = pulsar_client.create_producer(topic("metadata"))
    producer.send(b"\xff\xff nonsense")
    producer.send(b"")
    assert table("worker-2").registrations() == {KEY: registered()}
    assert "passed over" in caplog.text


def test_what_the_callback_does_wrong_ends_nothing(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    leader, follower = table(), table("worker-2")

    def fail(key: FunctionKey, _: Registration | None) -> None:
        raise ValueError("no good")

    follower.follow(fail)
    leader.lead()
    leader.put(registered())
    leader.put(FULL)
    until(follower.registrations, lambda found: len(found) == 2)
    assert "could not be acted on" in caplog.text


def test_only_one_writes(table: Table, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--on-pulsar"):
        pytest.skip("the embedded broker lets anybody in")
    one, two = table(), table("worker-2")
    two.follow(lambda *_: None)
    one.lead()
    with pytest.raises(MetadataError, match="another worker writes it"):
        two.lead()
    one.put(registered())
    until(lambda: two.get(KEY), lambda found: found == registered())  # it still follows
    one.close()
    two.lead()
    two.put(registered(version=1))


def test_what_could_not_be_loaded_may_be_tried_again(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = table()
    writer.lead()
    writer.put(registered())
    writer.close()

    def fail(self: TopicReader, *, seconds: float) -> Iterator[Any]:
        raise MetadataError("nobody there")

    reader: list[RegistrationTable] = []
    with monkeypatch.context() as patch:
        patch.setattr(TopicReader, "drain", fail)
        with pytest.raises(MetadataError, match="nobody there"):
            table("worker-2", keep=reader)
    reader[0].load()
    assert reader[0].registrations() == {KEY: registered()}
    with pytest.raises(MetadataError, match="loaded already"):
        reader[0].load()


Embedded = Callable[[], tuple[LiteBroker, pulsar.Client]]


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    """``embedded()`` is a broker with a client, always on the same data; what was started is ended with the test."""
    with ExitStack() as stack:

        def start() -> tuple[LiteBroker, pulsar.Client]:
            broker = LiteBroker.from_state_dir(tmp_path, os.environ)
            stack.callback(broker.stop, grace_seconds=5)
            client = pulsar.Client(broker.start(), logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, os.devnull))
            stack.callback(client.shutdown)
            return broker, client

        yield start


@pytest.mark.usefixtures("embedded_only")
class TestTheEmbeddedBroker:
    def test_its_death_loses_nothing(self, embedded: Embedded, tmp_path: Path, compacted: bool) -> None:
        broker, client = embedded()

        def load(worker_id: str) -> RegistrationTable:
            table = RegistrationTable(client, TOPIC, worker_id=worker_id, compacted=compacted, asks_end=False)
            table.load()
            return table

        leader, follower = load("one"), load("two")
        leader.lead()
        told: list[int] = []
        follower.follow(lambda _, found: told.append(found.version if found else -1))
        registration = registered()
        for round_ in range(3):
            for _ in range(50):
                leader.put(registration)
                registration = change(registration, 0, stop=registration.version % 2 == 0)
            kill(tmp_path)
            until(broker.observe, lambda seen: seen.phase is Phase.EXITED)
            broker.start()
            leader.put(registration)
            until(lambda: dict(follower.registrations()), {KEY: registration}.__eq__)
            assert load(f"three-{round_}").registrations() == {KEY: registration}
            registration = change(registration, 0, stop=True)
        assert told == list(range(153))
        leader.close()
        follower.close()

    def test_a_write_without_an_answer_leaves_no_doubt(
        self, embedded: Embedded, tmp_path: Path, compacted: bool
    ) -> None:
        broker, client = embedded()
        leader = RegistrationTable(client, TOPIC, worker_id="one", compacted=compacted, asks_end=False, seconds=2)
        leader.load()
        leader.lead()
        leader.put(registered(version=1))
        kill(tmp_path)
        with pytest.raises(MetadataError, match="public/default/exclaim was not confirmed"):
            leader.put(registered(version=2))
        assert leader.get(KEY) == registered(version=1)
        broker.start()
        leader.put(registered(version=3))
        again = RegistrationTable(client, TOPIC, worker_id="two", compacted=compacted, asks_end=False)
        again.load()
        assert again.registrations() == leader.registrations() == {KEY: registered(version=3)}

    def test_all_is_there_after_a_restart_of_everything(
        self, embedded: Embedded, tmp_path: Path, compacted: bool
    ) -> None:
        wanted: dict[FunctionKey, Registration] = {}
        for round_ in range(3):
            broker, client = embedded()
            table = RegistrationTable(client, TOPIC, worker_id="one", compacted=compacted, asks_end=False)
            table.load()
            assert table.registrations() == wanted
            table.lead()
            for number in range(200):
                one = registered(name=f"f{number}", version=round_)
                wanted[one.key] = one
                table.put(one)
            if round_ == 1:
                kill(tmp_path)
            client.shutdown()
            broker.stop(grace_seconds=5)


def kill(state_dir: Path) -> None:
    """Kill -9 the embedded broker whose data are there."""
    for process in psutil.Process().children(recursive=True):
        if process.name() == "pulsar-lite" and str(state_dir) in " ".join(process.cmdline()):
            process.kill()
            process.wait(10)
