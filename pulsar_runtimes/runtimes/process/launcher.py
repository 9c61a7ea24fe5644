"""The launcher: the small single-threaded process that is the parent of every instance of one worker.

It exists because each of its jobs needs a process without threads. It forks Python instances from an
interpreter that has everything imported, so that one costs milliseconds and a few megabytes. It is the parent
whose death the kernel reports to the instances (``PR_SET_PDEATHSIG`` is tied to the *thread* that forked). It
reads what instances write, so that no line is lost when one is killed. And it ends them all when the worker is
gone, which it learns from the end of its control socket, and from nothing else; or it keeps them for the next worker,
if it was told a path to wait at.

Both directions of the control socket carry JSON lines. Requests: ``launch``, ``signal``, ``kill``, ``keep``, ``end``.
Events: ``limits``, ``started``, ``refused``, ``ready``, ``failed``, ``exited``; and to a worker that has come again
``left`` for each instance, then ``all``. An event has the ``id`` of its instance.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pulsar_runtimes.instance.environment import LAST_MESSAGES_VARIABLE, NOTIFY_VARIABLE
from pulsar_runtimes.instance.last_messages import read_last_messages
from pulsar_runtimes.model.function import Language
from pulsar_runtimes.runtimes.process.limits import Limit, LimitError, find_limiter
from pulsar_runtimes.runtimes.process.log_file import RotatingLog

OPTIONS = "@OPTIONS@"
"""Stands on a command line for the path of the file that has the options which may hold secrets."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
SOCKET_NAME = "launcher.sock"
_LOOK_SECONDS = 1.0
_ORPHAN_GRACE_SECONDS = 2.0
"""What instances have to finish when the worker has died, before they are killed."""

_MOST_DESCRIPTORS = 1 << 16
_MOST_NOTED = 1 << 16
"""How much of what an instance has noted is looked at: a function may write there, too."""

_OPEN_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
"""As the worker has it, which instances get back."""

_HANDLED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)

_libc = ctypes.CDLL(None)


def main() -> None:
    """Serve the control socket on standard input until the worker is gone."""
    control = socket.socket(fileno=os.dup(0))
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_NAME, b"pfrun-launcher", 0, 0, 0)
    _, most = _OPEN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each instance takes four descriptors
    Launcher(control).serve()


@dataclass(eq=False)
class Child:
    """One launched instance, as its parent sees it."""

    id: str
    pid: int
    log: RotatingLog
    output: int
    notify: int
    last_messages: int
    limit: Limit
    key: str
    fingerprint: str
    port: int
    metrics_port: int
    ready: bool = False
    pending: bytes = b""


