"""One running Python function: receive, call, publish, acknowledge.

The path of a message has no lock, no queue of our own and no wait: the thread that received a message calls
the function and hands its result to the producer; the client's thread acknowledges the input when the broker
has the output.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import InstanceSpec, ProcessingGuarantees

from .client import PulsarException, Result, pin_thread_state
from .code import Process, UserCode, build_process
from .context import InstanceContext
from .function_state import FunctionState
from .input import Input, plan_inputs
from .last_messages import LastMessages
from .log_topic import LogTopicHandler
from .memory import MemoryBudget, Share
from .output import Output, Publishers, flush_all
from .secrets import build_secrets_provider
from .stats import Stats

_ROLL_SECONDS = 60.0
_FAILURE_GRACE_SECONDS = 5.0
"""How long a failed instance waits for the broker's answers before it leaves."""


class InstanceFailed(PfrunError):
    """The instance cannot go on; whoever runs it should start a new one."""


class OutOfMemory(InstanceFailed):
    """The function asked for more memory than its instance may have."""

    def __init__(self) -> None:
        super().__init__("out of memory: the function asked for more than its resources allow (MemoryError)")


class Instance:
    """One instance of a Python function over an open Pulsar client.

    ``run`` subscribes and handles messages until ``stop`` is called from any thread, or until something
    breaks that is not the user's exception. Used once. ``last_messages`` makes the place, for a number of inputs,
    where the messages that they take are noted; ``None`` where nobody would look. With ``has_own_memory`` a
    ``MemoryError`` of the function ends the instance, as the kernel would where it counts the memory.
    """

    def __init__(
        self,
        spec: InstanceSpec,
        code: UserCode,
        client: Any,
        *,
        budget: MemoryBudget | None = None,
        on_ready: Callable[[], None] = lambda: None,
        logger: logging.Logger | None = None,
        last_messages: Callable[[int], LastMessages | None] = LastMessages.in_process,
        has_own_memory: bool = False,
    ) -> None:
        function = spec.function
        self.spec = spec
        self.stats = Stats()
        self.running = False
        self._code = code
        self._client = client
        self._on_ready = on_ready
        self._logger = logger or logging.getLogger(str(spec.key))
        self._process: Process = build_process(code, function.class_name)
        self._budget = budget or MemoryBudget(spec.client_memory_bytes)
        self._share: Share | None = None
        self._inputs = tuple(Input(planned, spec, code) for planned in plan_inputs(function))
        self.last_messages = last_messages(len(self._inputs))
        for number, source in enumerate(self._inputs):
            if self.last_messages is not None:
                source.keep_last(self.last_messages, number)
        self._output = Output(spec, code)
        self._publishers = Publishers(client, spec)
        secrets = build_secrets_provider(spec.secrets_provider, spec.secrets_provider_config)
        self._state = FunctionState(spec)
        self._context = InstanceContext(
            spec, code, self.stats, secrets, self._publishers, self._state, client, self._logger
        )
        self._context.inputs = self._inputs
        self._publishes = bool(function.sink.topic)
        self._has_own_memory = has_own_memory
        guarantee = function.processing_guarantees
        self._acks_on_receipt = guarantee is ProcessingGuarantees.ATMOST_ONCE and function.auto_ack
        self._acks_after_output = guarantee is ProcessingGuarantees.ATLEAST_ONCE and function.auto_ack
        self._resting = False
        self._stop_asked = False
        self._resize_asked = False
        self._grace_seconds = _FAILURE_GRACE_SECONDS
        self._failure: BaseException | None = None
        self._sent_count = 0
        self._answered_count = 0  # written by the client's thread alone
        self._wake = threading.Event()
        self._turn = threading.Lock()
        self._threads: list[threading.Thread] = []

    # Life

    def run(self) -> None:
        """Subscribe, handle messages, and return once stopped. ``InstanceFailed`` or ``LaunchError`` otherwise."""
        self._open_share()
        try:
            with self._log_topic():
                self._resume()
                self.running = True
                self._on_ready()
                self._watch()
        finally:
            self.running = False
            self._rest(self._grace_seconds)
            self._publishers.close()
            self._output.close()
            self._state.close()
            if self._share is not None:
                self._share.close()
            self._code.close()
        if isinstance(self._failure, OutOfMemory):
            raise self._failure
        if self._failure is not None:
            raise InstanceFailed(f"the instance failed: {_one_line(self._failure)}") from self._failure

    def stop(self, grace_seconds: float) -> None:
        """Ask ``run`` to return: finish the message at hand, wait for what the broker owes, then leave.

        All of that has ``grace_seconds``. Returns at once; allowed from any thread and more than once.
        """
        self._grace_seconds = grace_seconds
        self._stop_asked = True
        self._wake.set()

    def _open_share(self) -> None:
        self._share = self._output.share = self._publishers.share = self._budget.open()
        if self._share is not None:
            self._share.on_resize = self._ask_resize

    def _ask_resize(self) -> None:
        self._resize_asked = True
        self._wake.set()

    def _watch(self) -> None:
        while not (self._stop_asked or self._failure):
            self._wake.wait(_ROLL_SECONDS)
            self._wake.clear()
            self.stats.roll()
            if self._resize_asked:
                self._resize()

    def _resize(self) -> None:
        """Subscribe anew, so that what is prefetched fits the share. The message at hand is finished first.

        Never with a thread of the old subscription still at work: the function is called by one thread at a time.
        """
        self._resize_asked = False
        self._resting = True
        while any(
            thread.is_alive() and source.busy for thread, source in zip(self._threads, self._inputs, strict=True)
        ):
            if self._stop_asked or self._failure:
                return
            self._threads[0].join(0.005)
        self._rest(_ROLL_SECONDS)
        if not (self._stop_asked or self._failure):
            self._resume()

    def _resume(self) -> None:
        """Subscribe and let a thread for each input work."""
        self._resting = False
        for source in self._inputs:
            source.open(self._client, self._share, len(self._inputs))
        shared = len(self._inputs) > 1
        name = str(self.spec.key)
        self._threads = [
            threading.Thread(target=self._work, args=(source, shared), name=name, daemon=True)
            for source in self._inputs
        ]
        for thread in self._threads:
            thread.start()

    def _rest(self, seconds: float) -> None:
        """Let no new message in, wait for what is under way, and leave the subscription.

        After this no input is acknowledged any more. What was not finished in time stays unacknowledged, so
        that the broker gives it to another instance.
        """
        deadline = time.monotonic() + seconds
        self._resting = True
        while any(source.busy for source in self._inputs) and time.monotonic() < deadline:
            for thread in self._threads:
                thread.join(0.005)
        producers = [*self._publishers.producers(), *self._output.producers()]
        flush_all(producers, max(0.0, deadline - time.monotonic()))
        while self._answered_count < self._sent_count and time.monotonic() < deadline:
            time.sleep(0.001)  # the broker's answers are there, and the client's thread acknowledges for each
        for source in self._inputs:
            source.close()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()) + 0.1)

    def hung_threads(self) -> list[threading.Thread]:
        """The threads that still run user code although ``run`` has returned."""
        return [thread for thread in self._threads if thread.is_alive()]

    @contextlib.contextmanager
    def _log_topic(self) -> Any:
        topic = self.spec.function.log_topic
        if not topic:
            yield
            return
        handler = LogTopicHandler(topic, self._publishers, self._handles_here)
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)

    def _handles_here(self) -> bool:
        """Whether the calling thread is in the function right now."""
        current = threading.current_thread()
        return current in self._threads and self._inputs[self._threads.index(current)].busy

    # Messages

    def _work(self, source: Input, shared: bool) -> None:
        receive, handle = source.receive, self._handle
        if shared:
            handle = self._handle_in_turn
        try:
            while True:
                message = receive()
                source.busy = True
                if self._resting:
                    return
                handle(message, source)
                source.busy = False
                if self._resting:
                    return
        except PulsarException as error:
            if not self._resting:
                self._fail(error)
        except BaseException as error:
            self._fail(error)
        finally:
            source.busy = False

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._wake.set()

    def _handle_in_turn(self, message: Any, source: Input) -> None:
        """With more than one input the function is still called by one thread at a time."""
        with self._turn:
            if not self._resting:
                self._handle(message, source)

    def _handle(self, message: Any, source: Input) -> None:
        stats = self.stats
        stats.received += 1
        stats.last_invocation = time.time()
        self._context.message = message
        message_id = message.message_id()
        if source.note is not None:
            source.note(message, message_id)
        try:
            if self._acks_on_receipt:
                source.acknowledge(message_id)
            value = source.decode(message)
            started = time.perf_counter()
            try:
                output = self._process(value, self._context)
            except Exception as error:
                stats.record_user_exception(error)
                if self._has_own_memory and isinstance(error, MemoryError):
                    raise OutOfMemory from error
                self._logger.exception("the function raised an exception for message %s", message_id)
                source.refuse(message_id)
                return
            stats.latency_seconds += time.perf_counter() - started
            stats.latency_count += 1
            stats.processed += 1
            if output is not None and self._publishes:
                sent = partial(self._sent, source, message_id)
                self._output.send(self._client, output, message.topic_name(), message_id, sent)
                self._sent_count += 1
            elif self._acks_after_output:
                source.acknowledge(message_id)
        except OutOfMemory:
            raise
        except Exception as error:
            stats.record_system_exception(error)
            self._logger.exception("handling message %s failed", message_id)
            source.refuse(message_id)

    def _sent(self, source: Input, message_id: Any, result: Any, _: Any) -> None:
        """The broker has answered for a result. Runs on the client's thread, once per message."""
        pin_thread_state()
        try:
            if result == Result.Ok:
                if self._acks_after_output:
                    source.acknowledge(message_id)
            else:
                self.stats.record_system_exception(f"publishing the result of message {message_id} failed: {result}")
                source.refuse(message_id)
        except PulsarException:
            pass  # the subscription was left meanwhile; the message comes again
        finally:
            self._answered_count += 1


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
