"""pulsar-lite, the broker that comes as a Python package and needs nothing else."""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from pulsar_runtimes.brokers.base import Broker, BrokerLimits
from pulsar_runtimes.brokers.broker_log import BrokerLog
from pulsar_runtimes.brokers.broker_record import BrokerRecord
from pulsar_runtimes.brokers.directory_lock import DirectoryLock
from pulsar_runtimes.brokers.guarded_process import GuardedProcess, describe_exit
from pulsar_runtimes.model.errors import BrokerError
from pulsar_runtimes.model.function import Language
from pulsar_runtimes.model.observation import Observation, Phase
from pulsar_runtimes.runtimes.loopback_port import LOOPBACK, LoopbackPort

READY_SECONDS = 10.0
LEFT_OVER_GRACE_SECONDS = 2.0

_PORT_ATTEMPTS = 3
_POLL_SECONDS = 0.02
_CONNECT_SECONDS = 1.0
_TAIL_LINES = 10
_LEAST_RUN_SECONDS = 1.0
_RESET = "Connection reset by peer"

# Metrics would listen on 0.0.0.0:8080. With the write buffer's own marks a consumer stalls for ever once some
# 20 MiB wait for it; these are far above what any receiver queue holds.
_CONFIG = """\
# Written by pfrun at each start of the broker; changes are lost.
addr = "{address}"
log_level = "warn"
pulsar_channel_write_buffer_high_water_mark_bytes = 1073741824
pulsar_channel_write_buffer_low_water_mark_bytes = 536870912

[metrics]
enabled = false
"""

_logger = logging.getLogger(__name__)


