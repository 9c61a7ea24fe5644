"""Keys and tokens, made anew for each test run."""

from __future__ import annotations

import base64
import functools
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET = bytes(range(7, 71))


@functools.cache
def rsa_key(name: str = "worker") -> rsa.RSAPrivateKey:
    """A private key; another one for each name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


def public_der(key: Any) -> bytes:
    """The public half, as Pulsar writes it."""
    der: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der


def base64_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def token(role: Any = "somebody", *, key: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A token for ``role``; a claim that is ``None`` is left out."""
    all_claims = {"sub": role, **claims}
    return jwt.encode({name: value for name, value in all_claims.items() if value is not None}, key, algorithm)


def expired(role: str = "somebody", seconds: float = 60, **more: Any) -> str:
    return token(role, exp=int(time.time() - seconds), **more)
