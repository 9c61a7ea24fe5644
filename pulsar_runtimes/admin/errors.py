"""Why the admin API turned a caller away."""

from __future__ import annotations

from pulsar_runtimes.model.errors import PfrunError

AUTHENTICATION_REQUIRED = "Authentication required"
NOT_AUTHORIZED = "Client is not authorized to perform operation"


class UnauthenticatedError(PfrunError):
    """Nobody knows who the caller is. The text is for the worker's log: it says the kind of failure, never a token."""


class UnauthorizedError(PfrunError):
    """The caller may not do this, or may not be known at all. The text is what the caller is told."""


class PolicyLookupError(PfrunError):
    """Whether the caller may do this cannot be found out now, so it is not done."""
