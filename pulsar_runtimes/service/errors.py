"""Why the function service did not do what it was asked for."""

from __future__ import annotations

from pulsar_runtimes.model.errors import PfrunError


class RefusedError(PfrunError):
    """The request is wrong, or would change nothing: asking again does not help."""


class NotFoundError(PfrunError):
    """What the request is about is not there."""


class NotReadyError(PfrunError):
    """Not now: something the request needs is being brought up, or did not answer in time."""
