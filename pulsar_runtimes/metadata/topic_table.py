"""A table that is kept in a topic: read from its beginning, followed, and written by one worker at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic

from pulsar_runtimes.instance.client import (
    ProducerAccessMode,
    ProducerBusy,
    ProducerFenced,
    PulsarException,
    compression,
)
from pulsar_runtimes.model.errors import MetadataError, OutdatedError
from pulsar_runtimes.model.function import CompressionType

from .record_codec import Change, K, Record, RecordCodec, V
from .topic_reader import TopicReader, close_quietly, place

OPERATION_SECONDS = 30.0

_logger = logging.getLogger(__name__)


class TopicTable(Generic[K, V]):
    """The table in ``topic``; its records are those of ``codec``.

    First :meth:`load`, then either :meth:`follow` or :meth:`lead`, and from one to the other as leadership comes and
    goes. These, and :meth:`put` and :meth:`delete`, may be called from any thread and wait for each other; they end
    within a small multiple of ``seconds``. :meth:`snapshot` and :meth:`get` never wait.

    ``asks_end`` is ``BrokerLimits.last_message_id``. ``client`` stays the caller's.
    """

    def __init__(
        self,
        client: Any,
        topic: str,
        codec: RecordCodec[K, V],
        *,
        reader_name: str,
        producer_name: str,
        asks_end: bool = True,
        seconds: float = OPERATION_SECONDS,
    ) -> None:
        self.topic = topic
        self._client = client
        self._codec = codec
        self._reader_name = reader_name
        self._producer_name = producer_name
        self._asks_end = asks_end
        self._seconds = seconds

        self._control = threading.RLock()
        self._reader: TopicReader | None = None
        self._producer: Any = None
        self._is_leader = False
        self._last: Any = None
        self._is_closed = False
        self._follower: threading.Thread | None = None
        self._leave_off = threading.Event()
        self._on_change: Callable[[Change[K, V]], None] | None = None
        self._on_failure: Callable[[MetadataError], None] | None = None

        self._state = threading.Lock()
        self._entries: dict[K, V] = {}
        self._snapshot: Mapping[K, V] | None = None

    # What it holds

    def snapshot(self) -> Mapping[K, V]:
        """All of it at one moment; what is given never changes. Costs nothing while nothing changes."""
        with self._state:
            if self._snapshot is None:
                self._snapshot = MappingProxyType(dict(self._entries))
            return self._snapshot

    def get(self, key: K) -> V | None:
        """What ``key`` has now, if there is such a key."""
        with self._state:
            return self._entries.get(key)

    @property
    def leads(self) -> bool:
        """Whether this is the topic's writer, so far as is known here."""
        return self._is_leader

    # Reading

    def load(self) -> None:
        """Read the topic from beginning to end. ``MetadataError`` when that cannot be done; it may be tried again."""
        with self._control:
            self._ensure(self._reader is None and not self._is_leader, "loaded already")
            self._reader = self._open_reader()
            try:
                self._drain()
            except BaseException:
                self._close_reader()
                raise

    def follow(
        self, on_change: Callable[[Change[K, V]], None], on_failure: Callable[[MetadataError], None] | None = None
    ) -> None:
        """Take in what others write, on a thread of its own, from where :meth:`load` ended.

        ``on_change`` is called for each change that comes to be from now on, whoever made it: one after the other, on
        the thread that took it in, when :meth:`snapshot` has it. It stays in charge while the table leads.
        ``on_failure`` is called when following has ended by an error; what the table holds gets old from then on.
        """
        with self._control:
            self._ensure(self._reader is not None and self._follower is None, "not loaded, or followed already")
            self._on_change, self._on_failure = on_change, on_failure
            self._start_follower()

    # Writing

    def lead(self) -> None:
        """Become the topic's only writer, take in what others have written until then, and stop following.

        ``MetadataError`` when another worker writes, or when it cannot be done within the time; nothing has changed
        then, and it may be tried again. A broker without exclusive producers, as pulsar-lite, lets anybody in.
        """
        with self._control:
            self._ensure(self._reader is not None, "not loaded")
            producer = self._open_producer()
            try:
                self._stop_follower()
                self._drain()
            except BaseException:
                close_quietly(producer)
                if self._on_change is not None:
                    self._start_follower()
                raise
            self._producer, self._is_leader = producer, True
            self._close_reader()

    def resign(self) -> None:
        """Stop writing, and follow again if :meth:`follow` was called before. Nothing happens unless it leads.

        ``MetadataError`` when the topic cannot be read again; it does not lead any more then either.
        """
        with self._control:
            if not self._is_leader:
                return
            self._is_leader = False
            self._close_producer()
            self._reader = self._open_reader()
            if self._on_change is not None:
                self._start_follower()

    def put(self, key: K, value: V, version: int = 0) -> None:
        """Write ``value``. The broker has it when this returns, and so has the table.

        ``OutdatedError`` when what there is is not older; nothing was written. ``MetadataError`` when the table does
        not lead or the broker does not confirm in time: whether it was written shows at the next attempt.
        """
        self._write(Change(key, value, version))

    def delete(self, key: K, version: int = 0) -> None:
        """Write that ``key`` is gone; nothing is written when there is none. Errors as :meth:`put` has them."""
        self._write(Change(key, None, version))

    def close(self) -> None:
        """Stop writing and following. Idempotent; what was read stays readable."""
        with self._control:
            self._is_closed, self._is_leader = True, False
            self._stop_follower()
            self._close_reader()
            self._close_producer()

    # Within

    def _write(self, change: Change[K, V]) -> None:
        with self._control:
            self._ensure(self._is_leader, "another worker writes, or none does: this one does not lead")
            if self._producer is None:
                self._regain()
            known = self.get(change.key)
            if change.value is None and known is None:
                return
            if self._codec.is_outdated(change, known):
                raise OutdatedError(
                    f"{change.key}: version {change.version} is out of date; read it anew and try again"
                )
            record = self._codec.encode(change, known)
            try:
                self._last = self._send(record)
            except PulsarException as error:
                # It may have been written all the same, or be so later. A new producer shuts this one out.
                self._close_producer()
                raise MetadataError(f"{self.topic}: {change.key} was not confirmed: {error}") from None
            self._apply(change)

    def _send(self, record: Record) -> Any:
        options: dict[str, Any] = {"partition_key": record.key} if record.key else {}
        return self._producer.send(record.data, properties=dict(record.properties), **options)

    def _regain(self) -> None:
        """After a write without an answer: shut out what is still on its way, and see what has arrived."""
        producer = self._open_producer()
        try:
            self._reader = self._open_reader()
            self._drain()
        except BaseException:
            close_quietly(producer)
            raise
        finally:
            self._close_reader()
        self._producer = producer

    def _open_reader(self) -> TopicReader:
        return TopicReader(
            self._client,
            self.topic,
            self._reader_name,
            compacted=self._codec.compacted,
            asks_end=self._asks_end,
            after=self._last,
        )

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._last = self._reader.last
            self._reader.close()
            self._reader = None

    def _open_producer(self) -> Any:
        try:
            return self._client.create_producer(
                self.topic,
                self._producer_name,
                access_mode=ProducerAccessMode.Exclusive,
                compression_type=compression(CompressionType.LZ4),
                batching_enabled=False,
                send_timeout_millis=int(self._seconds * 1000),
            )
        except (ProducerBusy, ProducerFenced) as error:
            raise MetadataError(f"{self.topic}: another worker writes it: {error}") from None
        except PulsarException as error:
            raise MetadataError(f"{self.topic}: cannot be written: {error}") from None

    def _close_producer(self) -> None:
        if self._producer is not None:
            close_quietly(self._producer)
            self._producer = None

    def _drain(self) -> None:
        assert self._reader is not None
        for message in self._reader.drain(seconds=self._seconds):
            self._take_in(message)

    def _take_in(self, message: Any) -> None:
        record = Record(message.data(), message.partition_key(), message.properties())
        try:
            change = self._codec.decode(record)
        except MetadataError as error:
            _logger.error("%s: %s: passed over: %s", self.topic, place(message.message_id()), error)
            return
        if change is not None and not self._codec.is_outdated(change, self.get(change.key)):
            self._apply(change)

    def _apply(self, change: Change[K, V]) -> None:
        with self._state:
            if change.value is not None:
                self._entries[change.key] = change.value
            elif self._entries.pop(change.key, None) is None:
                return
            self._snapshot = None
        if self._on_change is not None:
            try:
                self._on_change(change)
            except Exception:
                _logger.exception("%s: %s: a change could not be acted on", self.topic, change.key)

    def _start_follower(self) -> None:
        self._leave_off = threading.Event()
        assert self._reader is not None
        arguments = (self._reader, self._leave_off)
        self._follower = threading.Thread(target=self._keep_following, args=arguments, name=self._reader_name)
        self._follower.daemon = True
        self._follower.start()

    def _keep_following(self, reader: TopicReader, leave_off: threading.Event) -> None:
        while not leave_off.is_set():
            try:
                message = reader.read()
            except MetadataError as error:
                if not leave_off.is_set() and self._on_failure is not None:
                    self._on_failure(error)
                return
            if message is not None:
                self._take_in(message)

    def _stop_follower(self) -> None:
        """When this returns the thread is gone. ``on_change`` must not wait for us: it would wait for ever."""
        if self._follower is not None:
            self._leave_off.set()
            if self._follower is not threading.current_thread():
                self._follower.join()
            self._follower = None

    def _ensure(self, holds: bool, problem: str) -> None:
        if self._is_closed or not holds:
            raise MetadataError(f"{self.topic}: {'closed' if self._is_closed else problem}")
