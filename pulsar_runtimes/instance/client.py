"""The one door to the Pulsar client library.

Beside connecting, it has what the message path needs of the library's C++ core without the Python wrappers
around it: :data:`MessageBuilder` and the raw objects inside ``pulsar.Consumer`` and ``pulsar.Producer``.
"""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from typing import Any

import _pulsar
import pulsar
from pulsar import schema
from pulsar.functions.serde import IdentitySerDe

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import ClientAuth, CompressionType, InstanceSpec

Context = pulsar.Context
"""The base of what user code sees as its context (the client library's own class)."""
MessageBuilder = _pulsar.MessageBuilder
Result = _pulsar.Result
Timeout = pulsar.Timeout
PulsarException = pulsar.PulsarException
ConsumerType = pulsar.ConsumerType
InitialPosition = pulsar.InitialPosition
BatchingType = pulsar.BatchingType
MessageId = pulsar.MessageId
ProducerAccessMode = pulsar.ProducerAccessMode
ProducerBusy = pulsar.ProducerBusy
ProducerFenced = pulsar.ProducerFenced

__all__ = [
    "BatchingType",
    "ConsumerType",
    "Context",
    "IdentitySerDe",
    "InitialPosition",
    "MessageBuilder",
    "MessageId",
    "ProducerAccessMode",
    "ProducerBusy",
    "ProducerFenced",
    "PulsarException",
    "Result",
    "Timeout",
    "compression",
    "connect",
    "open_client",
    "pin_thread_state",
    "schema",
]

_COMPRESSION = {
    CompressionType.LZ4: pulsar.CompressionType.LZ4,
    CompressionType.NONE: pulsar.CompressionType.NONE,
    CompressionType.ZLIB: pulsar.CompressionType.ZLib,
    CompressionType.ZSTD: pulsar.CompressionType.ZSTD,
    CompressionType.SNAPPY: pulsar.CompressionType.SNAPPY,
}

_NUMBERING_TOPIC = "non-persistent://public/default/pfrun-consumer-numbers"

_TOKEN_PLUGINS = ("org.apache.pulsar.client.impl.auth.AuthenticationToken", "token")
_TLS_PLUGINS = ("org.apache.pulsar.client.impl.auth.AuthenticationTls", "tls")


def compression(kind: CompressionType) -> Any:
    """The client library's word for a compression type."""
    return _COMPRESSION[kind]


def connect(spec: InstanceSpec, *, log_file: Path | None = None) -> pulsar.Client:
    """A client as ``spec`` asks for it, as :func:`open_client` makes it."""
    client = open_client(spec.service_url, spec.auth, log_file=log_file)
    try:
        _advance_consumer_numbers(client, spec)
    except (ValueError, RuntimeError, PulsarException) as error:
        raise _unusable(spec.service_url, error) from None
    return client


def open_client(service_url: str, auth: ClientAuth | None = None, *, log_file: Path | None = None) -> pulsar.Client:
    """A client of the brokers at ``service_url``: no connection is made yet. ``LaunchError`` for unusable credentials.

    Timeouts and thread counts are those of the reference's Python instance. The library's own log lines go to
    ``log_file``, or to standard output when there is none.
    """
    level = pulsar.LoggerLevel.Warn
    options: dict[str, Any] = {
        "operation_timeout_seconds": 30,
        "io_threads": 1,
        "message_listener_threads": 1,
        "logger": pulsar.FileLogger(level, str(log_file)) if log_file else pulsar.ConsoleLogger(level),
    }
    if auth is not None:
        options |= _auth_options(auth)
    try:
        return pulsar.Client(service_url, **options)
    except (ValueError, RuntimeError, PulsarException) as error:
        raise _unusable(service_url, error) from None


def _unusable(service_url: str, error: Exception) -> LaunchError:
    return LaunchError(f"the Pulsar client cannot be made for {service_url!r}: {error}")


def _advance_consumer_numbers(client: pulsar.Client, spec: InstanceSpec) -> None:
    """Let the client's count of consumers start at ``first_consumer_number``.

    The library offers no way to set it, so as many consumers are opened, all at once, on a topic that keeps
    nothing, and closed again. That costs about a tenth of a millisecond each.
    """
    opened: list[Any] = []
    answered = threading.Semaphore(0)

    def done(result: Any, consumer: Any) -> None:
        if result == Result.Ok:
            opened.append(consumer)
        answered.release()

    settings = _pulsar.ConsumerConfiguration()
    settings.receiver_queue_size(1)
    for number in range(spec.first_consumer_number):
        name = f"{spec.function_id}-{spec.instance_id}-{number}"
        client._client.subscribe_async(_NUMBERING_TOPIC, name, settings, done)
    for _ in range(spec.first_consumer_number):
        answered.acquire()
    for consumer in opened:
        consumer.close()


def _auth_options(auth: ClientAuth) -> dict[str, Any]:
    options: dict[str, Any] = {
        "tls_allow_insecure_connection": auth.tls_allow_insecure,
        "tls_validate_hostname": auth.tls_hostname_verification,
    }
    if auth.tls_trust_certs_file:
        options["tls_trust_certs_file_path"] = auth.tls_trust_certs_file
    if auth.plugin.strip() and auth.params.strip():
        options["authentication"] = _authentication(auth.plugin, auth.params)
    return options


def _authentication(plugin: str, params: str) -> Any:
    if plugin in _TOKEN_PLUGINS:
        if params.startswith("file://"):
            path = Path(params.removeprefix("file://"))
            return pulsar.AuthenticationToken(lambda: path.read_text().strip())
        return pulsar.AuthenticationToken(params.removeprefix("token:"))
    if plugin in _TLS_PLUGINS:
        parts = dict(part.split(":", 1) for part in params.split(",") if ":" in part)
        try:
            return pulsar.AuthenticationTLS(parts["tlsCertFile"], parts["tlsKeyFile"])
        except KeyError as error:
            raise LaunchError(f"the TLS authentication parameters lack {error}") from None
    return pulsar.Authentication(plugin, params)


_pinned: set[int] = set()


def pin_thread_state() -> None:
    """Keep the interpreter's state of the calling thread until the thread ends. Cheap when called again.

    A callback comes on a thread of the C++ client, which Python does not know: the binding makes a thread
    state for it and throws it away after each single call, with an mmap and munmap of the frame stack every
    time. Holding one reference more costs nothing and takes a third off the CPU time of a message.
    """
    thread = threading.get_ident()
    if thread not in _pinned:
        _pinned.add(thread)
        ctypes.pythonapi.PyGILState_Ensure()
