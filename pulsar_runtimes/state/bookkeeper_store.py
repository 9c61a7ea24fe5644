"""State in BookKeeper's table service, where functions of Apache Pulsar keep it.

Over the client that the reference's Python instance uses, ``apache-bookkeeper-client``, which comes with the extra
``bookkeeper``. Names of tables are those of the reference, so that functions of every language, and workers of either
kind, find the same state.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import grpc

from pulsar_runtimes.model.errors import StateError, StateKindError
from pulsar_runtimes.model.names import FunctionKey

from .base import StateStore, StateValue

T = TypeVar("T")

_SCHEME = "bk"
_CALL_SECONDS = 30.0
"""How long the table service has for one answer. The client by itself would wait for ever."""

_RANGES = 1
"""Parts of a new table. The reference's Python instance makes one, its Java instance four."""

_SEGMENT_BYTES = 128 << 20
_FOR_EVER = -1
_DEFAULT_PORT = 4181


class BookKeeperStateStore(StateStore):
    """A table for each function, made when it is first written to. Its connection is made by the first call.

    An increment whose answer was lost is asked for again, as in the reference: it may count twice.
    """

    scheme = _SCHEME

    def __init__(self, target: str) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._channel: Any = None
        self._client: Any = None
        self._tables: dict[FunctionKey, Any] = {}

    @classmethod
    def from_url(cls, url: str) -> Self:
        hosts = urlsplit(url).netloc.split(",")
        if not all(hosts):
            raise StateError(f"the state store must be bk://host:port (got {url!r})")
        if importlib.util.find_spec("bookkeeper") is None:
            raise StateError(
                f"the state store {url} needs apache-bookkeeper-client, which is not installed; "
                "install pulsar-runtimes[bookkeeper]"
            )
        return cls(",".join(host if ":" in host else f"{host}:{_DEFAULT_PORT}" for host in hosts))

    def get(self, function: FunctionKey, key: str) -> StateValue | None:
        table = self._table(function, create=False)
        if table is None:
            return None
        found = self._calling(function, lambda: table.get_str(key), absent=None)
        if found is None:
            return None
        return StateValue(bytes(found.value), int(found.version), bool(found.is_number))

    def put(self, function: FunctionKey, key: str, value: bytes) -> None:
        table = self._table(function)
        is_counter = f"the state {key!r} of {function} is a counter; delete it before it gets a value"
        self._calling(function, lambda: table.put(key.encode(), value), refused=is_counter)

    def increment(self, function: FunctionKey, key: str, amount: int) -> None:
        table = self._table(function)
        no_counter = f"the state {key!r} of {function} is no counter; delete it before it is counted"
        self._calling(function, lambda: table.incr_str(key, amount), refused=no_counter)

    def delete(self, function: FunctionKey, key: str) -> None:
        table = self._table(function, create=False)
        if table is not None:
            self._calling(function, lambda: table.delete_str(key), absent=None)

    def forget(self, function: FunctionKey) -> None:
        with self._lock:
            self._tables.pop(function, None)
        namespace = self._namespace(function)
        self._calling(function, lambda: namespace.delete(function.name), absent=None)

    def close(self) -> None:
        with self._lock:
            channel, self._channel = self._channel, None
            self._tables.clear()
        if channel is not None:
            channel.close()

    def _calling(self, function: FunctionKey, call: Callable[[], T], *, refused: str = "", **absent: T) -> T:
        """What ``call`` gives; ``absent``, if it is given, where the service says that something is not there."""
        errors = self._open().errors
        try:
            return call()
        except (errors.KeyNotFoundError, errors.StreamNotFoundError, errors.NamespaceNotFoundError) as error:
            if "absent" in absent:
                return absent["absent"]
            raise self._failure(function, error) from error
        except errors.BadRequest as error:
            raise (StateKindError(refused) if refused else self._failure(function, error)) from error
        except (errors.BKError, grpc.RpcError) as error:
            raise self._failure(function, error) from error

    def _failure(self, function: FunctionKey, error: Exception) -> StateError:
        cause = getattr(error, "cause", None) or error
        return StateError(f"the state of {function} in bk://{self._target}: {type(cause).__name__}: {cause}")

    def _open(self) -> Any:
        """The client's modules, and the connection that all calls share."""
        with self._lock:
            if self._client is None:
                self._client = _load_client()
            if self._channel is None:
                self._channel = grpc.intercept_channel(grpc.insecure_channel(self._target), _Deadline())
            return self._client

    def _namespace(self, function: FunctionKey) -> Any:
        client = self._open()
        return client.Namespace(client.RootRangeServiceStub(self._channel), namespace_of(function))

    def _table(self, function: FunctionKey, *, create: bool = True) -> Any:
        """The function's table; ``None`` when there is none and none is to be made."""
        table = self._tables.get(function)
        if table is not None:
            return table
        client = self._open()
        namespace = self._namespace(function)
        properties = self._calling(function, lambda: namespace.get(function.name), absent=None)
        if properties is None:
            if not create:
                return None
            properties = self._calling(function, lambda: self._create_table(namespace, function))
        with self._lock:
            return self._tables.setdefault(function, client.Table(self._channel, properties))

    def _create_table(self, namespace: Any, function: FunctionKey) -> Any:
        """Make the table, and its namespace if need be. Others may do so at the same time."""
        client = self._open()
        try:
            return namespace.create(function.name, _table_configuration(client.stream))
        except client.errors.StreamExistsError:
            return namespace.get(function.name)
        except client.errors.NamespaceNotFoundError:
            pass
        try:
            namespaces = client.Namespaces(client.RootRangeServiceStub(self._channel))
            namespaces.create(namespace_of(function))
        except client.errors.NamespaceExistsError:
            pass
        try:
            return namespace.create(function.name, _table_configuration(client.stream))
        except client.errors.StreamExistsError:
            return namespace.get(function.name)


def _load_client() -> Any:
    """The parts of the client library, which is large and not always installed."""
    from bookkeeper.admin.namespace import Namespace
    from bookkeeper.admin.namespaces import Namespaces
    from bookkeeper.common import exceptions
    from bookkeeper.kv.table import Table
    from bookkeeper.proto import stream_pb2
    from bookkeeper.proto.storage_pb2_grpc import RootRangeServiceStub

    return SimpleNamespace(
        Namespace=Namespace,
        Namespaces=Namespaces,
        RootRangeServiceStub=RootRangeServiceStub,
        Table=Table,
        errors=exceptions,
        stream=stream_pb2,
    )


def namespace_of(function: FunctionKey) -> str:
    """The table service's namespace for a function, as the reference names it."""
    return f"{function.tenant}_{function.namespace}".replace("-", "_")


def _table_configuration(stream: Any) -> Any:
    """That of the reference's Python instance."""
    return stream.StreamConfiguration(
        key_type=stream.HASH,
        min_num_ranges=_RANGES,
        initial_num_ranges=_RANGES,
        split_policy=stream.SplitPolicy(
            type=stream.SplitPolicyType.values()[0],
            fixed_range_policy=stream.FixedRangeSplitPolicy(num_ranges=2),
        ),
        rolling_policy=stream.SegmentRollingPolicy(
            size_policy=stream.SizeBasedSegmentRollingPolicy(max_segment_size=_SEGMENT_BYTES)
        ),
        retention_policy=stream.RetentionPolicy(
            time_policy=stream.TimeBasedRetentionPolicy(retention_minutes=_FOR_EVER)
        ),
        storage_type=stream.TABLE,
    )


class _Deadline(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    """Gives each call an end."""

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(details._replace(timeout=_CALL_SECONDS), request)
