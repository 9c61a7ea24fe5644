"""Everything that a topic holds, in order and once, and where it ends."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

from pulsar_runtimes.instance.client import MessageId, PulsarException, Timeout
from pulsar_runtimes.model.errors import MetadataError

END_PROPERTY = "pfrun-end"
"""Of a message that says nothing but how far the topic reached when it was written. Readers pass over it."""

_POLL_MILLIS = 250


class TopicReader:
    """Reads ``topic`` from its beginning, or from behind ``after``. One thread at a time.

    ``asks_end`` is false for a broker that cannot tell where a topic ends (``BrokerLimits.last_message_id``); a
    message is written there then, and read back. Such a broker, pulsar-lite, also repeats messages to a reader, old
    ones after newer ones: what is not behind the last message is passed over.

    ``MetadataError`` when the topic cannot be opened.
    """

    def __init__(
        self, client: Any, topic: str, name: str, *, compacted: bool, asks_end: bool, after: Any = None
    ) -> None:
        self._client = client
        self._topic = topic
        self._name = name
        self._asks_end = asks_end
        self.last: Any = after
        """The id of the last message that was read; ``None`` before the first."""
        try:
            self._reader = client.create_reader(
                topic,
                MessageId.earliest if after is None else after,
                reader_name=name,
                subscription_role_prefix=name,
                is_read_compacted=compacted,
            )
        except PulsarException as error:
            raise MetadataError(f"{topic}: cannot be read: {error}") from None

    def read(self) -> Any | None:
        """The next message; ``None`` when it has not come within a quarter of a second, or others have in its place.

        ``MetadataError`` when the topic cannot be read any more.
        """
        try:
            message = self._reader.read_next(_POLL_MILLIS)
        except Timeout:
            return None
        except PulsarException as error:
            raise MetadataError(f"{self._topic}: cannot be read: {error}") from None
        found = message.message_id()
        if self.last is not None and place(found) <= place(self.last):
            return None
        self.last = found
        return None if END_PROPERTY in message.properties() else message

    def drain(self, *, seconds: float) -> Iterator[Any]:
        """The messages from here to what is the end of the topic now.

        ``MetadataError`` when nothing comes for ``seconds`` although there is more.
        """
        return self._drain_to_end(seconds) if self._asks_end else self._drain_to_mark(seconds)

    def _drain_to_end(self, seconds: float) -> Iterator[Any]:
        deadline = time.monotonic() + seconds
        while self._has_more():
            before = self.last
            if (message := self.read()) is not None:
                yield message
            deadline = self._next_deadline(before, deadline, seconds)

    def _drain_to_mark(self, seconds: float) -> Iterator[Any]:
        mark = place(self._write_mark(seconds))
        deadline = time.monotonic() + seconds
        while self.last is None or place(self.last) < mark:
            before = self.last
            if (message := self.read()) is not None:
                yield message
            deadline = self._next_deadline(before, deadline, seconds)

    def _next_deadline(self, before: Any, deadline: float, seconds: float) -> float:
        """The same deadline as long as nothing new comes; ``MetadataError`` when it has passed."""
        now = time.monotonic()
        if self.last is not before:
            return now + seconds
        if now >= deadline:
            raise MetadataError(f"{self._topic}: nothing came for {seconds:g} s, although there is more")
        return deadline

    def _has_more(self) -> bool:
        try:
            return bool(self._reader.has_message_available())
        except PulsarException as error:
            raise MetadataError(f"{self._topic}: does not tell where it ends: {error}") from None

    def _write_mark(self, seconds: float) -> Any:
        """The id of a message that is written now, and that every reader passes over."""
        mark = str(uuid.uuid4())
        try:
            producer = self._client.create_producer(
                self._topic, f"{self._name}-end-{mark}", send_timeout_millis=int(seconds * 1000)
            )
            try:
                return producer.send(b"", properties={END_PROPERTY: mark})
            finally:
                producer.close()
        except PulsarException as error:
            raise MetadataError(f"{self._topic}: cannot be written: {error}") from None

    def close(self) -> None:
        """Let go of the topic; says nothing when the connection is gone already."""
        close_quietly(self._reader)


def place(message_id: Any) -> tuple[int, int, int]:
    """Where a message stands in its topic, for comparison."""
    return (message_id.ledger_id(), message_id.entry_id(), message_id.batch_index())


def close_quietly(opened: Any) -> None:
    """Close a reader, producer or consumer that may have lost its connection already."""
    try:
        opened.close()
    except PulsarException:
        return
