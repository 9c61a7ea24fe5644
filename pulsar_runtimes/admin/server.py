"""The HTTP server: one thread with a loop of its own, so that it fits into anybody's program."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from types import TracebackType
from typing import Any, Self

from pulsar_runtimes.model.errors import PfrunError

from .server_tls import ServerTls
from .tls_authentication import CERTIFICATE_EXTENSION

_START_SECONDS = 10.0


class AdminServer:
    """Serves an ASGI application on ``host`` and ``port``; port 0 takes a free one. With ``tls`` it is encrypted.

    :meth:`start` answers when connections are accepted, :meth:`stop` when the last request is answered or its
    ``grace_seconds`` are over. It touches no signal.
    """

    def __init__(self, app: Any, host: str, port: int, *, grace_seconds: int = 5, tls: ServerTls | None = None) -> None:
        self.host = host
        self.port = port
        self._app = app
        self._grace_seconds = grace_seconds
        self._tls = tls
        self._server: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """``PfrunError`` when the port cannot be had."""
        import uvicorn

        listener = self._listen()
        config = uvicorn.Config(
            self._app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            http=_telling_certificates() if self._tls is not None and self._tls.asks_clients else "auto",
            timeout_graceful_shutdown=self._grace_seconds,
        )
        config.load()
        if self._tls is not None:
            config.ssl = self._tls.context()
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="admin", daemon=True)
        self._thread.start()

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits 40 ms for an ACK.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self.port))
            listener.listen(2048)
        except OSError as error:
            listener.close()
            raise PfrunError(f"{self.host}:{self.port}: the admin API cannot listen there: {error.strerror}") from None
        self.port = listener.getsockname()[1]
        return listener

    def stop(self) -> None:
        """Idempotent."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(self._grace_seconds + _START_SECONDS)
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(RuntimeError):
            self.stop()


def _telling_certificates() -> type[asyncio.Protocol]:
    """The server's protocol, and requests that know the verified certificate of their connection."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class TellingProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            certificate = transport.get_extra_info("ssl_object").getpeercert()
            if certificate:
                self.app = _telling(self.app, certificate)

    return TellingProtocol


def _telling(app: Any, certificate: Any) -> Any:
    async def told(scope: Any, receive: Any, send: Any) -> None:
        extensions = {**scope.get("extensions", {}), CERTIFICATE_EXTENSION: certificate}
        await app({**scope, "extensions": extensions}, receive, send)

    return told
