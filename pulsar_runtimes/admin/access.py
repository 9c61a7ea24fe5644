"""The one question before each request: may this caller do that?"""

from __future__ import annotations

import logging

from starlette.requests import Request

from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.names import path_problem

from .authentication import Authenticator, Caller, caller_of
from .authorization import Authorizer
from .errors import AUTHENTICATION_REQUIRED, NOT_AUTHORIZED, UnauthorizedError
from .operations import NEEDS, Need, Operation, Permission

_log = logging.getLogger(__name__)


class AccessControl:
    """Who may use the admin API. Without an ``authenticator`` everybody may do everything.

    With one, and without an ``authorizer``, everybody who is known may. ``open_metrics`` lets anybody read metrics.
    """

    def __init__(
        self,
        authenticator: Authenticator | None = None,
        authorizer: Authorizer | None = None,
        *,
        open_metrics: bool = False,
    ) -> None:
        if authorizer is not None and authenticator is None:
            raise ValueError("nobody can be authorized who is not known")
        self.authenticator = authenticator
        self.open_metrics = open_metrics
        self._authorizer = authorizer

    @classmethod
    def from_config(cls, config: WorkerConfig) -> AccessControl:
        """As the configuration says. Keys are read, nobody is asked. ``ConfigError`` with every problem."""
        problems: list[Problem] = []
        authenticator = authorizer = None
        if config.authorization_enabled and not config.authentication_enabled:
            message = "needs authenticationEnabled: who is not known cannot be authorized"
            problems.append(Problem("authorizationEnabled", message, config.file))
        if config.authentication_enabled:
            try:
                authenticator = Authenticator.from_config(config)
            except ConfigError as error:
                problems += error.problems
        if config.authorization_enabled:
            try:
                authorizer = Authorizer.from_config(config)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)
        return cls(authenticator, authorizer, open_metrics=not config.authenticate_metrics_endpoint)

    async def check(self, request: Request, operation: Operation, permission: Permission) -> None:
        """Return when the caller may do that.

        ``UnauthorizedError`` when not, ``PolicyLookupError`` when it cannot be found out.
        """
        need = NEEDS[operation]
        if self.authenticator is None or need is Need.NOTHING:
            return
        if need is Need.KNOWN_UNLESS_OPEN and self.open_metrics:
            return
        caller = caller_of(request)
        if caller is None:
            raise UnauthorizedError(AUTHENTICATION_REQUIRED)
        if not await self._may(caller, need, permission, request):
            _log.warning("%r for %r may not %s %s", caller.role, caller.original, operation.value, permission.value)
            raise UnauthorizedError(NOT_AUTHORIZED)

    async def _may(self, caller: Caller, need: Need, permission: Permission, request: Request) -> bool:
        authorizer = self._authorizer
        if authorizer is None or need in (Need.KNOWN, Need.KNOWN_UNLESS_OPEN):
            return True
        if authorizer.is_super_user(caller):
            return True
        place = _namespace(request, need)
        return place is not None and await authorizer.may_use(caller, permission, *place)


def _namespace(request: Request, need: Need) -> tuple[str, str] | None:
    """Tenant and namespace that the request is about; ``None`` when super users alone may do it."""
    if need is Need.NAMESPACE:
        parts = [request.path_params.get("tenant", ""), request.path_params.get("namespace", "")]
    elif need is Need.PACKAGE:
        parts = request.query_params.get("path", "").split("/")
        if len(parts) != 4:
            return None
    else:
        return None
    tenant, namespace = parts[0], parts[1]
    return None if path_problem(tenant) or path_problem(namespace) else (tenant, namespace)
