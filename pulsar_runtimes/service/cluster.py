"""What all workers of a cluster share: what is registered, who runs which instance, and who decides it.

Every worker follows the metadata and the assignment topic and runs what is assigned to it. One of them leads: it alone
writes both topics. Others send it the changes that they are asked for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from pulsar_runtimes.metadata.assignments import AssignmentTable
from pulsar_runtimes.metadata.election import Election, Member
from pulsar_runtimes.metadata.messages import decode_registration
from pulsar_runtimes.metadata.records import Assignment
from pulsar_runtimes.metadata.registrations import RegistrationTable
from pulsar_runtimes.model.errors import MetadataError, OutdatedError, PfrunError
from pulsar_runtimes.model.names import ALL_REPLICAS, FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import Registration

from .errors import NotReadyError, RefusedError
from .schedule import Absences, Schedule, Scheduler, plan_drain, plan_rebalance, plan_schedule

_SETTLE_SECONDS = 0.05
"""Several records that come one after another are acted upon once."""

_RETRY_SECONDS = 5.0
_CATCH_UP_SECONDS = 10.0
_LEADER_SECONDS = 10.0
_POLL_SECONDS = 0.02

_log = logging.getLogger(__name__)

NO_LEADER = "Leader not yet ready. Please retry again"

Take = Callable[[FunctionKey, Registration | None, frozenset[int]], None]
"""Told what this worker is to run of a function from now on: which registration, and which instances of it.

Without instances it is for other workers only; without a registration it is for nobody.
"""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often the leader looks after what, in seconds; 0 or less is never."""

    failure_check: float = 30.0
    reschedule_after: float = 60.0
    rebalance: float = 0.0
    compaction: float = 0.0


class Peers(Protocol):
    """How this worker reaches the others."""

    def send_change(self, leader: Member, registration: Registration, *, delete: bool) -> None:
        """Have the leader write a change. ``RefusedError`` or ``NotReadyError`` as it answers."""

    def files_in_use(self, worker: Member) -> Collection[str]:
        """The files that a worker's instances were made from. ``PfrunError`` when it does not tell."""


