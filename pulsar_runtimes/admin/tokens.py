"""The one door to the JWT library: verification keys, and what a token says.

Sources: ``AuthTokenUtils`` and ``AuthenticationProviderToken`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import UnauthenticatedError

DEFAULT_ALGORITHM = "RS256"
_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA_BITS = 2048

PUBLIC_ALGORITHMS = (*_RSA, *_CURVES.values())
"""What ``tokenPublicAlg`` may be. It says the kind of the key; a token may use any algorithm of that kind, as there."""

_OPTIONS: Any = {
    **dict.fromkeys(("verify_signature", "verify_exp", "verify_nbf"), True),
    **dict.fromkeys(("verify_aud", "verify_iss", "verify_iat", "verify_sub", "verify_jti"), False),
}
"""Roles and audiences are read by the provider; the rest the reference does not look at."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key, and the algorithms that a token signed with it may name."""

    key: Any = field(repr=False)
    algorithms: tuple[str, ...]


def secret_key(content: bytes) -> VerificationKey:
    """A key that signs and verifies: raw bytes. ``ValueError`` when it is too short, or no secret at all."""
    import jwt

    algorithms = tuple(name for name, least in _HMAC_BYTES.items() if len(content) >= least)
    if not algorithms:
        raise ValueError(f"a secret key must have {_HMAC_BYTES['HS256']} bytes or more (got {len(content)})")
    try:
        jwt.encode({}, content, algorithms[0])
    except jwt.PyJWTError:
        raise ValueError("is not a secret key but one of another kind") from None
    return VerificationKey(content, algorithms)


def public_key(content: bytes, algorithm: str) -> VerificationKey:
    """A public key in DER, as Pulsar writes it. ``ValueError`` when it is none, or none for ``algorithm``."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is not a public key in DER (X.509 SubjectPublicKeyInfo)") from None
    if isinstance(key, RSAPublicKey) and algorithm in _RSA:
        if key.key_size < _RSA_BITS:
            raise ValueError(f"an RSA key must have {_RSA_BITS} bits or more (got {key.key_size})")
        return VerificationKey(key, _RSA)
    if isinstance(key, EllipticCurvePublicKey) and _CURVES.get(key.curve.name) is not None and algorithm not in _RSA:
        return VerificationKey(key, (_CURVES[key.curve.name],))
    raise ValueError(f"is not a key for {algorithm}")


def read_claims(token: str, key: VerificationKey, clock_skew_seconds: float) -> Mapping[str, Any]:
    """What ``token`` claims, its signature and times verified.

    ``UnauthenticatedError`` says the kind of what is wrong, and nothing of the token.
    """
    import jwt

    kinds: tuple[tuple[type[Exception], str], ...] = (
        (jwt.ExpiredSignatureError, "an expired token"),
        (jwt.ImmatureSignatureError, "a token that is not valid yet"),
        (jwt.InvalidAlgorithmError, "a token with an algorithm that the key does not have"),
        (jwt.InvalidSignatureError, "a token with a wrong signature"),
    )
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token, key.key, algorithms=list(key.algorithms), leeway=clock_skew_seconds, options=_OPTIONS
        )
        return claims
    # The library parses what strangers send: whatever goes wrong there is theirs.
    except Exception as error:
        kind = next((text for known, text in kinds if isinstance(error, known)), "a malformed token")
    raise UnauthenticatedError(kind)
