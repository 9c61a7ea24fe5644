"""Credentials of a function's own on Kubernetes: what its pods mount, and what instances are told.

Source: ``KubernetesSecretsTokenAuthProvider`` and ``KubernetesServiceAccountTokenAuthProvider`` of Apache Pulsar
4.0.8. Pure: Secrets are made here as data, and put on a cluster by others.
"""

from __future__ import annotations

import abc
import base64
import re
from dataclasses import dataclass, field, replace
from typing import Any

from pulsar_runtimes.config.section import MISSING, Section
from pulsar_runtimes.config.worker import TOKEN_PLUGIN
from pulsar_runtimes.model.function import ClientAuth

DIRECTORY = "/etc/auth"
TOKEN_PARAMS = f"file://{DIRECTORY}/token"

DEFAULT_EXPIRATION_SECONDS = 3600
LEAST_EXPIRATION_SECONDS = 600
"""Kubernetes gives no token for less."""

_MOST_EXPIRATION_SECONDS = 1 << 32
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_EXPIRATION = "serviceAccountTokenExpirationSeconds"
_AUDIENCE = "serviceAccountTokenAudience"
_TRUST_SECRET = "brokerClientTrustCertsSecretName"


@dataclass(frozen=True, slots=True)
class KeptToken:
    """``data`` is what the worker keeps for the function; ``secret`` the Secret to make or replace, if there is one."""

    data: str
    secret: dict[str, Any] | None = field(default=None, repr=False)


class FunctionAuthProvider(abc.ABC):
    """Gives instances credentials. ``data`` is always what :meth:`keep` answered when the function came."""

    @abc.abstractmethod
    def keep(self, token: str, data: str, namespace: str, new_id: str) -> KeptToken:
        """What becomes of ``token``, which a user sent with a function, blank for none.

        ``data`` is what was kept before. ``new_id`` is used where a name is needed and there is none yet.
        """

    @abc.abstractmethod
    def instance_auth(self, auth: ClientAuth, data: str) -> ClientAuth:
        """What the instances of a function are told in place of the worker's own ``auth``."""

    @abc.abstractmethod
    def volumes(self, data: str) -> list[dict[str, Any]]:
        """What the pods of the function get, each to be mounted by every container at :data:`DIRECTORY`."""


def mount(pod: dict[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
    """The pod spec ``pod`` with ``volumes``, read-only in every container, beside what it has already."""
    if not volumes:
        return pod
    mounts = [{"name": volume["name"], "mountPath": DIRECTORY, "readOnly": True} for volume in volumes]
    containers = [
        {**container, "volumeMounts": [*(container.get("volumeMounts") or ()), *mounts]}
        for container in pod["containers"]
    ]
    return {**pod, "containers": containers, "volumes": [*(pod.get("volumes") or ()), *volumes]}


@dataclass(frozen=True, slots=True)
class SecretTokens(FunctionAuthProvider):
    """The token of the user who sent the function, in a Secret of its own beside the broker's certificates.

    ``certificates`` is what the worker's client trusts, ``b""`` for none. What is kept is the end of the Secret's name.
    """

    certificates: bytes = b""

    def keep(self, token: str, data: str, namespace: str, new_id: str) -> KeptToken:
        if not token:
            return KeptToken("")
        kept = data or new_id
        content = {"token": token.encode()} | ({"ca.pem": self.certificates} if self.certificates else {})
        return KeptToken(
            kept,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": secret_name(kept), "namespace": namespace},
                "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
            },
        )

    def instance_auth(self, auth: ClientAuth, data: str) -> ClientAuth:
        if not data:
            return replace(auth, plugin="", params="")
        trusted = f"{DIRECTORY}/ca.pem" if self.certificates else auth.tls_trust_certs_file
        return replace(auth, plugin=TOKEN_PLUGIN, params=TOKEN_PARAMS, tls_trust_certs_file=trusted)

    def volumes(self, data: str) -> list[dict[str, Any]]:
        return [{"name": "function-auth", "secret": {"secretName": secret_name(data)}}] if data else []


SECRET_PREFIX = "pf-secret-"
"""Of the name of each Secret with a user's token."""


def secret_name(data: str) -> str:
    """The name of the Secret for what was kept."""
    return f"{SECRET_PREFIX}{data}"


@dataclass(frozen=True, slots=True)
class ServiceAccountTokens(FunctionAuthProvider):
    """A token that Kubernetes itself makes for the pod's service account, and renews; nothing is kept.

    The reference mounts certificates and token as two volumes at one path, which the API server refuses. Here both are
    in one volume, with the same paths.
    """

    expiration_seconds: int = DEFAULT_EXPIRATION_SECONDS
    audience: str | None = None
    trust_secret: str = ""

    def keep(self, token: str, data: str, namespace: str, new_id: str) -> KeptToken:
        return KeptToken("")

    def instance_auth(self, auth: ClientAuth, data: str) -> ClientAuth:
        trusted = f"{DIRECTORY}/ca.crt" if self.trust_secret else auth.tls_trust_certs_file
        return replace(auth, plugin=TOKEN_PLUGIN, params=TOKEN_PARAMS, tls_trust_certs_file=trusted)

    def volumes(self, data: str) -> list[dict[str, Any]]:
        token: dict[str, Any] = {"expirationSeconds": self.expiration_seconds, "path": "token"}
        if self.audience is not None:
            token["audience"] = self.audience
        sources: list[dict[str, Any]] = [{"serviceAccountToken": token}]
        if self.trust_secret:
            items = [{"key": "ca.crt", "path": "ca.crt"}]
            sources.append({"secret": {"name": self.trust_secret, "items": items}})
        return [{"name": "service-account-token", "projected": {"sources": sources}}]


def read_service_account_tokens(section: Section | None, *, strict: bool = False) -> ServiceAccountTokens:
    """The provider that ``kubernetesFunctionAuthProviderConfig`` describes; what is wrong becomes problems.

    With ``strict`` a lifetime that is not said is 0, and one that is a plain number is refused.
    """
    usual = 0 if strict else DEFAULT_EXPIRATION_SECONDS
    if section is None:
        return ServiceAccountTokens(usual)
    found = ServiceAccountTokens(
        expiration_seconds=_expiration(section, usual, strict=strict),
        audience=_text(section, _AUDIENCE),
        trust_secret=_text(section, _TRUST_SECRET) or "",
    )
    section.warn_unread()
    return found


def _expiration(section: Section, usual: int, *, strict: bool) -> int:
    value = section.raw(_EXPIRATION)
    if value is MISSING or value is None:
        return usual
    if not strict:
        return section.integer(_EXPIRATION, minimum=LEAST_EXPIRATION_SECONDS, maximum=_MOST_EXPIRATION_SECONDS)
    # A YAML number is a Java Integer when it fits, and the reference wants a Long.
    is_long = isinstance(value, int) and not -(1 << 31) <= value < 1 << 31
    if (is_long or isinstance(value, str)) and _WHOLE_NUMBER.fullmatch(str(value)):
        return int(value)
    section.problem(_EXPIRATION, "must be a number written as text, such as '3600'")
    return usual


def _text(section: Section, key: str) -> str | None:
    """Text and nothing that could be taken for it, as in the reference."""
    value = section.raw(key)
    if value is MISSING or value is None:
        return None
    if isinstance(value, str):
        return section.text(key)
    section.problem(key, f"must be text (got {section.got(key, value)})")
    return None
