"""Which worker runs which instance, as the assignment topic has it. Source: ``SchedulerManager``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.names import FunctionKey, InstanceKey

from .messages import decode_assignment, encode_assignment
from .record_codec import Change, Record, RecordCodec
from .records import Assignment
from .topic_table import OPERATION_SECONDS, TopicTable

OnChange = Callable[[InstanceKey, Assignment | None], None]
OnFailure = Callable[[MetadataError], None]


class AssignmentTable:
    """The assignments in ``topic``, which is read compacted. How it is used, which thread may do what, and what
    ``seconds`` are: :class:`~pulsar_runtimes.metadata.topic_table.TopicTable`.
    """

    def __init__(
        self,
        client: Any,
        topic: str,
        *,
        worker_id: str,
        asks_end: bool = True,
        seconds: float = OPERATION_SECONDS,
    ) -> None:
        self._table = TopicTable[InstanceKey, Assignment](
            client,
            topic,
            _AssignmentCodec(),
            reader_name=f"{worker_id}-function-assignment-tailer",
            producer_name=f"{worker_id}-scheduler-manager",
            asks_end=asks_end,
            seconds=seconds,
        )

    @property
    def topic(self) -> str:
        return self._table.topic

    @property
    def leads(self) -> bool:
        """Whether assignments are written here."""
        return self._table.leads

    def assignments(self) -> Mapping[InstanceKey, Assignment]:
        """All of them at one moment; what is given never changes. Costs nothing while nothing changes."""
        return self._table.snapshot()

    def get(self, key: InstanceKey) -> Assignment | None:
        """Who is to run that instance; ``None`` when nobody is."""
        return self._table.get(key)

    def load(self) -> None:
        """Read the topic to its end. ``MetadataError`` when that cannot be done."""
        self._table.load()

    def follow(self, on_change: OnChange, on_failure: OnFailure | None = None) -> None:
        """Take in what others write. ``on_change`` gets ``None`` for an instance that nobody is to run any more.

        It must not wait for another thread that calls ``lead``, ``resign`` or ``close`` of this table.
        """
        self._table.follow(lambda change: on_change(change.key, change.value), on_failure)

    def lead(self) -> None:
        """Become the only worker that writes. ``MetadataError`` when another one does, to be tried again."""
        self._table.lead()

    def resign(self) -> None:
        """Leave the writing to others, and follow them."""
        self._table.resign()

    def put(self, assignment: Assignment) -> None:
        """Assign an instance; the broker has it when this returns.

        ``MetadataError`` when this worker does not lead, or the broker does not confirm it.
        """
        self._table.put(assignment.key, assignment)

    def delete(self, key: InstanceKey) -> None:
        """Have nobody run an instance. One that nobody runs is no error. Errors as :meth:`put` has them."""
        self._table.delete(key)

    def close(self) -> None:
        """Stop writing and following. Idempotent; what was read stays readable."""
        self._table.close()


class _AssignmentCodec(RecordCodec[InstanceKey, Assignment]):
    compacted = True

    def encode(self, change: Change[InstanceKey, Assignment], known: Assignment | None) -> Record:
        return Record(b"" if change.value is None else encode_assignment(change.value), str(change.key))

    def decode(self, record: Record) -> Change[InstanceKey, Assignment] | None:
        if record.data:
            assignment = decode_assignment(record.data)
            return Change(assignment.key, assignment)
        function, _, number = record.key.rpartition(":")
        try:
            return Change(InstanceKey(FunctionKey.parse(function), int(number)), None)
        except ValueError as error:
            raise MetadataError(f"an empty record without an instance's name: {error}") from None