class LiteBroker(Broker):
    """Runs the pulsar-lite binary on a loopback port, with data and log under ``<state_dir>/broker``.

    The binary ends when the process that started it does, even by SIGKILL. A state directory has one owner at a
    time, from ``start`` to ``stop``; what an owner that died left running is ended by the next one.

    pulsar-lite has no shutdown of its own: SIGTERM ends it at once. What it confirmed is on disk by then.
    """

    name: ClassVar[str] = "pulsar-lite"
    server_name: ClassVar[str] = "Pulsar-Lite"
    limits: ClassVar[BrokerLimits] = BrokerLimits(
        # Go: its client discards what the Python client produced (checksum mismatch).
        languages=frozenset({Language.JAVA, Language.PYTHON}),
        patterns=False,
        schemas_from_registry=False,
        last_message_id=False,
        compaction=False,
        authentication=False,
        tls=False,
        admin=False,
        geo_replication=False,
        # It cuts the connection of whoever brings a consumer number that its subscription has already.
        tells_consumers_apart=False,
        # Of what several producers send to one topic at the same time it keeps some batches twice.
        deduplication=False,
    )

    def __init__(
        self,
        state_dir: Path,
        environment: Mapping[str, str],
        *,
        binary: Path | None = None,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        """``binary`` is looked up in the installed ``pulsar_lite`` package, at ``start``, when not given."""
        self._state_dir = state_dir.absolute()
        self._directory = self._state_dir / "broker"
        self._environment = dict(environment)
        self._binary = binary
        self._ready_seconds = ready_seconds

        self._lock = DirectoryLock(self._directory / "lock", self._state_dir)
        self._record_path = self._directory / "broker.json"
        self._log = BrokerLog(self._directory / "broker.log")

        self._changing = threading.Lock()
        self._port: LoopbackPort | None = None
        self._promised: int | None = None
        self._started = 0.0
        self._lost_client = False
        # Always replaced as a pair, so that observe() needs no lock.
        self._seen: tuple[Observation, GuardedProcess | None] = (Observation(Phase.CREATED), None)

    @classmethod
    def from_state_dir(cls, state_dir: Path, environment: Mapping[str, str]) -> Self:
        return cls(state_dir, environment)

    def start(self) -> str:
        with self._changing:
            if self._port is not None and self.observe().phase is Phase.RUNNING:
                return _url(self._port)
            ended = self._seen[1]
            self._seen = (Observation(Phase.STARTING), None)
            try:
                if ended is not None:
                    ended.stop(grace_seconds=0)
                port, process = self._launch()
            except BaseException as error:
                self._let_go()
                reason, *_ = (str(error) or type(error).__name__).splitlines()
                self._seen = (Observation(Phase.EXITED, reason=reason), None)
                if isinstance(error, OSError):
                    raise BrokerError(
                        f"{error.filename or self._directory}: cannot be used ({error.strerror}); "
                        "the worker needs a state directory that it may write to"
                    ) from error
                raise
            self._promised = port.number
            self._started, self._lost_client = time.monotonic(), False
            self._seen = (Observation(Phase.RUNNING), process)
            _logger.info("%s: accepts connections at %s", self.name, _url(port))
            return _url(port)

    def observe(self) -> Observation:
        seen, process = self._seen
        code = None if process is None else process.exit_code()
        if code is None or seen.phase is not Phase.RUNNING:
            return seen
        return Observation(Phase.EXITED, code, f"{self.name}: {describe_exit(code)}; see {self._log.path}")

    def tend(self) -> None:
        """End a broker that has lost a client without noticing; the one that is started next serves the rest.

        When a connection is reset, as it is when a process dies with messages unread, pulsar-lite keeps its
        consumers for ever: their numbers stay taken, and the messages they had, and go on getting, reach nobody.
        """
        _, process = self._seen
        self._lost_client = self._lost_client or _RESET in self._log.news()
        if process is None or not self._lost_client or time.monotonic() - self._started < _LEAST_RUN_SECONDS:
            return
        _logger.warning("%s: a client died and left its consumers behind; starting the broker anew", self.name)
        self._lost_client = False
        process.stop(grace_seconds=LEFT_OVER_GRACE_SECONDS)

    def stop(self, *, grace_seconds: float) -> None:
        with self._changing:
            seen, process = self._seen
            if process is not None:
                self._seen = (Observation(Phase.UNKNOWN, reason=f"{self.name}: is being stopped"), process)
                try:
                    process.stop(grace_seconds=grace_seconds)
                except BaseException:
                    self._seen = (seen, process)
                    raise
                self._seen = (Observation(Phase.EXITED, reason=f"{self.name}: was stopped"), None)
                _logger.info("%s: stopped", self.name)
            self._let_go()
            self._promised = None

    def log_lines(self, last: int) -> list[str]:
        return self._log.lines(last)

    def _let_go(self) -> None:
        """Give back the port and the state directory; the broker does not run any more."""
        if self._port is not None:
            self._port.release()
            self._port = None
        self._lock.release()

    def _launch(self) -> tuple[LoopbackPort, GuardedProcess]:
        """A broker that accepts connections; on an error nothing of it runs, but port and lock may be held."""
        binary = self._binary or find_binary()
        self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._directory.chmod(0o700)
        self._lock.acquire()
        record = BrokerRecord.read(self._record_path)
        if record is not None:
            self._end_left_over(record)

        preferred = None if record is None else record.port
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            port = self._hold_port(preferred)
            process = self._run(binary, port)
            try:
                self._wait_until_ready(process, port)
            except _PortTakenError:
                process.stop(grace_seconds=0)
                if self._promised is not None or attempt == _PORT_ATTEMPTS:
                    raise
                port.release()
                self._port = preferred = None
            except BaseException:
                process.stop(grace_seconds=0)
                raise
            else:
                return port, process
        raise AssertionError("the last attempt returns or raises")

    def _end_left_over(self, record: BrokerRecord) -> None:
        """End a broker that an earlier owner of the directory, who is gone, left running."""
        if record.process.is_alive():
            _logger.warning("%s: ends process %d, which an earlier worker left", self.name, record.process.pid)
            record.process.stop(grace_seconds=LEFT_OVER_GRACE_SECONDS)

    def _hold_port(self, preferred: int | None) -> LoopbackPort:
        """The port held so far, else the promised one, else ``preferred`` if it is free, else any."""
        if self._port is None and self._promised is None:
            self._port = LoopbackPort.prefer(preferred)
        elif self._port is None:
            try:
                self._port = LoopbackPort(self._promised)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                raise _PortTakenError(_port_taken(self._promised)) from error
        return self._port

    def _run(self, binary: Path, port: LoopbackPort) -> GuardedProcess:
        config = self._directory / "pulsar-lite.toml"
        config.touch(mode=0o600)
        config.write_text(_CONFIG.format(address=f"{LOOPBACK}:{port.number}"), encoding="utf-8")
        command = [str(binary), "--config", str(config), "--db-path", str(self._directory / "data")]
        with self._log.open() as log:
            process = GuardedProcess(command, directory=self._directory, environment=self._environment, log=log)
        try:
            BrokerRecord(process.identity, port.number, str(binary)).write(self._record_path)
        except BaseException:
            process.stop(grace_seconds=0)
            raise
        return process

    def _wait_until_ready(self, process: GuardedProcess, port: LoopbackPort) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while True:
            accepts = port.accepts(_CONNECT_SECONDS)
            # Asked second: a broker that gave up because a stranger took its port must not pass for ready.
            code = process.exit_code()
            if code is not None:
                raise self._start_error(port, describe_exit(code))
            if accepts:
                return
            if time.monotonic() >= deadline:
                raise self._start_error(port, f"accepts no connection after {self._ready_seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def _start_error(self, port: LoopbackPort, what: str) -> BrokerError:
        lines = self._log.lines(_TAIL_LINES)
        if any("AddrInUse" in line or "Address already in use" in line for line in lines):
            return _PortTakenError(_port_taken(port.number))
        wrote = "".join(f"\n  {line}" for line in lines) or " (none)"
        return BrokerError(f"{self.name}: did not start: {what}; the last lines of {self._log.path}:{wrote}")


class _PortTakenError(BrokerError):
    """Another process listens on the port; another port may do."""


def _port_taken(number: int | None) -> str:
    return f"{LOOPBACK}:{number}: another process listens there; end it, or restart the worker to get another port"


def _url(port: LoopbackPort) -> str:
    return f"pulsar://{LOOPBACK}:{port.number}"


def find_binary(package: str = "pulsar_lite") -> Path:
    """The pulsar-lite program inside the installed package, which is not imported: its code starts brokers itself.

    ``BrokerError`` when the package is not installed or has no program that may be executed here.
    """
    remedy = "pip install pulsar-lite, or set pulsarServiceUrl to use a broker of your own"
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise BrokerError(f"pulsarServiceUrl: not set, and the package {package} is not installed; {remedy}")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for folder in folders:
        binary = folder / "bin" / "pulsar-lite"
        if binary.is_file():
            if os.access(binary, os.X_OK):
                return binary
            raise BrokerError(f"{binary}: not executable; chmod +x it, or set pulsarServiceUrl")
    place = ", ".join(map(str, folders)) or package
    raise BrokerError(f"{place}: has no bin/pulsar-lite; {remedy}")
