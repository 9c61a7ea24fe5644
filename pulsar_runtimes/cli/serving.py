"""Running a worker in the foreground: up, until a signal, and down again."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import NoReturn, Protocol

import click

from pulsar_runtimes._version import __version__
from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.status import InstanceStatus, State
from pulsar_runtimes.worker.worker import Worker

from .workload import LoadedFunction

_LOOK_SECONDS = 0.2
_DONE = 0
"""Stands among the signals' numbers for the end of the start or stop that is under way."""

_log = logging.getLogger(__name__)

Watch = Callable[[], None]
"""Looks whether something is so bad that the worker has to end, and raises it."""


class Companion(Protocol):
    """What runs beside a worker: started after it, stopped before it."""

    @property
    def address(self) -> str: ...

    def start(self) -> None: ...

    def give_up(self) -> None:
        """Have a start that is under way fail soon. From any thread."""

    def stop(self) -> None: ...


def serve(
    worker: Worker,
    functions: Iterable[LoadedFunction],
    grace_seconds: float,
    watch: Watch | None = None,
    companion: Companion | None = None,
) -> int:
    """Start ``worker`` with ``functions``, wait for SIGTERM, SIGINT or SIGHUP, stop it; answers the exit code.

    ``watch`` is called again and again meanwhile; what it raises ends the worker too, and is raised in the end.
    A second signal ends the grace: this process leaves at once, and what it started ends with it. So it does when it
    is not up yet, and cannot be made to stop within the grace.
    """
    with _signals() as signals:
        try:
            for function in functions:
                worker.submit(function.spec, function.base)
            number = _come_up(worker, signals, grace_seconds, companion)
            if number is None:
                _tell(worker, companion)
                number = _wait(worker, signals, watch)
            _log.info("%s: stopping, for %g s at the most", signal.Signals(number).name, grace_seconds)
        finally:
            code = _stop(worker, signals, grace_seconds, companion)
    return code


def _come_up(
    worker: Worker, signals: queue.SimpleQueue[int], grace_seconds: float, companion: Companion | None
) -> int | None:
    """Start everything; the signal that came before that was done, ``None`` when none did.

    Children are told when the thread that started them ends, so it is another one that listens to signals.
    """
    came: list[int] = []

    def listen() -> None:
        number = signals.get()
        if number == _DONE:
            return
        came.append(number)
        if companion is not None:
            companion.give_up()
        with contextlib.suppress(queue.Empty):
            number = signals.get(timeout=grace_seconds)
        if number != _DONE:
            _leave(number)

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    try:
        _start(worker)
        if companion is not None:
            companion.start()
    except PfrunError:
        if not came:
            raise
    finally:
        signals.put(_DONE)
        listener.join()
    return came[0] if came else None


def _start(worker: Worker) -> None:
    for function in worker.functions():
        topics = ", ".join(function.source.input_specs) or function.source.topics_pattern
        _log.info("%s: reads %s, writes %s", function.key, topics, function.sink.topic or "nothing")
    try:
        worker.start()
    except OSError as error:
        if error.filename is None:
            raise
        raise PfrunError(f"{error.filename}: cannot be used: {error.strerror}") from error


@contextlib.contextmanager
def _signals() -> Iterator[queue.SimpleQueue[int]]:
    """The numbers of the signals that arrive. A signal handler does no more than putting them there."""
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()

    def put(number: int, frame: FrameType | None) -> None:
        arrived.put(number)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup pfrun start
        numbers.append(signal.SIGHUP)
    former = {number: signal.signal(number, put) for number in numbers}
    try:
        yield arrived
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _tell(worker: Worker, companion: Companion | None) -> None:
    count = len(worker.functions())
    functions = f"{count} function{'' if count == 1 else 's'}" if count else "no functions"
    text = (
        f"pfrun {__version__} is up: broker {worker.service_url}, {worker.factory.name} runtime, {functions}, "
        f"state in {worker.state_dir}"
    )
    if companion is not None:
        text += f", admin API at {companion.address}"
    with contextlib.suppress(BrokenPipeError):  # nobody has to read it
        click.echo(text)


def _wait(worker: Worker, signals: queue.SimpleQueue[int], watch: Watch | None) -> int:
    if watch is None:
        return signals.get()
    while True:
        watch()
        with contextlib.suppress(queue.Empty):
            return signals.get(timeout=_LOOK_SECONDS)


def _stop(worker: Worker, signals: queue.SimpleQueue[int], grace_seconds: float, companion: Companion | None) -> int:
    failures: list[Exception] = []

    def stop() -> None:
        try:
            if companion is not None:
                companion.stop()
            worker.stop(grace_seconds)
        except Exception as error:
            failures.append(error)
        finally:
            signals.put(_DONE)

    threading.Thread(target=stop, name="stop", daemon=True).start()
    number = signals.get()
    if number != _DONE:
        _leave(number)
    if failures:
        raise failures[0]
    return 0


def _leave(number: int) -> NoReturn:
    """Without a stop: instances and the embedded broker end when their worker is gone."""
    _log.warning("%s: ending at once", signal.Signals(number).name)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + number)


def raising_when_given_up(worker: Worker) -> Watch:
    """``PfrunError`` with the reason as soon as an instance of ``worker`` was given up."""

    def watch() -> None:
        for function in worker.statuses():
            for instance in function.instances:
                if instance.state is State.FAILED:
                    raise PfrunError(_obituary(instance))

    return watch


def _obituary(instance: InstanceStatus) -> str:
    lines = [f"{instance.key}: given up after {instance.restarts + 1} starts: {instance.reason}"]
    if instance.last_lines:
        lines += ["its last lines were:", *(f"  {line}" for line in instance.last_lines[-10:])]
    last_messages = instance.ends[-1].last_messages if instance.ends else ()
    if last_messages:
        lines += ["the last messages it took were:", *(f"  {message}" for message in last_messages)]
    return "\n".join(lines)