class Launcher:
    """The loop: requests, output, notifications and deaths, whichever comes."""

    def __init__(self, control: socket.socket) -> None:
        self._control: socket.socket | None = control
        self._listener: socket.socket | None = None
        self._pid = os.getpid()
        self._worker: int | None = os.getppid()
        self._children: dict[int, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._received = b""
        self._unsent = b""
        self._deadline: float | None = None
        self._preloaded = False
        self._kept_at = ""
        self._limiter = find_limiter(str(self._pid))

    def serve(self) -> None:
        self._send("limits", "", how=self._limiter.describe())
        wakeup, written = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, lambda number, frame: self._end())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._attend()
        self._watch(wakeup, lambda: _drain(wakeup))
        while self._deadline is None or (self._children and time.monotonic() < self._deadline):
            for key, _ in self._selector.select(_LOOK_SECONDS if self._deadline is None else 0.05):
                key.data()
            self._reap()
            self._send_pending()
            if self._control is None and not self._children:  # there is nothing to keep for anybody
                self._end()
            if self._worker is not None and os.getppid() != self._worker:  # somebody may still hold the socket open
                self._leave_worker()
        _kill_sessions(self._children)
        self._limiter.close()

    def _watch(self, descriptor: int, act: Callable[[], object]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, act)

    def _attend(self) -> None:
        assert self._control is not None
        self._control.setblocking(False)
        self._watch(self._control.fileno(), self._on_control)

    def _leave_worker(self) -> None:
        """The worker is gone: wait for the next one with all instances, or end."""
        self._worker = None
        if self._control is not None:
            self._forget(self._control.fileno())
            self._control.close()
            self._control = None
        self._received = self._unsent = b""
        if self._listener is None:
            self._end()
        else:
            self._watch(self._listener.fileno(), self._on_worker)

    def _on_worker(self) -> None:
        """Another worker has come: tell it what there is."""
        assert self._listener is not None
        self._control, _ = self._listener.accept()
        self._forget(self._listener.fileno())
        self._attend()
        self._send("limits", "", how=self._limiter.describe())
        for child in self._children.values():
            ports = {"port": child.port, "metrics_port": child.metrics_port}
            mark = {"key": child.key, "fingerprint": child.fingerprint}
            self._send("left", child.id, pid=child.pid, ready=child.ready, **mark, **ports)
        self._send("all", "")

    def _keep(self, directory: str | None) -> None:
        """Wait for another worker in ``directory`` when this one is gone; ``None`` is the end of that."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            Path(self._kept_at).unlink(missing_ok=True)
        if directory is not None:
            self._kept_at = f"{directory}/{SOCKET_NAME}"
            Path(self._kept_at).unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with short_path(directory) as short:
                self._listener.bind(short)
            self._listener.listen(1)

    def _end(self) -> None:
        """Ask every instance to stop, and leave soon whatever they do."""
        self._keep(None)
        if self._deadline is None:
            self._deadline = time.monotonic() + _ORPHAN_GRACE_SECONDS
            for pid in self._children:
                _signal_group(pid, signal.SIGTERM)

    # Requests and events

    def _on_control(self) -> None:
        if self._control is None:
            return
        try:
            data = self._control.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leave_worker()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._on_request(json.loads(line))

    def _on_request(self, request: dict[str, Any]) -> None:
        match request["op"]:
            case "launch":
                self._launch(request)
            case "signal":
                for child in self._named(request["id"]):
                    _signal_group(child.pid, request["signal"])
            case "keep":
                self._keep(request["directory"])
            case "end":
                self._end()
            case "kill":
                _kill_sessions([child.pid for child in self._named(request["id"])])

    def _named(self, identifier: str) -> list[Child]:
        return [child for child in self._children.values() if child.id == identifier]

    def _send(self, event: str, identifier: str, **data: object) -> None:
        self._unsent += json.dumps({"event": event, "id": identifier, **data}).encode() + b"\n"
        self._send_pending()

    def _send_pending(self) -> None:
        if self._control is None:
            self._unsent = b""
        while self._unsent and self._control is not None:
            try:
                sent = self._control.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self._unsent = b""
                return
            self._unsent = self._unsent[sent:]

    # Life and death of instances

    def _launch(self, request: dict[str, Any]) -> None:
        identifier = request["id"]
        try:
            log = RotatingLog(Path(request["log_file"]))
        except OSError as error:
            self._send("refused", identifier, reason=f"the log file cannot be opened: {error}")
            return
        try:
            limit = self._limiter.open(f"{request['name']}-{identifier[:8]}", request["cpu"], request["ram_bytes"])
        except LimitError as error:
            log.close()
            self._send("refused", identifier, reason=str(error))
            return
        if request.get("command") is None:
            self._preload(request["arguments"])
        descriptors: list[int] = []
        try:
            descriptors += os.pipe2(os.O_CLOEXEC)
            descriptors += os.pipe2(os.O_CLOEXEC)
            descriptors.append(os.memfd_create("last-messages"))
            pid = _fork()
        except OSError as error:
            for descriptor in descriptors:
                os.close(descriptor)
            limit.close()
            log.close()
            self._send("refused", identifier, reason=f"no process can be made: {error}")
            return
        output, output_end, notify, notify_end, last_messages = descriptors
        if pid == 0:
            _become_instance(request, limit, self._pid, (output_end, notify_end, last_messages))
        _unblock_signals()
        os.close(output_end)
        os.close(notify_end)
        os.set_blocking(output, False)
        os.set_blocking(notify, False)
        child = Child(
            identifier,
            pid,
            log,
            output,
            notify,
            last_messages,
            limit,
            request["key"],
            request["fingerprint"],
            request["port"],
            request["metrics_port"],
        )
        self._children[pid] = child
        self._watch(output, lambda: self._on_output(child))
        self._watch(notify, lambda: self._on_notify(child))
        self._send("started", identifier, pid=pid)

    def _preload(self, arguments: list[str]) -> None:
        """Import and do what every Python instance does first, once, and hide it from the garbage collector.

        The collector would otherwise write to every object's header in every child and unshare its page.
        """
        if not self._preloaded:
            from pulsar_runtimes.instance.warm_up import warm_up

            warm_up(arguments)
            gc.collect()
            gc.freeze()
            self._preloaded = True

    def _on_output(self, child: Child) -> None:
        data = _read(child.output)
        if data:
            child.log.write(data)
        elif data is not None:
            self._forget(child.output)

    def _on_notify(self, child: Child) -> None:
        data = _read(child.notify)
        if data is None:
            return
        if not data:
            self._forget(child.notify)
            return
        *lines, child.pending = (child.pending + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["event"] == "ready":
                child.ready, child.port, child.metrics_port = True, event["port"], event["metrics_port"]
            self._send(event.pop("event"), child.id, **event)

    def _forget(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def _reap(self) -> None:
        ended: list[tuple[Child, int]] = []
        while self._children or self._deadline is None:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            child = self._children.pop(pid, None)
            if child is not None:
                ended.append((child, os.waitstatus_to_exitcode(status)))
        if ended:
            _kill_sessions([child.pid for child, _ in ended])
            for child, code in ended:
                self._bury(child, code)

    def _bury(self, child: Child, code: int) -> None:
        """Take the last words out of the pipes, then tell the worker."""
        while data := _read(child.output):
            child.log.write(data)
        self._on_notify(child)
        last = {
            "last_lines": child.log.last_lines(),
            "last_messages": read_last_messages(os.pread(child.last_messages, _MOST_NOTED, 0)),
        }
        for descriptor in (child.output, child.notify, child.last_messages):
            self._forget(descriptor)
            os.close(descriptor)
        oom_kills = child.limit.oom_kills()
        self._send("exited", child.id, code=code, oom=oom_kills > 0, **last)
        child.limit.close()
        child.log.close()


@contextlib.contextmanager
def short_path(directory: str) -> Iterator[str]:
    """A path of the socket in ``directory`` that is short enough for the kernel (107 bytes), wherever that is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes | None:
    """What is there now: ``None`` for nothing yet, empty at the end."""
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return None


