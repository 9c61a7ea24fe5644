"""The loop that makes what runs equal to what is wanted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.model.status import End, InstanceStatus, State
from pulsar_runtimes.runtimes.base import Runtime, RuntimeFactory

from .generations import UNSEEN, Generations, Watched
from .policy import RestartPolicy
from .record import Action, Record, revive, step
from .update import Move, Wanted, updates_in_place
from .view import View

_POOL_THREADS = 32
_STOP_THREADS = 128
"""More than starts have, as ends mostly wait."""

_KEPT_LINES = 50
_log = logging.getLogger(__name__)


class Supervisor:
    """Starts, watches, restarts and stops instances of one factory.

    All decisions are taken by :func:`step` and :func:`next_move` in one thread, the loop; whatever may wait is done
    by a bounded pool. ``want``, ``wanted``, ``revive``, ``restart`` and ``statuses`` may be called from any thread.
    """

    def __init__(
        self,
        factory: RuntimeFactory,
        policy: RestartPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        look_seconds: float = 0.5,
        stop_grace_seconds: float = 10.0,
        prepare: Callable[[InstanceSpec], InstanceSpec] = lambda spec: spec,
    ) -> None:
        """``prepare`` gives a spec what it must have anew at each start."""
        self._factory = factory
        self._prepare = prepare
        self._policy = policy or RestartPolicy()
        self._clock = clock
        self._look_seconds = look_seconds
        self._grace_seconds = stop_grace_seconds
        self._lock = threading.Lock()  # what is wanted, and which instances there are: never held for an effect
        self._update_policy = self._policy.for_update()
        self._in_place = updates_in_place(factory.capabilities)
        self._hands_on = factory.capabilities.updates_in_place
        self._wanted: dict[FunctionKey, Wanted] = {}
        self._left: set[FunctionKey] = set()
        self._revived: set[FunctionKey] = set()
        self._restarted: list[tuple[FunctionKey, int | None]] = []
        self._functions: dict[FunctionKey, Generations] = {}
        self._awake = threading.Event()
        self._ending = False
        self._pool = ThreadPoolExecutor(_POOL_THREADS, thread_name_prefix="supervisor-pool")
        self._stoppers = ThreadPoolExecutor(_STOP_THREADS, thread_name_prefix="supervisor-stoppers")
        self._thread: threading.Thread | None = None

    # What is wanted

    def want(self, function: FunctionKey, specs: Iterable[InstanceSpec], *, in_place: bool = False) -> None:
        """Make these the instances of ``function``, and no others. An empty list removes the function.

        Where only the number of instances differs, those that stay keep running. Anything else is an update: the
        new instances are started beside the old ones, which stop when all new ones are ready. If one of the new
        ones is given up first, the old ones go on, what is :meth:`wanted` is the old version again, and the status
        tells why. Asking for something else replaces an update that is under way.

        With ``in_place`` the old ones are stopped first, as they are when the backend replaces its instances by
        itself, or when the old version has never worked. Where the backend can (``updates_in_place``), what runs is
        handed the new version in place of all that.
        """
        specs = tuple(specs)
        with self._lock:
            self._left.discard(function)
            if specs:
                self._wanted[function] = Wanted(specs, in_place or self._in_place, self._hands_on)
            else:
                self._wanted.pop(function, None)
            if function in self._functions:
                self._functions[function].update_failure = ""
        self.wake()

    def leave(self, function: FunctionKey) -> None:
        """Look after ``function`` no more, whose replicas its backend runs as one, and leave it as it is."""
        with self._lock:
            self._wanted.pop(function, None)
            self._left.add(function)
        self.wake()

    def wanted(self, function: FunctionKey) -> tuple[InstanceSpec, ...]:
        """The instances that are wanted now: what was asked for last or, if that update failed, the ones before."""
        with self._lock:
            wanted = self._wanted.get(function)
        return wanted.specs if wanted is not None else ()

    def revive(self, function: FunctionKey) -> None:
        """Start the instances of ``function`` again that were given up or wait for their next chance."""
        with self._lock:
            if function in self._wanted:
                self._revived.add(function)
        self.wake()

    def restart(self, function: FunctionKey, instance_id: int | None = None) -> None:
        """Stop an instance of ``function``, or all (``None``), and start it anew. Returns when it is asked for."""
        with self._lock:
            self._restarted.append((function, instance_id))
        self.wake()

    def wake(self) -> None:
        """Look now rather than at the next regular time."""
        self._awake.set()

    # The loop

    def start(self) -> None:
        """Begin to act. Called once."""
        self._thread = threading.Thread(target=self._loop, name="supervisor", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while not self._ending:
            self._awake.clear()
            self.tick()
            self._awake.wait(self._wait_seconds())

    def _wait_seconds(self) -> float:
        now = self._clock()
        due = [
            member.record.retry_at(self._policy) - now
            for generations in self._functions.values()
            for member in generations.members()
            if member.record.state is State.BACKOFF and generations.may_start(member)
        ]
        return max(0.0, min([self._look_seconds, *due]))

    def tick(self) -> None:
        """Look at everything once and act. Never waits for an instance. The loop calls it; tests may."""
        with self._lock:
            revived = set(self._revived)
            for key in {**self._wanted, **self._functions}:
                generations = self._functions.setdefault(key, Generations())
                if key in self._left:
                    generations.leave()
                generations.follow(self._wanted.get(key), self._clock())
                for restarted, instance_id in self._restarted:
                    if restarted == key:
                        generations.restart(instance_id, self._clock())
                generations.replace_refused(self._clock())
                self._decide(key, generations)
            self._restarted.clear()
            self._left.clear()
            functions = list(self._functions.items())
        for key, generations in functions:
            self._tend(key, generations, key in revived)
        with self._lock:  # only now: until it is done, statuses() tells that it is about to be
            self._revived -= revived

    def _decide(self, key: FunctionKey, generations: Generations) -> None:
        """Let an update take its next step, if it is time. Called with the lock held."""
        match generations.next_move():
            case Move.HAND_OVER:
                generations.hand_over()
                _log.info("%s: the new version takes over", key)
            case Move.WAY_BACK:
                self._take_back(key, generations)

    def _take_back(self, key: FunctionKey, generations: Generations) -> None:
        current, failed = generations.current, generations.coming
        assert current is not None and failed is not None
        broken = next(member for member in failed.members.values() if member.record.state is State.FAILED)
        generations.way_back()
        if self._wanted.get(key) is failed.wanted:  # else something newer is wanted, and this failure is no news
            self._wanted[key] = current.wanted
            generations.update_failure = broken.record.reason
            if broken.key in current.members:
                current.members[broken.key].ends.extend(broken.ends)
        _log.error("%s: the update failed, the version before it goes on: %s", key, broken.record.reason)

    def _tend(self, key: FunctionKey, generations: Generations, revived: bool) -> None:
        for member in list(generations.members()):
            if revived:
                self._set(member, revive(member.record, self._clock()))
            self._advance(member, generations)
        with self._lock:
            self._decide(key, generations)
        gone = [left for left in generations.leaving if self._remove(left)]
        with self._lock:
            generations.leaving = [left for left in generations.leaving if left not in gone]
            if generations.is_gone:
                del self._functions[key]

    def _advance(self, watched: Watched, generations: Generations) -> None:
        waits = watched.record.state in (State.WAITING, State.BACKOFF)
        if waits and not generations.may_start(watched):
            return
        is_new = generations.coming is not None and generations.coming.members.get(watched.key) is watched
        policy = self._update_policy if is_new else self._policy
        watched.seen = self._observe(watched)
        record, action = step(watched.record, watched.seen, self._clock(), policy)
        ended = record.state in (State.BACKOFF, State.FAILED) and watched.record.state is not record.state
        if ended:
            lines, messages = self._last_lines(watched), watched.seen.last_messages
            watched.ends.append(End(time.time(), record.reason, record.exit_code, lines, messages))
        self._set(watched, record)
        if action is Action.START:
            self._begin_start(watched)
        elif watched.outdated and watched.work is None and record.state in (State.STARTING, State.RUNNING):
            watched.outdated = False
            watched.work = self._submit(self._update, watched)

    def _observe(self, watched: Watched) -> Observation:
        if watched.work is not None:
            if not watched.work.done():  # how a start ends is told by start() itself
                return Observation(Phase.STARTING)
            watched.work = None
        if watched.start_failure is not None:
            return Observation(Phase.EXITED, reason=watched.start_failure)
        if watched.runtime is None:
            return Observation(Phase.CREATED)
        try:
            return watched.runtime.observe()
        except Exception as error:  # a backend that breaks the contract must not end the loop
            _log.exception("%s: observing it failed", watched.key)
            return Observation(Phase.UNKNOWN, reason=_one_line(error))

    def _begin_start(self, watched: Watched) -> None:
        watched.start_failure = None
        watched.outdated = watched.refused = False
        watched.seen = UNSEEN
        watched.runtime = None
        watched.work = self._submit(self._start, watched)

    def _submit(self, work: Callable[..., None], *arguments: object) -> Future[None]:
        """Let a pool do ``work``, and look as soon as it is done. Ends have theirs: many may wait for long."""
        pool = self._stoppers if work == self._stop else self._pool
        future = pool.submit(work, *arguments)
        future.add_done_callback(lambda _: self.wake())
        return future

    def _start(self, watched: Watched) -> None:
        """On the pool: make a runtime and start it."""
        try:
            runtime = self._factory.create(self._prepare(watched.spec))
            watched.runtime = runtime
            runtime.start()
        except PfrunError as error:
            watched.start_failure = _one_line(error)
        except Exception as error:
            _log.exception("%s: starting it failed", watched.key)
            watched.start_failure = _one_line(error)

    def _update(self, watched: Watched) -> None:
        """On the pool: let the runtime become its new version."""
        runtime = watched.runtime
        try:
            if runtime is None or not runtime.update(self._prepare(watched.spec)):
                watched.refused = True
        except PfrunError as error:
            _log.error("%s: the update failed: %s", watched.key, _one_line(error))
            watched.refused = True
        except Exception:
            _log.exception("%s: updating it failed", watched.key)
            watched.refused = True

    def _remove(self, watched: Watched) -> bool:
        """Bring one that is on its way out nearer to its end. Whether it is gone."""
        if watched.work is not None and not watched.work.done():
            return False  # a start under way ends first: what it starts has to be stopped, too
        if watched.record.state is not State.STOPPING:
            self._set(watched, replace(watched.record, state=State.STOPPING, since=self._clock()))
            watched.work = self._submit(self._stop, watched, self._grace_seconds)
            return False
        _log.info("%s: stopped", watched.key)
        self.wake()
        return True

    def _stop(self, watched: Watched, grace_seconds: float) -> None:
        """On the pool: stop the runtime, whatever it takes, unless it goes on without this worker."""
        if watched.runtime is not None:
            try:
                if watched.left_alone:
                    watched.runtime.leave()
                else:
                    watched.runtime.stop(grace_seconds=grace_seconds)
            except Exception:
                _log.exception("%s: stopping it failed", watched.key)

    def _last_lines(self, watched: Watched) -> tuple[str, ...]:
        try:
            return tuple(watched.runtime.log_lines(_KEPT_LINES)) if watched.runtime is not None else ()
        except Exception:  # a backend that breaks the contract must not end the loop
            _log.exception("%s: reading its last lines failed", watched.key)
            return ()

    def _set(self, watched: Watched, record: Record) -> None:
        """Take over the new record, and log a change of state where it was decided."""
        old, watched.record = watched.record, record
        if old.state is record.state:
            return
        watched.since_wall = time.time()
        match record.state:
            case State.BACKOFF:
                delay = record.retry_at(self._policy) - record.since
                _log.warning("%s: ended (%s); next start in %.1f s", record.key, record.reason, delay)
            case State.FAILED:
                _log.error("%s: given up after %d failures: %s", record.key, record.failures, record.reason)
            case _:
                _log.info("%s: %s", record.key, record.state.value)

    # What is seen

    def statuses(self, function: FunctionKey | None = None) -> list[InstanceStatus]:
        """Every wanted or still running instance, of all functions or of one, in the order of their keys.

        Does not wait for anything.

        What was asked for counts at once: after ``want`` nothing that has to make room is told as running, after
        ``revive`` nothing as given up.
        """
        now = self._clock()
        nothing = Generations()
        statuses: list[InstanceStatus] = []
        with self._lock:
            for key in {**self._wanted, **self._functions} if function is None else (function,):
                view = View(now, self._policy, self._wanted.get(key), key in self._revived)
                statuses += view.of(self._functions.get(key, nothing))
        return sorted(statuses, key=lambda status: status.key)

    def runtime(self, key: InstanceKey) -> Runtime | None:
        """The runtime of an instance, for what only it can answer (statistics, log lines)."""
        with self._lock:
            generations = self._functions.get(key.function)
            watched = generations.find(key) if generations is not None else None
        return watched.runtime if watched is not None else None

    def runtimes(self) -> dict[InstanceKey, Runtime]:
        """The runtime of each instance that has one, as :meth:`runtime` answers it."""
        with self._lock:
            found = [member for generations in self._functions.values() for member in generations.by_rank()]
        return {watched.key: watched.runtime for watched in found if watched.runtime is not None}

    def specs(self) -> list[InstanceSpec]:
        """Every instance that is wanted or still there, also those of a version that comes or leaves."""
        with self._lock:
            wanted = [spec for each in self._wanted.values() for spec in each.specs]
            there = [member.spec for generations in self._functions.values() for member in generations.by_rank()]
        return [*wanted, *there]

    # The end

    def stop(self, grace_seconds: float | None = None) -> None:
        """Stop every instance, all at once, and the loop. Returns when nothing runs any more. Idempotent."""
        grace = self._grace_seconds if grace_seconds is None else grace_seconds
        with self._lock:
            self._wanted.clear()
        self._ending = True
        self.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        left = [
            watched for function in self._functions.values() for watched in (*function.members(), *function.leaving)
        ]
        # One thread each: behind the pool's bound the last ones would find their grace used up.
        with ThreadPoolExecutor(max(1, len(left)), thread_name_prefix="supervisor-stop") as stoppers:
            for future in [stoppers.submit(self._finish, watched, grace) for watched in left]:
                future.result()
        with self._lock:
            self._functions.clear()
        self._pool.shutdown()
        self._stoppers.shutdown()

    def _finish(self, watched: Watched, grace_seconds: float) -> None:
        """What is under way ends first; then the runtime is stopped, unless that was what was under way.

        One that is meant to go on without this worker does.
        """
        deadline = time.monotonic() + grace_seconds
        if watched.work is not None:
            watched.work.result()
        if watched.runtime is not None and watched.runtime.outlives_worker:
            return
        if watched.record.state is not State.STOPPING:
            self._stop(watched, max(0.0, deadline - time.monotonic()))


def _one_line(error: Exception) -> str:
    """What a status shows of an error: our own have a text that is meant to be read alone."""
    text, *_ = str(error).splitlines() or [""]
    return text if text and isinstance(error, PfrunError) else f"{type(error).__name__}: {text}"
