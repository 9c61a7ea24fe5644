"""A TCP port of 127.0.0.1 that is kept for a server while the server is down."""

from __future__ import annotations

import errno
import socket

LOOPBACK = "127.0.0.1"


class LoopbackPort:
    """A port that the kernel gives to nobody who does not ask for it by number.

    It is held by a socket that is bound and never listens. A server with SO_REUSEADDR can bind beside it and
    listen, as often as it likes; ephemeral ports and port 0 pass it by. That also keeps a connection attempt to
    the silent port from being given the port itself as its source and so connecting to itself.
    """

    def __init__(self, preferred: int | None = None) -> None:
        """Hold ``preferred``, or any free port. ``OSError`` (``EADDRINUSE``) when ``preferred`` is taken."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((LOOPBACK, preferred or 0))
        except BaseException:
            self._socket.close()
            raise
        self.number: int = self._socket.getsockname()[1]

    @classmethod
    def prefer(cls, preferred: int | None) -> LoopbackPort:
        """Hold ``preferred`` when it is free, else any port."""
        try:
            return cls(preferred)
        except OSError as error:
            # EACCES: a port below 1024, which only a tampered or very old record names.
            if preferred is None or error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return cls()

    def accepts(self, timeout_seconds: float) -> bool:
        """Whether a server accepts connections on the port now."""
        try:
            with socket.create_connection((LOOPBACK, self.number), timeout_seconds):
                return True
        except OSError:
            return False

    def release(self) -> None:
        """Let the port go. Idempotent; a server that listens on it is not disturbed."""
        self._socket.close()