def _drain(descriptor: int) -> None:
    while _read(descriptor):
        pass


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        with contextlib.suppress(ProcessLookupError):  # between the fork and its setsid there is no group yet
            os.kill(pid, number)


def _kill_sessions(leaders: Iterable[int]) -> None:
    """Kill everything that belongs to the sessions these instances lead, whatever group it has moved to."""
    sessions = set(leaders)
    if not sessions:
        return
    for pid in sessions:
        _signal_group(pid, signal.SIGKILL)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and _session(entry.name) in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGKILL)


def _session(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[3])
    except (OSError, IndexError):
        return -1


def _fork() -> int:
    """Fork with signals blocked: the child must not act on one with the launcher's handlers, which end everybody."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        return os.fork()
    except OSError:
        _unblock_signals()
        raise


def _unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)


def _become_instance(
    request: dict[str, Any], limit: Limit, launcher: int, descriptors: tuple[int, int, int]
) -> NoReturn:
    """In the child: shed what belongs to the launcher, then run the instance or become another program.

    ``descriptors``: for output, notifications, and the messages taken last.
    """
    output, notify, last_messages = descriptors
    try:
        os.setsid()
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != launcher:  # it died before the kernel had been asked to tell us
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
        _unblock_signals()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(notify, 3)
        os.dup2(last_messages, 4)
        resource.setrlimit(resource.RLIMIT_NOFILE, _OPEN_FILES)
        limit.enter(Language[request["language"]])
        os.closerange(5, min(os.sysconf("SC_OPEN_MAX"), _MOST_DESCRIPTORS))
        os.environ.update(request["environment"])
        os.environ[NOTIFY_VARIABLE] = "3"
        os.environ[LAST_MESSAGES_VARIABLE] = "4"
        _libc.prctl(_PR_SET_NAME, request["name"].encode()[:15], 0, 0, 0)
        if request.get("command") is not None:
            _execute(request)
        code = _run(request)
    except LimitError as error:
        print(error, file=sys.stderr)
        code = 1
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    os._exit(code)


def _run(request: dict[str, Any]) -> int:
    from pulsar_runtimes.instance.main import main as run_instance

    sys.path.extend(path for path in request["python_path"] if path not in sys.path)
    return run_instance(request["arguments"])


def _execute(request: dict[str, Any]) -> NoReturn:
    """Become another program. Options that may hold secrets go by an anonymous file, not by the command line."""
    command = list(request["command"])
    if request["options"]:
        descriptor = os.memfd_create("options", 0)  # without close-on-exec
        os.write(descriptor, request["options"].encode())
        command = [argument.replace(OPTIONS, f"/proc/self/fd/{descriptor}") for argument in command]
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: cannot be started: {error.strerror}")


if __name__ == "__main__":
    main()
