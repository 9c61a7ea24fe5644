"""The loop that makes what runs equal to what is wanted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.model.status import InstanceStatus, State
from pulsar_runtimes.runtimes.base import Runtime, RuntimeFactory

from .policy import RestartPolicy
from .record import Action, Record, revive, step

_POOL_THREADS = 32
_KEPT_LINES = 50
_UNSEEN = Observation(Phase.CREATED)
_log = logging.getLogger(__name__)


@dataclass
class _Watched:
    """One instance the loop looks after. ``work`` is a start or stop under way on the pool."""

    spec: InstanceSpec
    record: Record
    runtime: Runtime | None = None
    work: Future[None] | None = None
    start_failure: str | None = None
    seen: Observation = _UNSEEN
    since_wall: float = 0.0
    last_lines: tuple[str, ...] = ()


class Supervisor:
    """Starts, watches, restarts and stops instances of one factory.

    All decisions are taken by :func:`step` in one thread, the loop; whatever may wait is done by a bounded
    pool. ``want``, ``revive`` and ``statuses`` may be called from any thread.
    """

    def __init__(
        self,
        factory: RuntimeFactory,
        policy: RestartPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        look_seconds: float = 0.5,
        stop_grace_seconds: float = 10.0,
    ) -> None:
        self._factory = factory
        self._policy = policy or RestartPolicy()
        self._clock = clock
        self._look_seconds = look_seconds
        self._grace_seconds = stop_grace_seconds
        self._lock = threading.Lock()
        self._wanted: dict[InstanceKey, InstanceSpec] = {}
        self._revived: set[InstanceKey] = set()
        self._watched: dict[InstanceKey, _Watched] = {}
        self._awake = threading.Event()
        self._ending = False
        self._pool = ThreadPoolExecutor(_POOL_THREADS, thread_name_prefix="supervisor-pool")
        self._thread: threading.Thread | None = None

    # What is wanted

    def want(self, function: FunctionKey, specs: Iterable[InstanceSpec]) -> None:
        """Make these the instances of ``function``, and no others. An empty list removes the function.

        An instance whose spec is unchanged keeps running; a changed one is stopped and started anew.
        """
        with self._lock:
            self._wanted = {key: spec for key, spec in self._wanted.items() if key.function != function}
            self._wanted |= {spec.key: spec for spec in specs}
        self.wake()

    def revive(self, function: FunctionKey) -> None:
        """Start the instances of ``function`` again that were given up or wait for their next chance."""
        with self._lock:
            self._revived |= {key for key in self._wanted if key.function == function}
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
            watched.record.retry_at(self._policy) - now
            for watched in self._watched.values()
            if watched.record.state is State.BACKOFF
        ]
        return max(0.0, min([self._look_seconds, *due]))

    def tick(self) -> None:
        """Look at everything once and act. Never waits for an instance. The loop calls it; tests may."""
        with self._lock:
            wanted, revived = dict(self._wanted), set(self._revived)
        for key, spec in wanted.items():
            if key not in self._watched:
                self._watched[key] = _Watched(spec, Record(key, since=self._clock()), since_wall=time.time())
        for key, watched in list(self._watched.items()):
            if key in revived:
                self._set(watched, revive(watched.record, self._clock()))
            if wanted.get(key) != watched.spec:
                self._remove(key, watched)
            else:
                self._advance(watched)
        with self._lock:  # only now: until it is done, statuses() tells that it is about to be
            self._revived -= revived

    def _advance(self, watched: _Watched) -> None:
        if watched.record.state is State.STOPPING:  # it was unwanted for a moment: let it end, then begin anew
            self._remove(watched.record.key, watched)
            return
        watched.seen = self._observe(watched)
        record, action = step(watched.record, watched.seen, self._clock(), self._policy)
        ended = record.state in (State.BACKOFF, State.FAILED) and watched.record.state is not record.state
        if ended:
            self._keep_last_lines(watched)
        self._set(watched, record)
        if action is Action.START:
            self._begin_start(watched)

    def _observe(self, watched: _Watched) -> Observation:
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
            _log.exception("%s: observing it failed", watched.record.key)
            return Observation(Phase.UNKNOWN, reason=_one_line(error))

    def _begin_start(self, watched: _Watched) -> None:
        watched.start_failure = None
        watched.seen = _UNSEEN
        watched.runtime = None
        watched.work = self._submit(self._start, watched)

    def _submit(self, work: Callable[..., None], *arguments: object) -> Future[None]:
        """Let the pool do ``work``, and look as soon as it is done."""
        future = self._pool.submit(work, *arguments)
        future.add_done_callback(lambda _: self.wake())
        return future

    def _start(self, watched: _Watched) -> None:
        """On the pool: make a runtime and start it."""
        try:
            runtime = self._factory.create(watched.spec)
            watched.runtime = runtime
            runtime.start()
        except PfrunError as error:
            watched.start_failure = _one_line(error)
        except Exception as error:
            _log.exception("%s: starting it failed", watched.record.key)
            watched.start_failure = _one_line(error)

    def _remove(self, key: InstanceKey, watched: _Watched) -> None:
        if watched.work is not None and not watched.work.done():
            return  # a start under way ends first: what it starts has to be stopped, too
        if watched.record.state is not State.STOPPING:
            self._set(watched, replace(watched.record, state=State.STOPPING, since=self._clock()))
            watched.work = self._submit(self._stop, watched, self._grace_seconds)
            return
        del self._watched[key]
        _log.info("%s: stopped", key)
        self.wake()

    def _stop(self, watched: _Watched, grace_seconds: float) -> None:
        """On the pool: stop the runtime, whatever it takes."""
        if watched.runtime is not None:
            try:
                watched.runtime.stop(grace_seconds=grace_seconds)
            except Exception:
                _log.exception("%s: stopping it failed", watched.record.key)

    def _keep_last_lines(self, watched: _Watched) -> None:
        if watched.runtime is None:
            return
        try:
            watched.last_lines = tuple(watched.runtime.log_lines(_KEPT_LINES))
        except Exception:  # a backend that breaks the contract must not end the loop
            _log.exception("%s: reading its last lines failed", watched.record.key)

    def _set(self, watched: _Watched, record: Record) -> None:
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

    def statuses(self) -> list[InstanceStatus]:
        """Every wanted or still running instance, in the order of their keys. Does not wait for anything.

        What was asked for counts at once: after ``want`` nothing old is told as running, after ``revive``
        nothing as given up.
        """
        now = self._clock()
        with self._lock:
            wanted, revived = dict(self._wanted), set(self._revived)
            watched = dict(self._watched)
        statuses = []
        for key, entry in watched.items():
            status = self._status(entry, now)
            if wanted.get(key) != entry.spec:
                status = replace(status, state=State.STOPPING)
            elif key in revived and status.state in (State.FAILED, State.BACKOFF):
                status = replace(status, state=State.WAITING, retry_in_seconds=None)
            statuses.append(status)
        statuses += [InstanceStatus(key, State.WAITING, Phase.CREATED) for key in wanted if key not in watched]
        return sorted(statuses, key=lambda status: status.key)

    def _status(self, watched: _Watched, now: float) -> InstanceStatus:
        record = watched.record
        retry = record.retry_at(self._policy) - now if record.state is State.BACKOFF else None
        return InstanceStatus(
            key=record.key,
            state=record.state,
            phase=watched.seen.phase,
            reason=record.reason or watched.seen.reason,
            exit_code=record.exit_code,
            restarts=record.restarts,
            since=watched.since_wall,
            retry_in_seconds=None if retry is None else max(0.0, retry),
            last_lines=watched.last_lines,
        )

    def runtime(self, key: InstanceKey) -> Runtime | None:
        """The runtime of an instance, for what only it can answer (statistics, log lines)."""
        watched = self._watched.get(key)
        return watched.runtime if watched is not None else None

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
        left = list(self._watched.values())
        # One thread each: behind the pool's bound the last ones would find their grace used up.
        with ThreadPoolExecutor(max(1, len(left)), thread_name_prefix="supervisor-stop") as stoppers:
            for future in [stoppers.submit(self._finish, watched, grace) for watched in left]:
                future.result()
        self._watched.clear()
        self._pool.shutdown()

    def _finish(self, watched: _Watched, grace_seconds: float) -> None:
        """What is under way ends first; then the runtime is stopped, unless that was what was under way."""
        deadline = time.monotonic() + grace_seconds
        if watched.work is not None:
            watched.work.result()
        if watched.record.state is not State.STOPPING:
            self._stop(watched, max(0.0, deadline - time.monotonic()))


def _one_line(error: Exception) -> str:
    """What a status shows of an error: our own have a text that is meant to be read alone."""
    text, *_ = str(error).splitlines() or [""]
    return text if text and isinstance(error, PfrunError) else f"{type(error).__name__}: {text}"
