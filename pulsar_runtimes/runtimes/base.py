"""The contract that every backend keeps. :class:`pulsar_runtimes.testing.RuntimeFactoryConformance` proves it.

A third party writes one :class:`RuntimeFactory`, registers it under the entry-point group
``pulsar_runtimes.runtime_factories``, and lets the conformance class run against it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import Capabilities, InstanceStats, Observation, RuntimeHandle

if TYPE_CHECKING:
    from pulsar_runtimes.config.worker import WorkerConfig

ENTRY_POINT_GROUP = "pulsar_runtimes.runtime_factories"
STRICT_VARIABLE = "PFRUN_STRICT_REFERENCE"


class Replica(abc.ABC):
    """One working copy of a function, and what only its backend can tell of it; by default nothing.

    Only ``observe`` and ``log_lines`` are called from the supervisor's loop: the others may wait, as they say.
    """

    @abc.abstractmethod
    def observe(self) -> Observation:
        """What is known now. Quick: never waits for the instance, never raises for a dead one.

        CREATED before it was started, then STARTING until the instance works, RUNNING while it does, EXITED after it
        ended or was stopped, and UNKNOWN whenever it cannot be told.
        """

    def stats(self) -> InstanceStats | None:
        """What the instance has counted, or ``None`` when it cannot be asked. May wait for seconds."""
        return None

    def metrics_text(self) -> str:
        """The instance's metrics in Prometheus' text format; empty when it cannot be asked. May wait for seconds."""
        return ""

    def memory_bytes(self) -> int | None:
        """The memory that the instance holds now, ``None`` when that cannot be told. May wait for a moment."""
        return None

    def log_lines(self, last: int) -> list[str]:
        """The last lines that the instance wrote, oldest first; empty when the backend keeps none."""
        return []

    def log_after(self, mark: str, last: int) -> LogPart | None:
        """The whole lines written after ``mark``, of an earlier answer; with ``""`` the ``last`` ones there are.

        It may answer some of them, and the others when it is asked with the new mark. A mark that means nothing any
        more, as what it means was thrown away, gives the oldest lines there are. ``None`` when the backend cannot
        tell what is new.
        """
        return None


class Runtime(Replica):
    """One launched instance. Made by a factory, started once, thrown away when it has exited.

    The supervisor calls ``start`` and ``stop`` from a pool thread and ``observe`` from its loop, so ``observe``
    may run while one of the others does. What was seen as EXITED stays so for ever.
    """

    outlives_worker: bool = False
    """Whether the instance is meant to go on when the worker ends: a worker that stops leaves it alone."""

    def __init__(self, spec: InstanceSpec) -> None:
        self.spec = spec

    @abc.abstractmethod
    def start(self) -> None:
        """Launch the instance. Returns when that has been asked for, not when it is ready.

        Called once at most. ``LaunchError`` when the instance cannot be launched; nothing runs then.
        """

    def update(self, spec: InstanceSpec) -> bool:
        """Become ``spec``, another version of the same function, in the best way that the backend knows.

        Called from a pool thread, only where ``capabilities.updates_in_place`` is true, and only after ``start``. True
        when that has been asked for: :meth:`observe` tells how it goes. False when this version can only follow after
        the end of the one that runs; nothing has changed then, and the supervisor stops this and starts another.
        """
        return False

    @abc.abstractmethod
    def stop(self, *, grace_seconds: float) -> None:
        """End the instance; when this returns nothing of it runs.

        Idempotent, and allowed before ``start``. The instance has ``grace_seconds`` to finish what it holds,
        then it is ended the hard way.
        """

    def handle(self) -> RuntimeHandle | None:
        """What to write down to find the instance again, or ``None`` when it dies with the worker."""
        return None

    def replica(self, number: int) -> Replica:
        """The replica of that number: the runtime itself, unless it stands for all of them."""
        return self

    def leave(self) -> None:
        """Have nothing to do with the function any more: it goes on, and another worker looks after it from now on.

        Called in place of ``stop``, only where ``capabilities.runs_all_replicas`` is true.
        """
        return


@dataclass(frozen=True, slots=True)
class LogPart:
    """Some lines of a log, oldest first, and the ``mark`` to ask with for what comes after them. Any text is one."""

    lines: tuple[str, ...]
    mark: str


def _usual_worker() -> WorkerConfig:
    from pulsar_runtimes.config.worker import WorkerConfig  # the YAML parser comes with it, and most need none

    return WorkerConfig()


@dataclass(frozen=True, slots=True)
class FactoryContext:
    """What a worker tells a factory about itself.

    ``state_dir`` is a directory the factory may write to, made when first used. ``memory_ceiling_bytes`` is
    what the worker itself may use: its cgroup's limit, else physical memory. ``environment`` is the worker's
    environment, given rather than looked up so that factories stay testable. ``wake`` may be called from any
    thread when an instance's phase has changed; it only makes the supervisor look sooner. ``worker`` is the whole
    configuration of the worker, for a backend to which more than its own section matters.
    """

    state_dir: Path
    memory_ceiling_bytes: int
    environment: Mapping[str, str] = field(default_factory=dict)
    wake: Callable[[], None] = lambda: None
    worker: WorkerConfig = field(default_factory=_usual_worker, repr=False)


def read_strict_reference(section: Section, context: FactoryContext) -> bool:
    """``strictReference``, else ``PFRUN_STRICT_REFERENCE``: do as the reference does where pfrun differs on purpose."""
    return section.boolean("strictReference", context.environment.get(STRICT_VARIABLE, "") not in ("", "0", "false"))


class RuntimeFactory(abc.ABC):
    """Makes runtimes of one kind. Third parties subclass this."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    @classmethod
    @abc.abstractmethod
    def from_config(cls, section: Section, context: FactoryContext) -> Self:
        """Build the factory from ``functionRuntimeFactoryConfigs``.

        Reads every key it knows through ``section``; the caller reports those left over. ``ConfigError`` names
        each bad key with its line. No process, thread or connection is started yet.
        """

    def open(self) -> None:
        """The worker begins: look for what an earlier one left. Called once, before the first ``create``.

        ``LaunchError`` when this worker must not begin. Nothing to do for most.
        """
        return

    @abc.abstractmethod
    def create(self, spec: InstanceSpec) -> Runtime:
        """A runtime for ``spec``, not started. No side effects."""

    def check(self, spec: InstanceSpec) -> None:
        """``AdmissionError`` when this backend must not or cannot run ``spec``. No side effects."""
        check_language(self, spec)

    def keep_token(self, spec: InstanceSpec, token: str) -> str:
        """Keep the ``token`` of the user who sent a function, blank for none, for its instances to prove themselves.

        The answer is written down with the function, and comes back as ``spec.auth_data``; here that has what was kept
        before, which the new token replaces. ``LaunchError`` when it cannot be kept. By default nothing is kept.
        """
        return ""

    def forget_token(self, spec: InstanceSpec) -> None:
        """Throw away what :meth:`keep_token` answered with ``spec.auth_data``. Idempotent; ``LaunchError``."""
        return

    @abc.abstractmethod
    def render(self, spec: InstanceSpec) -> str:
        """Exactly what ``start`` would do, as text: a command line or manifests. No side effects, no secrets."""

    def reattach(self, spec: InstanceSpec, handle: RuntimeHandle) -> Runtime:
        """A runtime for an instance that an earlier worker launched. Idempotent.

        ``LaunchError`` when the handle is of another factory or version, or when what runs there cannot be
        proved to be ours.
        """
        raise NotImplementedError(f"the {self.name} runtime does not reattach")

    def close(self) -> None:
        """Let go of everything the factory holds. Every runtime has been stopped before. Idempotent."""


def check_language(factory: RuntimeFactory, spec: InstanceSpec) -> None:
    """``AdmissionError`` when ``factory`` cannot run the function's language."""
    if spec.function.language not in factory.capabilities.languages:
        able = ", ".join(sorted(language.name for language in factory.capabilities.languages))
        raise AdmissionError(
            f"{spec.function.key}: the {factory.name} runtime cannot run {spec.function.language.name} functions; "
            f"it runs {able}"
        )
