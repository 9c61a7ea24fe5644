"""Who a caller is, told by a JSON Web Token: Apache Pulsar's ``AuthenticationProviderToken``."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from starlette.requests import Request

from pulsar_runtimes.model.errors import ConfigError, Problem

from .errors import UnauthenticatedError
from .tokens import DEFAULT_ALGORITHM, PUBLIC_ALGORITHMS, VerificationKey, public_key, read_claims, secret_key
from .watched_file import WatchedFile

PROVIDER = "org.apache.pulsar.broker.authentication.AuthenticationProviderToken"

BEARER = "Bearer "
_DATA_URL = re.compile(r"data:[^,]*?(;base64)?,(.*)", re.DOTALL)

Key = Callable[[], VerificationKey]


class TokenAuthentication:
    """Takes ``Authorization: Bearer`` with a token that the configured key has signed.

    The role is the claim ``tokenAuthClaim``, or the first member of it when it is a list.
    """

    method = "token"

    def __init__(
        self, key: Key, *, role_claim: str = "sub", audience_claim: str = "", audience: str = "", skew_seconds: int = 0
    ) -> None:
        """``key`` gives the key of now. Without ``audience_claim`` no audience is asked for."""
        self._key = key
        self._role_claim = role_claim
        self._audience_claim = audience_claim
        self._audience = audience
        self._skew_seconds = skew_seconds

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> TokenAuthentication:
        """As the worker's ``properties`` say. ``ConfigError`` with every problem; none shows a key.

        Source: ``AuthenticationProviderToken#initialize``.
        """
        return _Properties(properties).read()

    def role(self, request: Request) -> str:
        """The role of the caller. ``UnauthenticatedError`` when there is none to be had."""
        headers = request.headers.getlist("authorization")
        if not headers:
            raise UnauthenticatedError("no token")
        if len(headers) > 1 or not headers[0].startswith(BEARER):
            raise UnauthenticatedError("an authorization header that has no token")
        claims = read_claims(headers[0].removeprefix(BEARER), self._key(), self._skew_seconds)
        self._check_audience(claims)
        role = claims.get(self._role_claim)
        if isinstance(role, list):
            role = role[0] if role else None
        if not isinstance(role, str) or not role.strip():
            raise UnauthenticatedError("a token without a role")
        return role

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        if not self._audience_claim:
            return
        told = claims.get(self._audience_claim)
        if self._audience not in (told if isinstance(told, list) else [told]):
            raise UnauthenticatedError("a token for another audience")


class _Properties:
    """The settings of the provider, read once; the prefix stands before each name."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._properties = properties
        self._prefix = str(properties.get("tokenSettingPrefix") or "")
        self._problems: list[Problem] = []

    def read(self) -> TokenAuthentication:
        key = self._key()
        audience_claim, audience = self._text("tokenAudienceClaim"), self._text("tokenAudience")
        if bool(audience_claim) != bool(audience):
            lacking = "tokenAudience" if audience_claim else "tokenAudienceClaim"
            self._problem(lacking, "must be given, as the other half of the audience is; or neither")
        skew_seconds = self._seconds("tokenAllowedClockSkewSeconds")
        if self._problems or key is None:
            raise ConfigError(self._problems)
        return TokenAuthentication(
            key,
            role_claim=self._text("tokenAuthClaim") or "sub",
            audience_claim=audience_claim,
            audience=audience,
            skew_seconds=skew_seconds,
        )

    def _problem(self, name: str, message: str) -> None:
        self._problems.append(Problem(f"properties.{self._prefix}{name}", message))

    def _text(self, name: str) -> str:
        value = self._properties.get(f"{self._prefix}{name}")
        return "" if value is None else str(value).strip()

    def _seconds(self, name: str) -> int:
        text = self._text(name)
        if text and not text.isdecimal():
            self._problem(name, f"must be a whole number of seconds (got {text!r})")
            return 0
        return int(text or 0)

    def _key(self) -> Key | None:
        algorithm = self._text("tokenPublicAlg") or DEFAULT_ALGORITHM
        if secret := self._text("tokenSecretKey"):
            return self._load("tokenSecretKey", secret, secret_key)
        public = self._text("tokenPublicKey")
        if not public:
            self._problem("tokenSecretKey", "must be given, or tokenPublicKey: tokens are verified with it")
            return None
        if algorithm.upper() not in PUBLIC_ALGORITHMS:
            self._problem("tokenPublicAlg", f"must be one of {', '.join(PUBLIC_ALGORITHMS)} (got {algorithm!r})")
            return None
        return self._load("tokenPublicKey", public, lambda content: public_key(content, algorithm.upper()))

    def _load(self, name: str, value: str, parse: Callable[[bytes], VerificationKey]) -> Key | None:
        try:
            path = _path(value)
            if path is not None:
                return WatchedFile(path, parse).value
            key = parse(_content(value))
        except OSError as error:
            self._problem(name, f"{path}: cannot be read ({error.strerror})")
            return None
        except ValueError as error:
            self._problem(name, str(error))
            return None
        return lambda: key


def _path(value: str) -> Path | None:
    """The file that a key is in, ``None`` when the key itself is given. Source: ``AuthTokenUtils#readKeyFromUrl``."""
    if value.startswith("file:"):
        return Path(unquote(urlsplit(value).path))
    if value.startswith("data:"):
        return None
    try:
        return Path(value) if Path(value).exists() else None
    except OSError:  # a key is no name of a file, and may be too long for one
        return None


def _content(value: str) -> bytes:
    """The bytes of a key that is given as such. ``ValueError``, without the key, when it is neither of the forms."""
    try:
        if found := _DATA_URL.fullmatch(value):
            return b64decode("".join(found[2].split()), validate=True) if found[1] else unquote_to_bytes(found[2])
        return b64decode("".join(value.split()), validate=True)
    except binascii.Error:
        raise ValueError(
            "must be a file that exists, file:///path, data:;base64,... or base64 (it is none of these)"
        ) from None
