"""The registered functions, as the metadata topic has them. Source: ``FunctionMetaDataManager``."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.registration import Registration

from .messages import decode_registration, decode_request, encode_registration, encode_request
from .record_codec import VERSION_PROPERTY, Change, Record, RecordCodec
from .records import RequestKind, ServiceRequest, UnreadableRegistration
from .topic_table import OPERATION_SECONDS, TopicTable

Registered = Registration | UnreadableRegistration

OnChange = Callable[[FunctionKey, Registration | None], None]
OnFailure = Callable[[MetadataError], None]


class RegistrationTable:
    """The registered functions in ``topic``. How it is used, which thread may do what, and what ``seconds`` are:
    :class:`~pulsar_runtimes.metadata.topic_table.TopicTable`.

    ``compacted`` is ``useCompactedMetadataTopic``: the format of the records, which all workers must agree on.
    """

    def __init__(
        self,
        client: Any,
        topic: str,
        *,
        worker_id: str,
        compacted: bool = False,
        asks_end: bool = True,
        seconds: float = OPERATION_SECONDS,
    ) -> None:
        self._table = TopicTable[FunctionKey, Registered](
            client,
            topic,
            _Compacted() if compacted else _Requests(worker_id),
            reader_name=f"{worker_id}-function-metadata-tailer",
            producer_name=f"{worker_id}-leader",
            asks_end=asks_end,
            seconds=seconds,
        )
        self._readable: tuple[Mapping[FunctionKey, Registered], Mapping[FunctionKey, Registration]] | None = None

    @property
    def topic(self) -> str:
        return self._table.topic

    @property
    def leads(self) -> bool:
        """Whether changes are written here."""
        return self._table.leads

    def registrations(self) -> Mapping[FunctionKey, Registration]:
        """All functions at one moment; what is given never changes. Costs nothing while nothing changes."""
        everything = self._table.snapshot()
        seen = self._readable
        if seen is None or seen[0] is not everything:
            readable = {key: each for key, each in everything.items() if isinstance(each, Registration)}
            seen = self._readable = (everything, MappingProxyType(readable))
        return seen[1]

    def unreadable(self) -> Mapping[FunctionKey, UnreadableRegistration]:
        """The functions that somebody registered and this version cannot read; they do not run here."""
        everything = self._table.snapshot().items()
        return {key: each for key, each in everything if isinstance(each, UnreadableRegistration)}

    def get(self, key: FunctionKey) -> Registration | None:
        """The function of that name; ``None`` when there is none that can be read."""
        found = self._table.get(key)
        return found if isinstance(found, Registration) else None

    def load(self) -> None:
        """Read the topic to its end. ``MetadataError`` when that cannot be done."""
        self._table.load()

    def follow(self, on_change: OnChange, on_failure: OnFailure | None = None) -> None:
        """Take in what others write. ``on_change`` gets ``None`` for a function that is gone or cannot be read.

        It must not wait for another thread that calls ``lead``, ``resign`` or ``close`` of this table.
        """

        def tell(change: Change[FunctionKey, Registered]) -> None:
            on_change(change.key, change.value if isinstance(change.value, Registration) else None)

        self._table.follow(tell, on_failure)

    def lead(self) -> None:
        """Become the only worker that writes. ``MetadataError`` when another one does, to be tried again."""
        self._table.lead()

    def resign(self) -> None:
        """Leave the writing to others, and follow them."""
        self._table.resign()

    def put(self, registration: Registration) -> None:
        """Register ``registration``; the broker has it when this returns.

        ``OutdatedError`` when its version is not above that of a function of the same name. ``MetadataError`` when
        this worker does not lead, or the broker does not confirm it.
        """
        self._table.put(registration.key, registration, registration.version)

    def delete(self, key: FunctionKey, version: int) -> None:
        """Remove a function; ``version`` must be above that of the function. A function that is not there is no error.

        Errors as :meth:`put` has them.
        """
        self._table.delete(key, version)

    def close(self) -> None:
        """Stop writing and following. Idempotent; what was read stays readable."""
        self._table.close()


class _RegistrationCodec(RecordCodec[FunctionKey, Registered]):
    def is_outdated(self, change: Change[FunctionKey, Registered], known: Registered | None) -> bool:
        return known is not None and change.version <= known.version


class _Requests(_RegistrationCodec):
    """Each record is a request to change something; the topic keeps all of them."""

    def __init__(self, worker_id: str) -> None:
        self._worker_id = worker_id

    def encode(self, change: Change[FunctionKey, Registered], known: Registered | None) -> Record:
        kind = RequestKind.DELETE if change.value is None else RequestKind.UPDATE
        registration = change.value or _last_of(change, known)
        request = ServiceRequest(kind, registration, str(uuid.uuid4()), self._worker_id)
        return Record(encode_request(request), properties=_properties(change))

    def decode(self, record: Record) -> Change[FunctionKey, Registered] | None:
        request = decode_request(record.data)
        if request.kind is RequestKind.INITIALIZE:
            return None
        registration = request.registration
        deleted = request.kind is RequestKind.DELETE
        return Change(registration.key, None if deleted else registration, registration.version)


class _Compacted(_RegistrationCodec):
    """The last record of each function's name is what it is; an empty one says that it is gone."""

    compacted = True

    def encode(self, change: Change[FunctionKey, Registered], known: Registered | None) -> Record:
        if isinstance(change.value, UnreadableRegistration):
            raise MetadataError(f"{change.key}: cannot be written: {change.value.reason}")
        data = b"" if change.value is None else encode_registration(change.value)
        return Record(data, str(change.key), _properties(change))

    def decode(self, record: Record) -> Change[FunctionKey, Registered] | None:
        if record.data:
            registration = decode_registration(record.data)
            return Change(registration.key, registration, registration.version)
        try:
            key = FunctionKey.parse(record.key)
            return Change(key, None, int(record.properties.get(VERSION_PROPERTY, "")))
        except ValueError as error:
            raise MetadataError(f"an empty record without a function's name and version: {error}") from None


def _properties(change: Change[FunctionKey, Registered]) -> Mapping[str, str]:
    return {VERSION_PROPERTY: str(change.version)}


def _last_of(change: Change[FunctionKey, Registered], known: Registered | None) -> Registration:
    """What a request to delete carries: the function itself, or its name where nothing else can be read."""
    if isinstance(known, Registration):
        return replace(known, version=change.version)
    key = change.key
    return Registration(FunctionSpec(key.tenant, key.namespace, key.name), version=change.version)
