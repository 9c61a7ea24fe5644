"""One instance in a thread of the worker."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pulsar_runtimes.model.errors import LaunchError, PfrunError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import InstanceStats, Observation, Phase
from pulsar_runtimes.runtimes.base import LogPart, Runtime

if TYPE_CHECKING:
    from pulsar_runtimes.instance.instance import Instance
    from pulsar_runtimes.runtimes.thread.factory import ThreadRuntimeFactory

_INTERRUPT_SECONDS = 2.0
_KEPT_LINES = 50


class ThreadRuntime(Runtime):
    """Runs the instance in a thread named after it, on the Pulsar client that the factory shares.

    A thread cannot be killed. One that runs user code past its grace is interrupted between two bytecodes; one
    that blocks in a call of the system stays behind, but its consumer is closed: it gets no message, and what
    it does in the end is acknowledged by nobody.
    """

    def __init__(self, spec: InstanceSpec, factory: ThreadRuntimeFactory) -> None:
        super().__init__(spec)
        self._factory = factory
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._instance: Instance | None = None
        self._observation = Observation(Phase.CREATED)
        self._stop_grace: float | None = None
        self._stopped = False
        self._log = _LastLines()

    def start(self) -> None:
        with self._lock:
            if self._observation.phase is not Phase.CREATED:
                raise LaunchError(f"{self.spec.key}: this runtime was used already")
            self._observation = Observation(Phase.STARTING)
            self._thread = threading.Thread(target=self._run, name=self._factory.thread_name(self.spec), daemon=True)
            self._thread.start()

    def _run(self) -> None:
        from pulsar_runtimes.instance.code import load_code
        from pulsar_runtimes.instance.instance import Instance

        reason = "stopped"
        try:
            cache: Path = self._factory.code_cache
            with contextlib.closing(load_code(self.spec.code_file, cache, private=True)) as code:
                instance = Instance(
                    self.spec,
                    code,
                    self._factory.client(self.spec),
                    budget=self._factory.budget,
                    on_ready=self._ready,
                    logger=self._logger(),
                )
                with self._lock:
                    self._instance = instance
                    grace = self._stop_grace
                if grace is not None:
                    instance.stop(grace)
                instance.run()
        except PfrunError as error:
            reason = str(error).splitlines()[0]
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            logging.getLogger(__name__).exception("%s: the instance failed", self.spec.key)
        noted = self._instance.last_messages if self._instance is not None else None
        self._saw(Observation(Phase.EXITED, reason=reason, last_messages=tuple(noted.told() if noted else ())))

    def _ready(self) -> None:
        self._saw(Observation(Phase.RUNNING))

    def _saw(self, observation: Observation) -> None:
        with self._lock:
            if self._observation.phase is not Phase.EXITED:
                self._observation = observation
        self._factory.wake()

    def _logger(self) -> logging.Logger:
        """The function's logger. Its lines go where the worker's do, and the last ones are kept."""
        logger = logging.getLogger(f"pfrun.function.{self.spec.key}".replace("/", "."))
        logger.setLevel(logging.INFO)
        logger.handlers = [self._log]
        return logger

    def observe(self) -> Observation:
        return self._observation

    def stop(self, *, grace_seconds: float) -> None:
        with self._lock:
            if self._observation.phase is Phase.CREATED:
                self._observation = Observation(Phase.EXITED, reason="stopped before it was started")
                return
            if self._stopped:
                return
            self._stop_grace = grace_seconds
            instance, thread = self._instance, self._thread
        if instance is not None:
            instance.stop(grace_seconds)
        if thread is None or thread is threading.current_thread():
            return
        thread.join(grace_seconds + _INTERRUPT_SECONDS)
        if thread.is_alive():  # it blocks in the function's constructor, or waits for a broker that doesn't answer
            self._interrupt([thread])
        elif self._instance is not None:
            self._interrupt(self._instance.hung_threads())
        self._saw(Observation(Phase.EXITED, reason="stopped"))
        self._stopped = True

    def _interrupt(self, threads: list[threading.Thread]) -> None:
        """Raise ``SystemExit`` in threads that still run user code, and tell when even that doesn't end them."""
        deadline = time.monotonic() + _INTERRUPT_SECONDS
        for thread in threads:
            if thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logging.getLogger(__name__).warning(
                    "%s: its function blocks and cannot be interrupted; the thread stays until it returns, "
                    "without messages",
                    self.spec.key,
                )

    def stats(self) -> InstanceStats | None:
        instance = self._instance
        return instance.stats.snapshot() if instance is not None else None

    def metrics_text(self) -> str:
        from pulsar_runtimes.instance.exposition import metrics_text

        instance = self._instance
        return metrics_text(instance.stats, self.spec) if instance is not None and instance.running else ""

    def log_lines(self, last: int) -> list[str]:
        return self._log.last(last)

    def log_after(self, mark: str, last: int) -> LogPart:
        return self._log.after(mark, last)


class _LastLines(logging.Handler):
    """Keeps formatted lines in memory, and knows how many there were."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("[%(asctime)s] [%(levelname)s] %(message)s"))
        self._life = time.time_ns()
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            lines = self.format(record).splitlines()
            self._lines.extend(lines)
            self._count += len(lines)

    def last(self, last: int) -> list[str]:
        with self._held():
            return list(self._lines)[-last:] if last > 0 else []

    def after(self, mark: str, last: int) -> LogPart:
        with self._held():
            life, _, seen = mark.partition("-")
            if life == str(self._life) and seen.isdecimal():
                last = max(0, self._count - int(seen))
            elif mark:
                last = self._count
            lines = tuple(self._lines)[-last:] if last > 0 else ()
            return LogPart(lines, f"{self._life}-{self._count}")

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Nobody writes meanwhile."""
        self.acquire()
        try:
            yield
        finally:
            self.release()