class Cluster:
    """One worker's part in it. ``me`` is how the others know this worker.

    ``registrations``, ``assignments`` and ``election`` are started and closed here. With ``as_whole`` all replicas of a
    function are one instance. ``compact`` asks the broker to compact the topics; ``None`` where it cannot. All methods
    may be called from any thread.
    """

    def __init__(
        self,
        me: Member,
        registrations: RegistrationTable,
        assignments: AssignmentTable,
        election: Election,
        peers: Peers,
        scheduler: Scheduler,
        *,
        cadence: Cadence = Cadence(),
        as_whole: bool = False,
        compact: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.me = me
        self._registrations = registrations
        self._assignments = assignments
        self._election = election
        self._peers = peers
        self._scheduler = scheduler
        self._cadence = cadence
        self._as_whole = as_whole
        self._clock = clock
        self._take: Take = lambda key, registration, numbers: None
        self._taken: dict[FunctionKey, tuple[Registration, frozenset[int]]] = {}
        self._changed = threading.Event()
        self._asked = threading.Event()
        self._ending = threading.Event()
        self._writing = threading.Lock()  # one schedule, rebalance or drain at a time
        self._absences = Absences()
        self._drained: set[str] = set()
        self._compact = compact
        self._rebalanced = self._compacted = clock()
        self._leading = False
        self._failure: MetadataError | None = None
        self._threads: list[threading.Thread] = []

    # Life

    def start(self, take: Take) -> None:
        """Read everything, take over what is assigned to this worker, join the election, and wait a while for a leader.

        ``MetadataError`` when the topics cannot be read.
        """
        self._take = take
        self._registrations.load()
        self._assignments.load()
        self._registrations.follow(lambda key, registration: self._wake(), self._fail)
        self._assignments.follow(lambda key, assignment: self._wake(), self._fail)
        self._share()
        for name, loop in (("share", self._share_loop), ("schedule", self._schedule_loop)):
            self._threads.append(threading.Thread(target=loop, name=name, daemon=True))
            self._threads[-1].start()
        self._election.join(self._gain, self._lose)
        deadline = time.monotonic() + _LEADER_SECONDS
        while self.leader() is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)  # until then every change would be refused

    def stop(self) -> None:
        """Leave. What this worker runs goes on until it is stopped itself. Idempotent."""
        self._ending.set()
        self._wake()
        self._asked.set()
        self._election.close()
        for thread in self._threads:
            thread.join()
        self._registrations.close()
        self._assignments.close()

    def check(self) -> None:
        """``MetadataError`` once the topics cannot be followed any more: what is known here gets old."""
        if self._failure is not None:
            raise self._failure

    def _fail(self, error: MetadataError) -> None:
        _log.error("the state of record cannot be followed any more: %s", error)
        self._failure = self._failure or error

    def _wake(self) -> None:
        self._changed.set()
        self._asked.set()

    # What there is

    @property
    def leads(self) -> bool:
        """Whether this worker decides and writes."""
        return self._leading

    def members(self) -> tuple[Member, ...]:
        """The workers that are there."""
        return self._election.seen.members or (self.me,)

    def leader(self) -> Member | None:
        """The worker that leads; ``None`` while none does."""
        if self._leading:
            return self.me
        seen = self._election.seen.leader
        return seen if seen != self.me else None  # one that is still preparing for it does not lead

    def registrations(self) -> Mapping[FunctionKey, Registration]:
        return self._registrations.registrations()

    def meant(self) -> list[Registration]:
        """Every registration, and those that an instance is assigned with, which may be older."""
        assigned = (each.registration for each in self.assignments().values())
        found = [*self.registrations().values(), *(each for each in assigned if isinstance(each, Registration))]
        return list({(each.key, each.version): each for each in found}.values())

    def unreadable(self) -> set[FunctionKey]:
        """The functions that this version cannot read."""
        assigned = (each.registration for each in self.assignments().values())
        return {
            *self._registrations.unreadable(),
            *(each.key for each in assigned if not isinstance(each, Registration)),
        }

    def files_elsewhere(self) -> set[str]:
        """The files that the instances of other workers were made from. ``PfrunError`` when one does not tell."""
        others = [member for member in self.members() if member != self.me]
        return {file for member in others for file in self._peers.files_in_use(member)}

    def assignments(self) -> Mapping[InstanceKey, Assignment]:
        return self._assignments.assignments()

    def assigned(self) -> Mapping[InstanceKey, str]:
        """The worker of each instance."""
        return {key: assignment.worker_id for key, assignment in self.assignments().items()}

    def owner(self, key: InstanceKey) -> Member | None:
        """The worker that is to run an instance; ``None`` when there is none, or it is not there any more."""
        number = ALL_REPLICAS if self._as_whole else key.instance_id
        assignment = self._assignments.get(InstanceKey(key.function, number))
        if assignment is None:
            return None
        return next((member for member in self.members() if member.worker_id == assignment.worker_id), None)

    # Changes

    def put(self, registration: Registration) -> None:
        """Register, or change. Durable when this returns, and known here.

        ``RefusedError`` when it is out of date, ``NotReadyError`` when nobody leads.
        """
        self._write(registration, delete=False)

    def delete(self, registration: Registration) -> None:
        """Forget a function; the version is that of the deletion. Errors as :meth:`put` has them."""
        self._write(registration, delete=True)

    def _write(self, registration: Registration, *, delete: bool) -> None:
        if self._leading:
            self._write_as_leader(registration, delete=delete)
            return
        leader = self.leader()
        if leader is None or leader == self.me:
            raise NotReadyError(NO_LEADER)
        self._peers.send_change(leader, registration, delete=delete)
        self._catch_up(registration, delete=delete)

    def _write_as_leader(self, registration: Registration, *, delete: bool) -> None:
        if not self._leading:
            raise NotReadyError(NO_LEADER)
        try:
            if delete:
                self._registrations.delete(registration.key, registration.version)
            else:
                self._registrations.put(registration)
        except OutdatedError as error:
            raise RefusedError(str(error)) from None
        except MetadataError as error:
            raise NotReadyError(str(error)) from None
        self._asked.set()

    def write(self, record: bytes, *, delete: bool) -> None:
        """Write a change that another worker was asked for, as the bytes that :class:`Peers` send.

        ``RefusedError`` when they cannot be read or are out of date, ``NotReadyError`` when this worker does not lead.
        """
        try:
            registration = decode_registration(record)
        except MetadataError as error:
            raise RefusedError(str(error)) from None
        if not isinstance(registration, Registration):
            raise RefusedError(registration.reason)
        self._write_as_leader(registration, delete=delete)

    def _catch_up(self, registration: Registration, *, delete: bool) -> None:
        """Whoever asks this worker next must not find it behind what it has just promised."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while time.monotonic() < deadline and not self._ending.is_set():
            known = self._registrations.get(registration.key)
            if known is None if delete else known is not None and known.version >= registration.version:
                return
            time.sleep(_POLL_SECONDS)

    # What this worker runs

    def _share_loop(self) -> None:
        while not self._ending.is_set():
            self._changed.wait(_RETRY_SECONDS)
            if self._ending.wait(_SETTLE_SECONDS):
                return
            self._changed.clear()
            self._share()

    def _share(self) -> None:
        """Tell what has changed for this worker since the last time; what could not be taken is tried again."""
        assignments = self._assignments.assignments()
        mine = self._mine(assignments)
        elsewhere = {key.function for key, each in assignments.items() if each.worker_id != self.me.worker_id}
        for key in [key for key in self._taken if key not in mine]:
            if self._give(key, self._taken[key][0] if key in elsewhere else None, frozenset()):
                del self._taken[key]
        for key, (registration, numbers) in mine.items():
            if self._taken.get(key) != (registration, numbers) and self._give(key, registration, numbers):
                self._taken[key] = (registration, numbers)

    def _give(self, key: FunctionKey, registration: Registration | None, numbers: frozenset[int]) -> bool:
        try:
            self._take(key, registration, numbers)
        except PfrunError as error:
            _log.error("%s: %s", key, error)
            return False
        except Exception:
            _log.exception("%s: cannot be taken over", key)
            return False
        return True

    def _mine(
        self, assignments: Mapping[InstanceKey, Assignment]
    ) -> dict[FunctionKey, tuple[Registration, frozenset[int]]]:
        newest: dict[FunctionKey, Registration] = {}
        numbers: dict[FunctionKey, set[int]] = {}
        for key, assignment in assignments.items():
            registration = assignment.registration
            if assignment.worker_id != self.me.worker_id or not isinstance(registration, Registration):
                continue
            known = newest.get(key.function)
            if known is None or known.version < registration.version:
                newest[key.function] = registration
            numbers.setdefault(key.function, set()).add(key.instance_id)
        return {key: (registration, frozenset(numbers[key])) for key, registration in newest.items()}

    # Leading

    def _gain(self) -> None:
        self._registrations.lead()
        try:
            self._assignments.lead()
        except MetadataError:
            self._registrations.resign()
            raise
        self._absences = Absences()
        self._leading = True
        self._asked.set()

    def _lose(self) -> None:
        self._leading = False
        with self._writing:  # a schedule under way ends first
            self._assignments.resign()
            self._registrations.resign()

    def _schedule_loop(self) -> None:
        period = self._cadence.failure_check if self._cadence.failure_check > 0 else None
        while not self._ending.is_set():
            self._asked.wait(period)
            self._asked.clear()
            if self._leading and not self._ending.is_set():
                try:
                    self.schedule()
                    self._compact_when_due()
                except MetadataError as error:
                    _log.warning("scheduling failed, and is tried again: %s", error)
                    if self._ending.wait(_RETRY_SECONDS):
                        return
                    self._asked.set()

    def _compact_when_due(self) -> None:
        period = self._cadence.compaction
        if self._compact is not None and 0 < period <= self._clock() - self._compacted:
            self._compacted = self._clock()
            self._compact()

    def schedule(self) -> None:
        """As the leader: give every instance a worker. ``MetadataError`` when that cannot be written."""
        with self._writing:
            workers = self._workers()
            assignments = self.assignments()
            lost = self._absences.lost(assignments, self._all_workers(), self._clock(), self._cadence.reschedule_after)
            for key in lost:
                _log.warning("%s: its worker %s is gone", key, assignments[key].worker_id)
            kept = {key: each for key, each in assignments.items() if key not in set(lost)}
            self._apply(plan_schedule(self.registrations(), kept, workers, self._scheduler, as_whole=self._as_whole))
            period = self._cadence.rebalance
            if period > 0 and self._clock() - self._rebalanced >= period:
                self._rebalanced = self._clock()
                self._apply(plan_rebalance(self.assignments(), workers, self._scheduler))

    def _all_workers(self) -> list[str]:
        return [member.worker_id for member in self._election.look().members]

    def _workers(self) -> list[str]:
        """Those that may get something: the drained ones may not."""
        alive = self._all_workers()
        self._drained &= set(alive)
        return [worker for worker in alive if worker not in self._drained]

    def _apply(self, schedule: Schedule) -> None:
        for key in schedule.deletes:
            self._assignments.delete(key)
        for assignment in schedule.puts:
            self._assignments.put(assignment)
        if schedule.puts:
            _log.info("assigned %d instances", len(schedule.puts))

    def rebalance(self) -> None:
        """As the leader: spread what runs over all workers. ``RefusedError`` with fewer than two of them."""
        self._lead_only()
        with self._writing:
            workers = self._workers()
            if len(workers) < 2:
                raise RefusedError("Too few workers (need at least 2)")
            self._apply(plan_rebalance(self.assignments(), workers, self._scheduler))

    def drain(self, worker_id: str) -> None:
        """As the leader: move everything away from a worker, which gets nothing new as long as it is there."""
        self._lead_only()
        with self._writing:
            workers = self._all_workers()
            if len(workers) < 2:
                raise RefusedError("Too few workers (need at least 2)")
            if worker_id not in workers:
                raise RefusedError(f"Worker {worker_id} is not known to this cluster")
            self._drained.add(worker_id)
            self._apply(plan_drain(self.assignments(), worker_id, self._workers(), self._scheduler))

    def is_drained(self, worker_id: str) -> bool | None:
        """Whether nothing is left on a worker that was drained; ``None`` when it was not."""
        if worker_id not in self._drained:
            return None
        return all(assignment.worker_id != worker_id for assignment in self.assignments().values())

    def _lead_only(self) -> None:
        if not self._leading:
            raise NotReadyError(NO_LEADER)
