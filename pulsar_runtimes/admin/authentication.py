"""Who calls: one of the configured providers says so, or nobody is let in.

Source: ``AuthenticationService#authenticateHttpRequest`` and ``AuthenticationFilter`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.errors import ConfigError, Problem

from . import tls_authentication, token_authentication
from .answers import error_answer
from .errors import AUTHENTICATION_REQUIRED, UnauthenticatedError
from .tls_authentication import TlsAuthentication
from .token_authentication import TokenAuthentication

_METHOD_HEADER = "x-pulsar-auth-method-name"
_ORIGINAL_HEADER = "x-original-principal"
_CALLER = "pfrun.caller"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``original`` is for whom, as a proxy says it, or empty."""

    role: str
    original: str = ""


class Authentication(Protocol):
    """One way to tell who calls. ``method`` is its name in the header ``X-Pulsar-Auth-Method-Name``."""

    @property
    def method(self) -> str: ...

    def role(self, request: Request) -> str:
        """The role of the caller. ``UnauthenticatedError`` when it cannot be told."""


class Authenticator:
    """Asks the providers in their order; the first that knows the caller counts."""

    def __init__(self, providers: Sequence[Authentication]) -> None:
        self._providers = tuple(providers)

    @classmethod
    def from_config(cls, config: WorkerConfig) -> Authenticator:
        """With the providers of the configuration. ``ConfigError`` with every problem."""
        problems: list[Problem] = []
        providers: list[Authentication] = []
        for name in dict.fromkeys(name.strip() for name in config.authentication_providers if name.strip()):
            if name == token_authentication.PROVIDER:
                try:
                    providers.append(TokenAuthentication.from_properties(config.properties))
                except ConfigError as error:
                    problems += [replace(problem, file=config.file) for problem in error.problems]
            elif name == tls_authentication.PROVIDER:
                providers.append(TlsAuthentication())
            else:
                known = f"{token_authentication.PROVIDER} and {tls_authentication.PROVIDER}"
                problems.append(Problem("authenticationProviders", f"pfrun has {known} only (got {name})", config.file))
        if not providers and not problems:
            problems.append(
                Problem("authenticationProviders", "must name one, as authenticationEnabled is true", config.file)
            )
        if problems:
            raise ConfigError(problems)
        return cls(providers)

    def caller(self, request: Request) -> Caller:
        """Who sends ``request``. ``UnauthenticatedError`` when no provider knows; it says what each of them missed."""
        originals = [value.strip() for value in request.headers.getlist(_ORIGINAL_HEADER)]
        if len(originals) > 1:
            raise UnauthenticatedError("more than one original principal")
        failures = []
        for provider in self._asked(request):
            try:
                return Caller(provider.role(request), *originals)
            except UnauthenticatedError as error:
                failures.append(str(error))
        raise UnauthenticatedError("; ".join(failures) or "an authentication method that is not configured")

    def _asked(self, request: Request) -> Sequence[Authentication]:
        """All providers, or the one that the caller asks for."""
        wanted = request.headers.get(_METHOD_HEADER)
        return [provider for provider in self._providers if wanted in (None, provider.method)]


class AuthenticationGate:
    """In front of the whole application: nobody comes past it unknown, but to the paths in ``open_paths``."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator, open_paths: Collection[str]) -> None:
        self._app = app
        self._authenticator = authenticator
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            request = Request(scope)
            try:
                scope[_CALLER] = self._authenticator.caller(request)
            except UnauthenticatedError as error:
                peer = request.client.host if request.client is not None else "somebody"
                _log.warning("%s: %r refused, as it has %s", peer, scope["path"], error)
                await error_answer(401, AUTHENTICATION_REQUIRED)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def token_of(request: Request) -> str:
    """The token with which the caller let the gate know him, for a function of his to have; blank where he had none.

    A proxy's token is never given away: it is the proxy's, whoever the function is for.
    """
    caller = caller_of(request)
    header = str(request.headers.get("authorization") or "")
    if caller is None or caller.original or not header.startswith(token_authentication.BEARER):
        return ""
    return header.removeprefix(token_authentication.BEARER)


def caller_of(request: Request) -> Caller | None:
    """Whom the gate has let in; ``None`` when it was not asked."""
    caller: Caller | None = request.scope.get(_CALLER)
    return caller
