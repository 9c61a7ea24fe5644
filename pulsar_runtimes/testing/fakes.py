"""A backend that launches nothing and plays scripts instead, for tests of whatever drives backends.

It keeps the contract of :mod:`pulsar_runtimes.runtimes.base`, and the conformance class is run against it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from pulsar_runtimes.config.section import Section, shown
from pulsar_runtimes.model.errors import AdmissionError, LaunchError
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.model.observation import Capabilities, InstanceStats, Observation, Phase, RuntimeHandle
from pulsar_runtimes.runtimes.base import FactoryContext, LogPart, Runtime, RuntimeFactory

HANDLE_VERSION = 1


@dataclass(frozen=True)
class Script:
    """What one fake instance does. All times are seconds.

    ``admission_error`` makes the factory's ``check`` refuse the instance with that text, and ``start_error``
    makes ``start`` fail with that one. Otherwise the instance is ready ``ready_after`` its start, and unless
    ``run_for`` is ``None`` it ends by itself that long after being ready, with ``exit_code`` and ``reason``.
    Within ``unknown_between`` (from, to; counted from the start) nobody can tell how it is. One that
    ``refuses_update`` cannot become another version, whatever the factory's capabilities say. One that
    ``ignores_stop`` takes the whole grace and is then killed. ``start_blocks`` and ``stop_blocks`` hold those
    calls up until the test sets the event. While it runs it tells ``stats``, ``metrics`` and ``memory_bytes``.
    """

    admission_error: str | None = None
    start_error: str | None = None
    ready_after: float = 0.0
    run_for: float | None = None
    exit_code: int = 0
    reason: str = ""
    unknown_between: tuple[float, float] | None = None
    refuses_update: bool = False
    ignores_stop: bool = False
    start_blocks: threading.Event | None = None
    stop_blocks: threading.Event | None = None
    log: tuple[str, ...] = ()
    stats: InstanceStats | None = None
    metrics: str = ""
    memory_bytes: int | None = None


class Call(NamedTuple):
    """One call that a runtime got: its name, the instance, and the time on the factory's clock."""

    verb: str
    instance: InstanceKey
    at: float


class FakeRuntime(Runtime):
    """Plays one script. Made by :class:`FakeRuntimeFactory`."""

    def __init__(self, spec: InstanceSpec, script: Script, identity: str, factory: FakeRuntimeFactory) -> None:
        super().__init__(spec)
        self.script = script
        self.identity = identity
        self._factory = factory
        self._asked = False
        self._started_at: float | None = None
        self._end: Observation | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Lock()

    def start(self) -> None:
        with self._lock:
            if self._asked or self._end is not None:
                raise LaunchError(f"{self.spec.key}: a runtime starts only once; create another one")
            self._asked = True
        self._factory.note("start", self.spec)
        if self.script.start_blocks is not None:
            self.script.start_blocks.wait()
        with self._lock:
            if self._end is not None:
                raise LaunchError(f"{self.spec.key}: was stopped while it started")
            if self.script.start_error is not None:
                self._end = Observation(Phase.EXITED, reason=self.script.start_error)
                raise LaunchError(self.script.start_error)
            self._started_at = self._factory.clock()
        self._factory.machine[self.identity] = self

    def observe(self) -> Observation:
        with self._lock:
            return self._look()

    def _look(self) -> Observation:
        if self._end is not None:
            return self._end
        if self._started_at is None:
            return Observation(Phase.STARTING if self._asked else Phase.CREATED)
        script, age = self.script, self._factory.clock() - self._started_at
        if script.unknown_between is not None and script.unknown_between[0] <= age < script.unknown_between[1]:
            return Observation(Phase.UNKNOWN, reason="the script says that nobody can tell")
        if script.run_for is not None and age >= script.ready_after + script.run_for:
            self._end = Observation(Phase.EXITED, script.exit_code, script.reason or self._usual_reason())
            return self._end
        if age < script.ready_after:
            return Observation(Phase.STARTING)
        return Observation(Phase.RUNNING)

    def _usual_reason(self) -> str:
        return f"the script ended with exit code {self.script.exit_code}"

    def update(self, spec: InstanceSpec) -> bool:
        self._factory.note("update", spec)
        if self.script.refuses_update:
            return False
        with self._lock:
            self.spec = spec
        return True

    def leave(self) -> None:
        self._factory.note("leave", self.spec)

    def stop(self, *, grace_seconds: float) -> None:
        self._factory.note("stop", self.spec)
        with self._stopping:
            if self.observe().phase is Phase.EXITED:
                return
            if self.script.stop_blocks is not None:
                self.script.stop_blocks.wait()
            stubborn = self.script.ignores_stop and self._started_at is not None
            if stubborn:
                self._factory.sleep(grace_seconds)
            with self._lock:
                if self._look().phase is not Phase.EXITED:
                    self._end = self._stopped(stubborn)

    def _stopped(self, stubborn: bool) -> Observation:
        if self._started_at is None:
            return Observation(Phase.EXITED, reason="stopped before it started")
        if stubborn:
            return Observation(Phase.EXITED, -9, "killed after the whole grace")
        return Observation(Phase.EXITED, 0, "stopped")

    def handle(self) -> RuntimeHandle | None:
        if not self._factory.capabilities.reattaches:
            return None
        return RuntimeHandle(self._factory.name, HANDLE_VERSION, {"identity": self.identity})

    def stats(self) -> InstanceStats | None:
        return self.script.stats if self.observe().phase is Phase.RUNNING else None

    def metrics_text(self) -> str:
        return self.script.metrics if self.observe().phase is Phase.RUNNING else ""

    def memory_bytes(self) -> int | None:
        return self.script.memory_bytes if self.observe().phase is Phase.RUNNING else None

    def log_lines(self, last: int) -> list[str]:
        return list(self.script.log[-last:]) if last > 0 else []

    def log_after(self, mark: str, last: int) -> LogPart:
        """All of a script's log was written before anybody asks."""
        end = f"all {len(self.script.log)}"
        new = () if mark == end else tuple(self.script.log) if mark else tuple(self.log_lines(last))
        return LogPart(new, end)


