"""One worker's part in a cluster, between tables and an election that a test moves by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from pulsar_runtimes.metadata.election import Member, Membership
from pulsar_runtimes.metadata.messages import encode_registration
from pulsar_runtimes.metadata.records import Assignment, UnreadableRegistration
from pulsar_runtimes.model.errors import LaunchError, MetadataError
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import Registration
from pulsar_runtimes.service.cluster import Cadence, Cluster
from pulsar_runtimes.service.errors import NotReadyError, RefusedError
from pulsar_runtimes.service.schedule import RoundRobinScheduler
from pulsar_runtimes.testing import function_spec
from tests.waiting import until

ME, YOU = Member("me", "host-1", 1), Member("you", "host-2", 2)
Taken = dict[FunctionKey, tuple[int, frozenset[int]]]


@dataclass
class Table:
    """A table of the state of record: what is put is there, and whoever follows is told."""

    entries: dict[Any, Any] = field(default_factory=dict)
    writer: bool = False
    changed: Callable[[Any, Any], None] = lambda key, value: None

    def load(self) -> None: ...

    def follow(self, on_change: Callable[[Any, Any], None], on_failure: Any = None) -> None:
        self.changed = on_change

    def lead(self) -> None:
        self.writer = True

    def resign(self) -> None:
        self.writer = False

    def close(self) -> None: ...

    def get(self, key: Any) -> Any:
        return self.entries.get(key)

    def registrations(self) -> Mapping[Any, Any]:
        return dict(self.entries)

    assignments = registrations

    def unreadable(self) -> Mapping[Any, Any]:
        return {}

    def put(self, value: Any) -> None:
        assert self.writer
        self.arrive(value.key, value)

    def delete(self, key: Any, version: int = 0) -> None:
        assert self.writer
        self.arrive(key, None)

    def arrive(self, key: Any, value: Any) -> None:
        """What some worker has written."""
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value
        self.changed(key, value)


@dataclass
class Vote:
    """An election whose outcome the test decides."""

    seen: Membership
    gain: Callable[[], None] = lambda: None
    lose: Callable[[], None] = lambda: None

    def look(self) -> Membership:
        return self.seen

    def join(self, on_gain: Callable[[], None], on_loss: Callable[[], None]) -> None:
        self.gain, self.lose = on_gain, on_loss
        if self.seen.leader == ME:
            on_gain()

    def close(self) -> None: ...


@dataclass
class Post:
    """What was sent to other workers."""

    sent: list[tuple[Member, Registration, bool]] = field(default_factory=list)
    act: Callable[[Registration, bool], None] = lambda registration, delete: None

    def send_change(self, leader: Member, registration: Registration, *, delete: bool) -> None:
        self.sent.append((leader, registration, delete))
        self.act(registration, delete)

    def files_in_use(self, worker: Member) -> list[str]:
        return [f"/{worker.worker_id}/f.py"]


class Scene:
    def __init__(self, leader: Member | None, *members: Member, as_whole: bool = False, **cadence: float) -> None:
        self.registrations, self.assignments = Table(), Table()
        self.vote, self.post = Vote(Membership(members or (ME,), leader)), Post()
        self.now = 0.0
        self.compacted = 0
        self.taken: Taken = {}
        self.broken: set[FunctionKey] = set()
        registrations: Any = self.registrations
        assignments: Any = self.assignments
        vote: Any = self.vote
        self.cluster = Cluster(
            ME,
            registrations,
            assignments,
            vote,
            self.post,
            RoundRobinScheduler(),
            cadence=Cadence(**{"failure_check": 0.05, "reschedule_after": 60.0, **cadence}),
            as_whole=as_whole,
            clock=lambda: self.now,
            compact=self._compact,
        )

    def _compact(self) -> None:
        self.compacted += 1

    def take(self, key: FunctionKey, registration: Registration | None, numbers: frozenset[int]) -> None:
        if key in self.broken:
            raise LaunchError("no such package")
        if registration is None:
            self.taken.pop(key, None)
        else:
            self.taken[key] = (registration.version, numbers)

    def mine(self, name: str = "f") -> tuple[int, frozenset[int]] | None:
        return self.taken.get(FunctionKey("public", "default", name))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    monkeypatch.setattr("pulsar_runtimes.service.cluster._RETRY_SECONDS", 0.05)
    monkeypatch.setattr("pulsar_runtimes.service.cluster._LEADER_SECONDS", 0.01)
    monkeypatch.setattr("pulsar_runtimes.service.cluster._CATCH_UP_SECONDS", 0.5)
    scenes: list[Scene] = []

    def build(leader: Member | None = ME, *members: Member, **more: Any) -> Scene:
        scenes.append(Scene(leader, *members, **more))
        scenes[-1].cluster.start(scenes[-1].take)
        return scenes[-1]

    yield build
    for each in scenes:
        each.cluster.stop()


def registered(name: str = "f", parallelism: int = 1, version: int = 0) -> Registration:
    return Registration(function_spec(name=name, parallelism=parallelism, package=""), version=version)


def test_the_leader_runs_what_it_registers(scene: Callable[..., Scene]) -> None:
    alone = scene()
    alone.cluster.put(registered(parallelism=2))
    until(alone.mine, lambda mine: mine == (0, frozenset({0, 1})))
    alone.cluster.put(registered(parallelism=1, version=1))
    until(alone.mine, lambda mine: mine == (1, frozenset({0})))
    alone.cluster.delete(registered(version=2))
    until(alone.mine, lambda mine: mine is None)


def test_each_worker_runs_its_part(scene: Callable[..., Scene]) -> None:
    both = scene(ME, ME, YOU)
    both.cluster.put(registered(parallelism=3))
    until(lambda: len(both.assignments.entries) == 3)
    workers = {assignment.worker_id for assignment in both.assignments.entries.values()}
    assert workers == {"me", "you"}
    mine = until(both.mine)
    assert mine is not None
    assert mine[1] == {key.instance_id for key, worker in both.cluster.assigned().items() if worker == "me"}


def test_a_follower_sends_changes_to_the_leader_and_knows_them_when_it_answers(scene: Callable[..., Scene]) -> None:
    follower = scene(YOU, ME, YOU)
    follower.post.act = lambda registration, delete: follower.registrations.arrive(registration.key, registration)
    follower.cluster.put(registered())
    assert follower.post.sent == [(YOU, registered(), False)]
    assert registered().key in follower.cluster.registrations()
    assert not follower.registrations.writer


def test_a_follower_runs_what_the_leader_assigns(scene: Callable[..., Scene]) -> None:
    follower = scene(YOU, ME, YOU)
    for number, worker in enumerate(("me", "you", "me")):
        assignment = Assignment(registered(parallelism=3), number, worker)
        follower.assignments.arrive(assignment.key, assignment)
    until(follower.mine, lambda mine: mine == (0, frozenset({0, 2})))
    follower.assignments.arrive(InstanceKey(registered().key, 2), None)
    until(follower.mine, lambda mine: mine == (0, frozenset({0})))


def test_what_goes_to_another_worker_is_told_from_what_is_gone(scene: Callable[..., Scene]) -> None:
    follower = scene(YOU, ME, YOU, as_whole=True)
    whole = InstanceKey(registered().key, -1)

    def assign(worker: str, *numbers: int) -> None:
        follower.assignments.arrive(whole, Assignment(registered(), -1, worker))
        until(follower.mine, lambda mine: mine == (0, frozenset(numbers)))

    assign("me", -1)
    assign("you")
    assert follower.cluster.owner(InstanceKey(registered().key, 5)) == YOU
    assign("me", -1)
    follower.assignments.arrive(whole, None)
    until(follower.mine, lambda mine: mine is None)


def test_without_a_leader_changes_are_refused_for_now(scene: Callable[..., Scene]) -> None:
    nobody = scene(None, ME, YOU)
    with pytest.raises(NotReadyError, match="Leader not yet ready"):
        nobody.cluster.put(registered())
    with pytest.raises(NotReadyError):
        nobody.cluster.write(encode_registration(registered()), delete=False)
    with pytest.raises(NotReadyError):
        nobody.cluster.rebalance()


def test_what_another_worker_sends_is_written(scene: Callable[..., Scene]) -> None:
    leader = scene()
    leader.cluster.write(encode_registration(registered()), delete=False)
    assert leader.registrations.entries == {registered().key: registered()}
    with pytest.raises(RefusedError):
        leader.cluster.write(b"\xff\xff\xff", delete=False)


def test_what_a_dead_worker_ran_goes_to_the_others_after_the_time(scene: Callable[..., Scene]) -> None:
    leader = scene(ME, ME, YOU)
    leader.cluster.put(registered(parallelism=2))
    until(leader.mine, lambda mine: mine is not None and len(mine[1]) == 1)
    leader.vote.seen = Membership((ME,), ME)
    leader.cluster.schedule()
    leader.now = 60.0
    leader.cluster.schedule()
    assert "you" in leader.cluster.assigned().values()
    leader.now = 60.1
    leader.cluster.schedule()
    until(leader.mine, lambda mine: mine == (0, frozenset({0, 1})))


def test_a_function_that_cannot_be_run_is_tried_again(scene: Callable[..., Scene]) -> None:
    alone = scene()
    alone.broken = {registered().key}
    alone.cluster.put(registered())
    alone.cluster.put(registered("g"))
    until(lambda: alone.mine("g"))
    assert alone.mine() is None
    alone.broken = set()
    until(alone.mine, lambda mine: mine == (0, frozenset({0})))


def test_who_loses_the_lead_writes_no_more(scene: Callable[..., Scene]) -> None:
    both = scene(ME, ME, YOU)
    both.vote.seen = Membership((ME, YOU), YOU)
    both.vote.lose()
    assert not (both.registrations.writer or both.assignments.writer)
    assert both.cluster.leader() == YOU
    both.cluster.put(registered())
    assert len(both.post.sent) == 1


def test_a_failed_gain_leaves_nothing_half_done(scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    both = scene(YOU, ME, YOU)

    def busy() -> None:
        raise MetadataError("another worker writes it")

    monkeypatch.setattr(both.assignments, "lead", busy)
    with pytest.raises(MetadataError):
        both.vote.gain()
    assert not both.registrations.writer
    assert not both.cluster.leads


def test_the_leader_has_the_topics_compacted_now_and_then(scene: Callable[..., Scene]) -> None:
    leader = scene(compaction=1800.0)
    leader.now = 1799.0
    leader.cluster.put(registered())
    until(leader.mine)
    assert leader.compacted == 0
    leader.now = 1800.0
    until(lambda: leader.compacted, lambda count: count == 1)
    leader.now = 3600.0
    until(lambda: leader.compacted, lambda count: count == 2)


def test_a_drained_worker_gets_nothing_new(scene: Callable[..., Scene]) -> None:
    both = scene(ME, ME, YOU)
    both.cluster.put(registered(parallelism=2))
    until(lambda: len(both.assignments.entries) == 2)
    both.cluster.drain("you")
    assert set(both.cluster.assigned().values()) == {"me"}
    assert (both.cluster.is_drained("you"), both.cluster.is_drained("me")) == (True, None)
    both.cluster.put(registered("g", 2))
    until(lambda: len(both.assignments.entries) == 4)
    assert set(both.cluster.assigned().values()) == {"me"}
    with pytest.raises(RefusedError, match="not known"):
        both.cluster.drain("nobody")


def test_one_that_cannot_follow_any_more_says_so(scene: Callable[..., Scene]) -> None:
    follower = scene(YOU, ME, YOU)
    follower.cluster.check()
    follower.cluster._fail(MetadataError("the broker is gone"))
    with pytest.raises(MetadataError, match="the broker is gone"):
        follower.cluster.check()


def test_other_workers_tell_which_files_they_run(scene: Callable[..., Scene]) -> None:
    assert scene(YOU, ME, YOU).cluster.files_elsewhere() == {"/you/f.py"}
    assert scene(ME).cluster.files_elsewhere() == set()


def test_what_an_instance_is_assigned_with_is_meant_as_well(scene: Callable[..., Scene]) -> None:
    follower = scene(YOU, ME, YOU)
    older, newer = registered(), registered(version=1)
    follower.assignments.arrive(Assignment(older, 0, "you").key, Assignment(older, 0, "you"))
    follower.registrations.arrive(newer.key, newer)
    assert sorted(each.version for each in follower.cluster.meant()) == [0, 1]
    assert follower.cluster.unreadable() == set()
    unreadable = UnreadableRegistration(newer.key, 2, "a newer Pulsar's")
    follower.assignments.arrive(Assignment(unreadable, 0, "you").key, Assignment(unreadable, 0, "you"))
    assert follower.cluster.unreadable() == {newer.key}
    assert [each.version for each in follower.cluster.meant()] == [1]
