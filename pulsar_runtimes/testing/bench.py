"""What the conformance class works at: one factory, the runtimes made of it, and waits that have an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.runtimes.base import Runtime, RuntimeFactory

POLL_SECONDS = 0.01


@dataclass
class Bench:
    """A factory under test. Whatever is created here is stopped by :meth:`clear`, however the test ends."""

    factory: RuntimeFactory
    ready_within: float
    stop_grace: float
    stop_within: float
    runtimes: list[Runtime] = field(default_factory=list)
    slowest_observe: float = 0.0

    def create(self, spec: InstanceSpec) -> Runtime:
        return self.keep(self.factory.create(spec))

    def keep(self, runtime: Runtime) -> Runtime:
        """Have ``runtime`` stopped at the end as well."""
        self.runtimes.append(runtime)
        return runtime

    def running(self, spec: InstanceSpec) -> Runtime:
        """A runtime of ``spec``, started and seen RUNNING."""
        runtime = self.create(spec)
        runtime.start()
        self.until(runtime, Phase.RUNNING)
        return runtime

    def observe(self, runtime: Runtime) -> Observation:
        """One look, timed for :attr:`slowest_observe`."""
        before = time.monotonic()
        seen = runtime.observe()
        self.slowest_observe = max(self.slowest_observe, time.monotonic() - before)
        assert isinstance(seen, Observation), f"observe() must give an Observation (got {seen!r})"
        return seen

    def until(self, runtime: Runtime, phase: Phase) -> Observation:
        """The first observation of ``phase``. Fails with the last one when it does not come, or cannot any more."""
        return self.until_seen(runtime, lambda seen: seen.phase is phase, phase.name)

    def until_seen(self, runtime: Runtime, wanted: Callable[[Observation], bool], what: str) -> Observation:
        """The first observation that is ``wanted``; ``what`` describes it when it does not come."""
        deadline = time.monotonic() + self.ready_within
        seen = self.observe(runtime)
        while not wanted(seen):
            log = "".join(f"\n  {line}" for line in runtime.log_lines(20))
            assert seen.phase is not Phase.EXITED, f"never became {what}: it exited; last {seen}{log}"
            late = time.monotonic() >= deadline
            assert not late, f"never became {what} within {self.ready_within:g} s; last {seen}{log}"
            time.sleep(POLL_SECONDS)
            seen = self.observe(runtime)
        return seen

    def always(self, runtime: Runtime, phase: Phase, seconds: float = 0.2) -> None:
        """Every look in the next ``seconds`` finds ``phase``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            seen = self.observe(runtime)
            assert seen.phase is phase, f"must stay {phase.name} (got {seen})"
            time.sleep(POLL_SECONDS)

    def stop(self, runtime: Runtime) -> Observation:
        """Stop ``runtime`` in good time; what is seen of it at once, which must be EXITED."""
        before = time.monotonic()
        runtime.stop(grace_seconds=self.stop_grace)
        taken = time.monotonic() - before
        assert taken <= self.stop_within, f"stop() must end within {self.stop_within:g} s (took {taken:.1f} s)"
        seen = self.observe(runtime)
        assert seen.phase is Phase.EXITED, f"must be EXITED when stop() has returned (got {seen})"
        return seen

    def clear(self) -> None:
        """Stop every runtime, then close the factory; one that fails to stop keeps no other from it."""
        with ExitStack() as stack:
            stack.callback(self.factory.close)
            for runtime in self.runtimes:
                stack.callback(runtime.stop, grace_seconds=self.stop_grace)


def at_once(actions: list[Callable[[], None]], deadline_seconds: float) -> list[str]:
    """Run ``actions`` in a thread each, begun together. What went wrong, one line each; empty when all is well."""
    barrier = threading.Barrier(len(actions))
    troubles: list[str] = []

    def run(action: Callable[[], None]) -> None:
        barrier.wait()
        try:
            action()
        except BaseException as error:  # a failed assertion in a thread would be lost otherwise
            troubles.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=run, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    end = time.monotonic() + deadline_seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    stuck = sum(thread.is_alive() for thread in threads)
    return [*troubles, f"{stuck} of {len(threads)} calls still run after {deadline_seconds:g} s"] if stuck else troubles


@contextmanager
def no_side_effects(what: str) -> Iterator[None]:
    """Fails when the body leaves a thread or a child process behind."""
    threads, children = set(threading.enumerate()), child_processes()
    yield
    new_threads = [thread.name for thread in threading.enumerate() if thread not in threads]
    assert not new_threads, f"{what} must have no side effects (started the threads {new_threads})"
    new_children = sorted(child_processes() - children)
    assert not new_children, f"{what} must have no side effects (started the processes {new_children})"


def child_processes() -> set[int]:
    """The process ids of this process's children, dead ones that nobody has waited for included."""
    found: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(int(pid) for pid in listing.read_text().split())
        except OSError:  # the thread ended while we looked
            continue
    return found
