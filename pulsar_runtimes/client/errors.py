"""Why a worker did not do what a client asked for."""

from __future__ import annotations

from pulsar_runtimes.model.errors import PfrunError


class WorkerError(PfrunError):
    """The worker is away, refuses whoever asks, or failed. Asking again later may help.

    ``status`` is that of the answer, 0 without one; ``is_reasoned`` tells whether the worker itself gave the reason,
    and not the web server that it runs in.
    """

    def __init__(self, text: str, status: int = 0, *, is_reasoned: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.is_reasoned = is_reasoned


class RequestError(WorkerError):
    """The request itself is wrong; asking again does not help. The text has the worker's reason."""


class MissingError(RequestError):
    """What the request is about is not there."""
