"""The main program of a Python instance in a process of its own."""

from __future__ import annotations

import faulthandler
import logging
import logging.config
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pulsar_runtimes.model.errors import LaunchError, PfrunError
from pulsar_runtimes.model.function import InstanceSpec

from .arguments import InstanceArguments, parse_arguments
from .client import connect
from .code import UserCode, load_code
from .control import ControlServer
from .dependencies import Sources
from .environment import CODE_CACHE_VARIABLE
from .exposition import serve_metrics
from .function_state import check_state_store
from .instance import Instance, _one_line
from .last_messages import LastMessages
from .notify import Notifier
from .support import check_supported

_STOP_SECONDS = 10.0
_MISSED_HEALTH_CHECKS = 3
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one instance until it is told to stop (exit code 0) or cannot go on (1)."""
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    notifier = Notifier.from_environment(os.environ)
    faulthandler.enable()
    for number in (signal.SIGUSR1, signal.SIGQUIT):  # the second as a JVM does, for whoever finds us hung
        faulthandler.register(number, all_threads=True)
    try:
        _configure_logging(arguments)
        _run(arguments, notifier)
    except PfrunError as error:
        logging.getLogger(__name__).error("%s", error, exc_info=error.__cause__)
        notifier.failed(str(error).splitlines()[0])
        return 1
    except Exception as error:
        logging.getLogger(__name__).exception("the instance failed")
        notifier.failed(_one_line(error))
        return 1
    finally:
        logging.shutdown()
    return 0


def _run(arguments: InstanceArguments, notifier: Notifier) -> None:
    spec = arguments.spec
    check_supported(spec.function)
    if not notifier.managed:  # a worker of ours has looked before
        check_state_store(spec)
    started = threading.Event()

    def stop() -> None:
        if not started.is_set():
            os._exit(0)  # there is nothing to finish, and the main thread may be deep in a call that waits for a broker
        instance.stop(_STOP_SECONDS)

    _on_stop_signal(stop)
    code = _load_code(arguments)
    client = connect(spec)
    # Only a launcher of ours ends its children by itself; the reference's worker reaches us by the host's address.
    managed = notifier.managed

    def ready() -> None:
        started.set()
        port = control.start("127.0.0.1" if managed else "[::]", spec.port)
        _, metrics_port = serve_metrics(instance.stats, spec, "127.0.0.1" if managed else "0.0.0.0")
        notifier.ready(port=port, metrics_port=metrics_port)
        logging.getLogger(__name__).info("%s is ready, control port %d", spec.key, port)
        if not managed and spec.expected_health_check_seconds > 0:
            _watch_health(control, spec, instance)

    noted = partial(LastMessages.from_environment, os.environ)
    instance = Instance(spec, code, client, on_ready=ready, last_messages=noted, has_own_memory=managed)
    control = ControlServer(instance.stats, lambda: instance.running, spec.instance_id)
    try:
        instance.run()
    finally:
        control.stop()
        client.shutdown()


def _load_code(arguments: InstanceArguments) -> UserCode:
    sources = Sources(
        anywhere=arguments.install_dependencies,
        repository=arguments.dependency_repository,
        extra_repository=arguments.extra_dependency_repository,
    )
    code_file = arguments.spec.code_file
    if cache := os.environ.get(CODE_CACHE_VARIABLE):
        return load_code(code_file, Path(cache), sources=sources)
    beside = Path(code_file).resolve().parent
    return load_code(code_file, beside, sources=sources, environments=beside / ".pfrun-environments")


def _on_stop_signal(act: Callable[[], None]) -> None:
    """Call ``act`` on a thread of its own at the first stop signal.

    The interpreter writes each signal's number to a pipe at once. A handler in Python would have to wait until the
    main thread comes back from the client library, and must not touch a lock.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda number, frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait() -> None:
        while _STOP_SIGNALS.isdisjoint(os.read(reader, 64)):
            pass
        act()

    threading.Thread(target=wait, name="stop", daemon=True).start()


def _watch_health(control: ControlServer, spec: InstanceSpec, instance: Instance) -> None:
    """Without a launcher of ours: stop when the worker has not asked for three intervals, as the reference does."""
    interval = spec.expected_health_check_seconds

    def watch() -> None:
        while time.monotonic() - control.last_health_check <= _MISSED_HEALTH_CHECKS * interval:
            time.sleep(interval)
        logging.getLogger(__name__).error("no health check for %d s: the worker is gone", 3 * interval)
        instance.stop(_STOP_SECONDS)
        time.sleep(_STOP_SECONDS + interval)
        os.kill(os.getpid(), signal.SIGKILL)

    control.last_health_check = time.monotonic()
    threading.Thread(target=watch, name="health", daemon=True).start()


def _configure_logging(arguments: InstanceArguments) -> None:
    """Apply the ini file the worker names. It finds the log file's path in the variable ``LOG_FILE``."""
    function = arguments.spec.function
    directory = Path(arguments.logging_directory, function.tenant, function.namespace, function.name)
    log_file = directory / f"{arguments.logging_file}-{arguments.spec.instance_id}.log"
    os.environ["LOG_FILE"] = str(log_file)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        logging.config.fileConfig(arguments.logging_config_file, disable_existing_loggers=False)
    except Exception as error:  # the file names classes and holds expressions: anything can go wrong in it
        logging.basicConfig(level=logging.INFO)
        reason = _one_line(error) if Path(arguments.logging_config_file).is_file() else "there is no such file"
        logging.warning("logging configuration %s cannot be used: %s", arguments.logging_config_file, reason)
    if arguments.logging_level:
        try:
            logging.getLogger().setLevel(arguments.logging_level.upper())
        except ValueError as error:
            raise LaunchError(f"--logging_level: {error}") from None