class FakeRuntimeFactory(RuntimeFactory):
    """Makes runtimes that play ``script``, or what :meth:`play` says for single instances.

    ``clock`` and ``sleep`` are a :class:`FakeClock` and its ``advance`` in tests of what time does. ``machine``
    holds the launched instances by identity: hand one factory's to the next to act a worker's restart.
    ``calls`` has every start and stop in order, ``runtimes`` everything that was created.
    """

    name = "fake"
    capabilities = Capabilities(languages=frozenset({Language.PYTHON}))

    def __init__(
        self,
        script: Script | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        capabilities: Capabilities | None = None,
        machine: dict[str, FakeRuntime] | None = None,
    ) -> None:
        self.clock = clock
        self.sleep = sleep
        self.machine = {} if machine is None else machine
        self.calls: list[Call] = []
        self.runtimes: list[FakeRuntime] = []
        self.closed = False
        self._script = script or Script()
        self._scripts: dict[str, list[Script]] = {}
        self._lock = threading.Lock()
        if capabilities is not None:
            # One fake stands for many backends, so what is true of a class elsewhere is said of an object here.
            self.capabilities = capabilities  # type: ignore[misc]

    @classmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        """Reads ``languages`` and a script: ``startError``, ``readyAfter``, ``runFor``, ``exitCode``, ``reason``."""
        languages = []
        for name in section.texts("languages", ["PYTHON"]):
            if name in Language.__members__:
                languages.append(Language[name])
            else:
                section.problem("languages", f"must hold only {', '.join(Language.__members__)} (got {shown(name)})")
        run_for = section.number("runFor", -1.0, null=-1.0)
        script = Script(
            start_error=section.text("startError") or None,
            ready_after=section.number("readyAfter", minimum=0),
            run_for=None if run_for < 0 else run_for,
            exit_code=section.integer("exitCode"),
            reason=section.text("reason"),
        )
        section.done()
        return cls(script, capabilities=replace(cls.capabilities, languages=frozenset(languages)))

    def play(self, instance: InstanceKey | str, *scripts: Script) -> None:
        """The runtimes created next for ``instance`` play ``scripts`` in turn, then the last one ever again."""
        self._scripts[str(instance)] = list(scripts)

    def create(self, spec: InstanceSpec) -> FakeRuntime:
        with self._lock:
            runtime = FakeRuntime(spec, self._next_script(spec.key), f"{spec.key}#{len(self.runtimes)}", self)
            self.runtimes.append(runtime)
            return runtime

    def _next_script(self, instance: InstanceKey) -> Script:
        scripts = self._scripts.get(str(instance), [])
        if not scripts:
            return self._script
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    def check(self, spec: InstanceSpec) -> None:
        super().check(spec)
        script = self._scripts.get(str(spec.key), [self._script])[0]
        if script.admission_error is not None:
            raise AdmissionError(script.admission_error)

    def render(self, spec: InstanceSpec) -> str:
        return f"play the script of {spec.key} for {spec.code_file}\n"

    def reattach(self, spec: InstanceSpec, handle: RuntimeHandle) -> FakeRuntime:
        if not self.capabilities.reattaches:
            raise NotImplementedError(f"the {self.name} runtime does not reattach")
        if (handle.factory, handle.version) != (self.name, HANDLE_VERSION):
            raise LaunchError(
                f"{spec.key}: must be a handle of {self.name}, version {HANDLE_VERSION} "
                f"(got {handle.factory}, version {handle.version})"
            )
        runtime = self.machine.get(str(handle.state.get("identity")))
        if runtime is None or runtime.spec.key != spec.key:
            raise LaunchError(f"{spec.key}: nothing that runs here is this instance (got {dict(handle.state)})")
        return runtime

    def close(self) -> None:
        self.closed = True

    def note(self, verb: str, spec: InstanceSpec) -> None:
        """Write down a call; the runtimes do this."""
        with self._lock:
            self.calls.append(Call(verb, spec.key, self.clock()))

    @property
    def started(self) -> list[InstanceKey]:
        """The instances that were asked to start, in order; one that was restarted is there again."""
        return [call.instance for call in self.calls if call.verb == "start"]

    @property
    def stopped(self) -> list[InstanceKey]:
        """The instances that were asked to stop, in order."""
        return [call.instance for call in self.calls if call.verb == "stop"]
