"""Why a worker did not do what a client asked for."""

from __future__ import annotations

from pulsar_runtimes.model.errors import PfrunError


class WorkerError(PfrunError):
    """The worker is away, refuses whoever asks, or failed. Asking again later may help."""


class RequestError(WorkerError):
    """The request itself is wrong; asking again does not help. The text has the worker's reason."""


class MissingError(RequestError):
    """What the request is about is not there."""
