"""What the loop looks after: the instances of a function, in the generations that its updates make.

Bookkeeping only: nothing here starts, observes or stops anything.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.model.status import End
from pulsar_runtimes.runtimes.base import Runtime

from .record import Record, revive
from .update import Move, Wanted, next_move, same_version

_KEPT_ENDS = 10
UNSEEN = Observation(Phase.CREATED)


@dataclass(eq=False)
class Watched:
    """One instance the loop looks after. ``work`` is a start or stop under way on the pool."""

    spec: InstanceSpec
    generation: int
    record: Record
    runtime: Runtime | None = None
    work: Future[None] | None = None
    start_failure: str | None = None
    seen: Observation = UNSEEN
    since_wall: float = field(default_factory=time.time)
    ends: deque[End] = field(default_factory=lambda: deque(maxlen=_KEPT_ENDS))
    outdated: bool = False
    """``spec`` is newer than what the runtime was told."""
    refused: bool = False
    """The runtime cannot become ``spec``."""
    left_alone: bool = False
    """On its way out of sight only: what it stands for goes on."""

    @property
    def key(self) -> InstanceKey:
        return self.record.key

    def successor(self, now: float) -> Watched:
        """The same instance, to be started anew; what it remembers stays."""
        record = Record(self.key, since=now, restarts=self.record.restarts, starts=self.record.starts)
        return Watched(self.spec, self.generation, record, ends=self.ends)


@dataclass
class Generation:
    """The instances of one version of a function; versions that follow each other have growing numbers."""

    number: int
    wanted: Wanted
    members: dict[InstanceKey, Watched] = field(default_factory=dict)

    def fits(self, wanted: Wanted) -> bool:
        """Whether ``wanted`` is this version, be it with more or fewer instances."""
        return self.wanted is wanted or same_version(self.wanted.specs, wanted.specs)

    def takes(self, wanted: Wanted) -> bool:
        """Whether ``wanted`` is another version that the instances of this one are to become."""
        return wanted.handed_on and {spec.key for spec in wanted.specs} == self.members.keys()

    def hand_on(self, wanted: Wanted, now: float) -> None:
        """Have the instances become ``wanted``; those that were given up, or wait, start as that."""
        self.wanted = wanted
        for spec in wanted.specs:
            member = self.members[spec.key]
            member.spec, member.outdated = spec, member.runtime is not None
            member.record = revive(member.record, now)

    def scale(self, wanted: Wanted, now: float) -> list[Watched]:
        """Have the instances of ``wanted``, where those that are there already stay; answers the surplus ones."""
        self.wanted = wanted
        specs = {spec.key: spec for spec in wanted.specs}
        surplus = [self.members.pop(key) for key in list(self.members) if key not in specs]
        for key, spec in specs.items():
            if key in self.members:
                self.members[key].spec = spec  # for its next start
            else:
                self.members[key] = Watched(spec, self.number, Record(key, since=now))
        return surplus

    def records(self) -> list[Record]:
        return [member.record for member in self.members.values()]


@dataclass
class Generations:
    """All there is of one function: the version that counts, the one an update brings, and what is on its way out.

    ``update_failure`` is why the last update failed, until something else is asked for.
    """

    current: Generation | None = None
    coming: Generation | None = None
    leaving: list[Watched] = field(default_factory=list)
    update_failure: str = ""

    def follow(self, wanted: Wanted | None, now: float) -> None:
        """Take up what is wanted, ``None`` when the function is not any more.

        One that is coming is dropped when a newer one is wanted, or the current one again.
        """
        if wanted is None:
            self._dismiss(self.current)
            self._dismiss(self.coming)
            self.current = self.coming = None
        elif self.current is None:
            self.current = self._begin(wanted, now)
        elif self.current.fits(wanted):
            self.way_back()
            self._scale(self.current, wanted, now)
        elif self.coming is None and self.current.takes(wanted):
            self.current.hand_on(wanted, now)
        elif self.coming is not None and self.coming.fits(wanted):
            self._scale(self.coming, wanted, now)
        else:
            self.way_back()
            self.coming = self._begin(wanted, now)

    def leave(self) -> None:
        """Whatever is there goes on without us from the next :meth:`follow` on."""
        for member in self.members():
            member.left_alone = True

    def _begin(self, wanted: Wanted, now: float) -> Generation:
        before = [] if self.current is None else [self.current.number]
        generation = Generation(max([*before, *(left.generation for left in self.leaving)], default=-1) + 1, wanted)
        generation.scale(wanted, now)
        return generation

    def replace_refused(self, now: float) -> None:
        """Instances whose runtime cannot become the new version stop, and start anew as that."""
        for member in list(self.current.members.values()) if self.current is not None else ():
            if member.refused:
                self.restart(member.key.instance_id, now)

    def restart(self, instance_id: int | None, now: float) -> None:
        """Stop an instance, or all (``None``), and start anew: each starts once the one before is gone."""
        for generation in (self.current, self.coming):
            for member in list(generation.members.values()) if generation is not None else ():
                if generation is not None and instance_id in (None, member.key.instance_id):
                    generation.members[member.key] = member.successor(now)
                    self.leaving.append(member)

    def _scale(self, generation: Generation, wanted: Wanted, now: float) -> None:
        if generation.wanted is not wanted:
            self.leaving += generation.scale(wanted, now)

    def _dismiss(self, generation: Generation | None) -> None:
        if generation is not None:
            self.leaving += generation.members.values()

    def next_move(self) -> Move:
        """What happens next with the update under way; ``GO_ON`` when there is none."""
        if self.current is None or self.coming is None:
            return Move.GO_ON
        return next_move(self.current.records(), self.coming.records(), in_place=self.coming.wanted.in_place)

    def hand_over(self) -> None:
        """The coming version counts from now on, and what counted is on its way out."""
        self._dismiss(self.current)
        self.current, self.coming = self.coming, None

    def way_back(self) -> None:
        """What was coming, if anything, is on its way out."""
        self._dismiss(self.coming)
        self.coming = None

    def may_start(self, member: Watched) -> bool:
        """Whether ``member`` may start now.

        Nothing of a version that is about to be replaced starts, nor anything while one of its number is on its way
        out: that is what "stop, then start" means.
        """
        if self.coming is not None and self.current is not None and self.current.members.get(member.key) is member:
            return False
        return all(member.key != left.key for left in self.leaving)

    def members(self) -> Iterator[Watched]:
        """Those of the version that counts, then those that come."""
        for generation in (self.current, self.coming):
            if generation is not None:
                yield from generation.members.values()

    def by_rank(self) -> Iterator[Watched]:
        """All there are; of those with one number the one that :meth:`find` answers is the last."""
        yield from self.leaving[::-1]
        for generation in (self.coming, self.current):
            if generation is not None:
                yield from generation.members.values()

    def find(self, key: InstanceKey) -> Watched | None:
        """The instance of that number: the one that counts, before one that comes, before one that leaves."""
        return next((watched for watched in (*self.members(), *self.leaving) if watched.key == key), None)

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left to look after."""
        return self.current is None and self.coming is None and not self.leaving
