"""What a person is shown of a function's instances. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.model.observation import Phase
from pulsar_runtimes.model.status import InstanceStatus, State

from .generations import Generation, Generations, Watched
from .policy import RestartPolicy
from .update import Wanted, is_guarded


@dataclass(frozen=True, slots=True)
class View:
    """Where it is looked from: the time, and what was asked for that the loop may not have taken up yet.

    What was asked for counts at once: nothing that is not wanted any more is shown as running, and after a revive
    nothing as given up.
    """

    now: float
    policy: RestartPolicy
    wanted: Wanted | None
    revived: bool = False

    def of(self, generations: Generations) -> list[InstanceStatus]:
        """One status for each number: of the instance that counts, else of one that comes, else of one that leaves."""
        leaving = {left.key: self._stopping(self._status(left)) for left in generations.leaving}
        shown = dict(leaving)
        for generation in (generations.coming, generations.current):
            for key, member in generation.members.items() if generation is not None else ():
                if member.record.state is not State.WAITING or key not in leaving:  # else it waits for that one
                    shown[key] = self._status(member, may_start=generations.may_start(member))
        if self.wanted is None:
            return [self._stopping(status) for status in shown.values()]
        current = generations.current
        if current is None or current.fits(self.wanted) or (generations.coming is None and current.takes(self.wanted)):
            return self._settled(generations, shown)
        return self._updating(current, generations, shown)

    def _settled(self, generations: Generations, shown: dict[InstanceKey, InstanceStatus]) -> list[InstanceStatus]:
        """No update under way, but perhaps the end of one: what it replaced is still there."""
        failure, keys = generations.update_failure, self._keys()
        number = None if generations.current is None else generations.current.number
        replaced = set() if failure else {left.key for left in generations.leaving if left.generation != number}
        statuses = [
            replace(status if key in keys else self._stopping(status), updating=key in replaced, update_failure=failure)
            for key, status in shown.items()
        ]
        waiting = [
            InstanceStatus(key, State.WAITING, Phase.CREATED, update_failure=failure) for key in keys - set(shown)
        ]
        return statuses + waiting

    def _updating(
        self, current: Generation, generations: Generations, shown: dict[InstanceKey, InstanceStatus]
    ) -> list[InstanceStatus]:
        assert self.wanted is not None
        begun = generations.coming is not None and generations.coming.fits(self.wanted)
        stops = not begun and not is_guarded(current.records(), in_place=self.wanted.in_place)
        statuses = [self._stopping(status) if stops else status for status in shown.values()]
        waiting = [InstanceStatus(key, State.WAITING, Phase.CREATED) for key in self._keys() - set(shown)]
        return [replace(status, updating=True) for status in statuses + waiting]

    def _keys(self) -> set[InstanceKey]:
        return {spec.key for spec in self.wanted.specs} if self.wanted is not None else set()

    @staticmethod
    def _stopping(status: InstanceStatus) -> InstanceStatus:
        return replace(status, state=State.STOPPING, retry_in_seconds=None)

    def _status(self, watched: Watched, *, may_start: bool = True) -> InstanceStatus:
        record = watched.record
        state, retry = record.state, None
        if self.revived and state in (State.FAILED, State.BACKOFF):
            state = State.WAITING
        elif state is State.BACKOFF and may_start:
            retry = max(0.0, record.retry_at(self.policy) - self.now)
        return InstanceStatus(
            key=record.key,
            state=state,
            phase=watched.seen.phase,
            reason=record.reason or watched.seen.reason,
            exit_code=record.exit_code,
            restarts=record.restarts,
            since=watched.since_wall,
            retry_in_seconds=retry,
            ends=tuple(watched.ends),
        )
