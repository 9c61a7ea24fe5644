"""Who leads, and who is there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.metadata.admin_client import AdminClient
from pulsar_runtimes.metadata.election import Election, Member, Membership, read_membership
from pulsar_runtimes.model.errors import MetadataError
from tests.standalone.standalone import Standalone
from tests.waiting import until

TOPIC = "persistent://public/functions/coordinate"
ME = Member("me", "host-1", 6750)
YOU = Member("you", "host-2", 6750)


class Admin:
    """Answers with ``leader`` among both; without ``leader`` it does not answer."""

    def __init__(self) -> None:
        self.leader: Member | None = YOU

    def get(self, path: str) -> Any:
        assert path == "/admin/v2/persistent/public/functions/coordinate/stats"
        if self.leader is None:
            raise MetadataError("nobody there")
        return stats(ME, YOU, active=self.leader)


class Client:
    """Takes a subscription, and says what was asked for."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.is_closed = False

    def subscribe(self, topic: str, subscription: str, **options: Any) -> Client:
        self.asked = {"topic": topic, "subscription": subscription, **options}
        return self

    def close(self) -> None:
        self.is_closed = True


def stats(*members: Member, active: Member) -> dict[str, Any]:
    consumers = [{"consumerName": str(member), "metadata": {"id": str(member)}} for member in members]
    return {"subscriptions": {"participants": {"activeConsumerName": str(active), "consumers": consumers}}}


@pytest.mark.parametrize("text", ["w:host:80", "c-standalone-fw-127.0.0.1-80:127.0.0.1:80", "a:b:host:80"])
def test_a_member_is_read_as_it_is_written(text: str) -> None:
    assert str(Member.parse(text)) == text


@pytest.mark.parametrize("text", ["", "w", "w:80", "w:host:", "w:host:x", ":host:80", "w::80"])
def test_what_is_no_member_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Member.parse(text)


def test_the_members_are_those_of_the_statistics() -> None:
    assert read_membership(stats(YOU, ME, active=YOU)) == Membership((ME, YOU), YOU)


@pytest.mark.parametrize("consumer", [{}, {"consumerName": "x"}, {"consumerName": "x", "metadata": {"id": "x"}}])
def test_a_consumer_that_is_no_worker_is_passed_over(consumer: dict[str, Any]) -> None:
    seen = stats(ME, active=ME)
    seen["subscriptions"]["participants"]["consumers"].append(consumer)
    assert read_membership(seen) == Membership((ME,), ME)


def test_a_topic_that_nobody_reads_has_no_members() -> None:
    assert read_membership({}) == Membership()


def test_without_admin_rest_a_worker_is_alone_and_leads() -> None:
    calls: list[str] = []
    election = Election(None, TOPIC, ME, None)
    assert election.look() == election.seen == Membership((ME,), ME)
    election.join(lambda: calls.append("gain"), lambda: calls.append("loss"))
    until(lambda: election.leads)
    assert election.seen == Membership((ME,), ME)
    election.close()
    assert calls == ["gain", "loss"] and not election.leads
    election.close()


@pytest.fixture
def admin() -> Admin:
    return Admin()


@pytest.fixture
def elect(admin: Admin) -> Iterator[Callable[..., Election]]:
    opened: list[Election] = []

    def build(client: Client | None = None, **options: float) -> Election:
        made: Any = Election(client or Client(), TOPIC, ME, admin, poll_seconds=0.01, **options)  # type: ignore[arg-type]
        opened.append(made)
        return opened[-1]

    yield build
    for each in opened:
        each.close()


def test_it_takes_part_as_the_reference_does(elect: Callable[..., Election]) -> None:
    client = Client()
    election = elect(client)
    election.join(lambda: None, lambda: None)
    assert client.asked == {
        "topic": TOPIC,
        "subscription": "participants",
        "consumer_type": pulsar.ConsumerType.Failover,
        "consumer_name": "me:host-1:6750",
        "properties": {"id": "me:host-1:6750"},
        "initial_position": pulsar.InitialPosition.Earliest,
    }
    election.close()
    assert client.is_closed


def test_each_turn_is_told_once(elect: Callable[..., Election], admin: Admin) -> None:
    calls: list[str] = []
    election = elect()
    election.join(lambda: calls.append("gain"), lambda: calls.append("loss"))
    for leader, wanted in ((ME, ["gain"]), (YOU, ["gain", "loss"]), (ME, ["gain", "loss", "gain"])):
        admin.leader = leader
        until(lambda: list(calls), wanted.__eq__)
        until(lambda: election.leads, (leader == ME).__eq__)
        assert election.seen.leader == leader


def test_what_could_not_begin_is_tried_again_and_let_go(elect: Callable[..., Election], admin: Admin) -> None:
    calls: list[str] = []
    failures = itertools.chain([MetadataError("busy"), ValueError("a bug")], itertools.repeat(MetadataError("busy")))

    def fail() -> None:
        calls.append("gain")
        raise next(failures)

    election = elect()
    election.join(fail, lambda: calls.append("loss"))
    admin.leader = ME
    until(lambda: calls.count("gain") >= 4)
    assert not election.leads
    admin.leader = YOU
    until(lambda: calls[-1], "loss".__eq__)
    assert calls.count("loss") == 1


def test_a_silence_ends_leadership_only_when_it_is_long(elect: Callable[..., Election], admin: Admin) -> None:
    patient, hasty = elect(), elect(lost_seconds=0.0)
    admin.leader = ME
    for election in (patient, hasty):
        election.join(lambda: None, lambda: None)
    until(lambda: patient.leads and hasty.leads)
    admin.leader = None
    until(lambda: not hasty.leads)
    assert patient.leads
    admin.leader = ME
    until(lambda: hasty.leads)


@pytest.mark.slow
@pytest.mark.standalone
def test_on_a_real_pulsar_one_of_three_leads_and_the_next_when_it_dies(
    pulsar_standalone: Standalone, topic: Callable[[str], str]
) -> None:
    admin = AdminClient(pulsar_standalone.admin_url)
    name = topic("coordinate")
    members = [Member(f"worker-{number}", "127.0.0.1", 6750 + number) for number in range(3)]
    clients = [pulsar.Client(pulsar_standalone.service_url, logger=quiet()) for _ in members]
    elections = {
        member: Election(client, name, member, admin, poll_seconds=0.05)
        for member, client in zip(members, clients, strict=True)
    }
    for election in elections.values():
        election.join(lambda: None, lambda: None)
    until(lambda: elections[members[0]].look().members, tuple(members).__eq__)
    alive = dict(zip(members, clients, strict=True))
    while alive:
        # Each knows the same leader, and only that one leads.
        leaders = until(lambda: {each for each in alive if elections[each].leads}, lambda found: len(found) == 1)
        until(
            lambda: {elections[each].seen for each in alive},
            {Membership(tuple(sorted(alive)), *leaders)}.__eq__,
        )
        (leader,) = leaders
        alive.pop(leader).shutdown()  # its connection ends, as if it were killed
        elections[leader].close()
    admin.close()


def quiet() -> pulsar.ConsoleLogger:
    return pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
