"""Tokens that are taken, and all the others."""

from __future__ import annotations

import base64
import json
import logging
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.requests import Request

from pulsar_runtimes.admin.errors import UnauthenticatedError
from pulsar_runtimes.admin.token_authentication import TokenAuthentication
from pulsar_runtimes.model.errors import ConfigError
from tests.admin.keys import SECRET, base64_text, ec_key, expired, public_der, rsa_key, token

BY_SECRET = {"tokenSecretKey": base64_text(SECRET)}


def request(*authorization: str) -> Request:
    headers = [(b"authorization", value.encode("latin-1")) for value in authorization]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


def role(text: str, **properties: Any) -> str:
    return TokenAuthentication.from_properties(properties or BY_SECRET).role(request(f"Bearer {text}"))


def refusal(*authorization: str, **properties: Any) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        TokenAuthentication.from_properties(properties or BY_SECRET).role(request(*authorization))
    return str(caught.value)


def problems(**properties: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        TokenAuthentication.from_properties(properties)
    return [str(problem) for problem in caught.value.problems]


def public(key: Any) -> str:
    return base64_text(public_der(key))


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_a_token_of_the_secret_key_has_its_role() -> None:
    assert role(token("admin")) == "admin"
    assert role(token("admin", exp=int(time.time()) + 60, nbf=int(time.time()) - 60)) == "admin"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_every_algorithm_that_the_secret_is_long_enough_for_is_taken(algorithm: str) -> None:
    assert role(token("admin", algorithm=algorithm)) == "admin"


def test_an_algorithm_that_the_secret_is_too_short_for_is_not() -> None:
    short = {"tokenSecretKey": base64_text(SECRET[:32])}
    assert role(token("admin", key=SECRET[:32]), **short) == "admin"
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        strong = token("admin", key=SECRET[:32], algorithm="HS512")
    assert "algorithm" in refusal(f"Bearer {strong}", **short)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256"])
def test_a_public_rsa_key_verifies_every_rsa_algorithm(algorithm: str) -> None:
    """As in the reference, whose tokenPublicAlg says the kind of key only."""
    key = rsa_key()
    assert role(token("admin", key=key, algorithm=algorithm), tokenPublicKey=public(key)) == "admin"


@pytest.mark.parametrize(("curve", "algorithm"), [(ec.SECP256R1, "ES256"), (ec.SECP384R1, "ES384")])
def test_a_public_elliptic_key_verifies(curve: type[ec.EllipticCurve], algorithm: str) -> None:
    key = ec_key(curve)
    properties = {"tokenPublicKey": public(key), "tokenPublicAlg": "es256"}
    assert role(token("admin", key=key, algorithm=algorithm), **properties) == "admin"


@pytest.mark.parametrize("form", ["file URL", "path", "data URL", "base64", "data URL of text"])
def test_a_key_may_be_given_in_each_form_that_pulsar_reads(form: str, tmp_path: Path) -> None:
    file = tmp_path / "a key.der"
    file.write_bytes(SECRET)
    value = {
        "file URL": file.as_uri(),
        "path": str(file),
        "data URL": f"data:;base64,{base64_text(SECRET)}",
        "base64": base64_text(SECRET),
        "data URL of text": "data:,0123456789abcdef0123456789abcdef",
    }[form]
    key = b"0123456789abcdef0123456789abcdef" if form == "data URL of text" else SECRET
    assert role(token("admin", key=key), tokenSecretKey=value) == "admin"


def test_the_secret_key_counts_when_both_are_given() -> None:
    both = {**BY_SECRET, "tokenPublicKey": public(rsa_key())}
    assert role(token("admin"), **both) == "admin"
    signed = token("admin", key=rsa_key(), algorithm="RS256")
    assert "algorithm" in refusal(f"Bearer {signed}", **both)


def test_the_prefix_stands_before_each_name() -> None:
    prefixed = {"tokenSettingPrefix": "my_", "my_tokenSecretKey": base64_text(SECRET), "my_tokenAuthClaim": "who"}
    assert role(token("x", who="admin"), **prefixed) == "admin"
    assert problems(tokenSettingPrefix="my_", **BY_SECRET) == [
        "properties.my_tokenSecretKey: must be given, or tokenPublicKey: tokens are verified with it"
    ]


def test_the_role_may_be_another_claim_and_the_first_of_a_list() -> None:
    named = {**BY_SECRET, "tokenAuthClaim": "roles"}
    assert role(token(roles=["admin", "other"]), **named) == "admin"
    for roles in ([], [1], {"admin": 1}, 7, "", " ", None):
        assert refusal(f"Bearer {token(roles=roles)}", **named) == "a token without a role"
    assert refusal(f"Bearer {token(None, other='x')}") == "a token without a role"


def test_an_audience_is_asked_for_only_with_a_claim() -> None:
    audience = {**BY_SECRET, "tokenAudienceClaim": "aud", "tokenAudience": "here"}
    assert role(token("admin", aud="anywhere")) == "admin"
    assert role(token("admin", aud="here"), **audience) == "admin"
    assert role(token("admin", aud=["there", "here"]), **audience) == "admin"
    for aud in ("there", ["there"], {"here": 1}, "her", None):
        assert refusal(f"Bearer {token(aud=aud)}", **audience) == "a token for another audience"


def test_clock_skew_is_allowed_as_configured() -> None:
    skew = {**BY_SECRET, "tokenAllowedClockSkewSeconds": 120}
    assert refusal(f"Bearer {expired()}") == "an expired token"
    assert role(expired("admin"), **skew) == "admin"
    early = token("admin", nbf=int(time.time()) + 60)
    assert refusal(f"Bearer {early}") == "a token that is not valid yet"
    assert role(early, **skew) == "admin"


def test_a_token_issued_in_the_future_is_taken() -> None:
    """As in the reference, which looks at exp and nbf."""
    assert role(token("admin", iat=int(time.time()) + 3600)) == "admin"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (unsigned({"alg": "none"}, {"sub": "admin"}), "algorithm"),
        (unsigned({"alg": "None"}, {"sub": "admin"}, b"x"), "algorithm"),
        (unsigned({}, {"sub": "admin"}), "algorithm"),
        (unsigned({"alg": 7}, {"sub": "admin"}), "algorithm"),
        (unsigned({"alg": ["HS256"]}, {"sub": "admin"}), "algorithm"),
        (unsigned({"alg": "HS256"}, {"sub": "admin"}, b"x" * 32), "signature"),
        (unsigned({"alg": "HS256"}, {"sub": "admin"}), "signature"),
        ("", "malformed"),
        ("abc", "malformed"),
        ("a.b.c", "malformed"),
        ("....", "malformed"),
        ("\xe4\xf6\xfc", "malformed"),
        (base64.urlsafe_b64encode(b'{"alg":"HS256","x":' + b"[" * 20000).decode() + ".e30.e30", "malformed"),
    ],
)
def test_what_is_no_token_of_ours_is_refused(text: str, reason: str) -> None:
    assert reason in refusal(f"Bearer {text}")


def test_a_signed_token_may_still_be_nonsense() -> None:
    nonsense: tuple[dict[str, Any], ...] = ({"exp": "soon"}, {"nbf": {}}, {"exp": None, "nbf": 10**400})
    for claims in nonsense:
        assert "token" in refusal(f"Bearer {token(**claims)}")
    infinite = jwt.api_jws.encode(b'{"sub":"admin","exp":Infinity}', SECRET, "HS256")
    assert refusal(f"Bearer {infinite}") == "a malformed token"
    no_object = jwt.api_jws.encode(b'["admin"]', SECRET, "HS256")
    assert refusal(f"Bearer {no_object}") == "a malformed token"


def test_the_public_key_is_no_secret_to_sign_with() -> None:
    """The confusion of algorithms: a token signed by HMAC with the bytes that everybody may have."""
    der = public_der(rsa_key())
    parts = [b'{"alg":"HS256"}', b'{"sub":"admin"}']
    head = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    import hashlib
    import hmac

    signature = base64.urlsafe_b64encode(hmac.new(der, head, hashlib.sha256).digest()).rstrip(b"=")
    forged = f"{head.decode()}.{signature.decode()}"
    assert "algorithm" in refusal(f"Bearer {forged}", tokenPublicKey=base64_text(der))


@pytest.mark.parametrize("header", ["", "Bearer", "bearer x", "Basic YTpi", "Token x"])
def test_a_header_without_bearer_is_refused(header: str) -> None:
    assert refusal(header) == "an authorization header that has no token"
    assert refusal() == "no token"
    good = f"Bearer {token()}"
    assert refusal(good, good) == "an authorization header that has no token"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({}, "properties.tokenSecretKey: must be given, or tokenPublicKey: tokens are verified with it"),
        (
            {"tokenSecretKey": "file:///nosuch/key"},
            "properties.tokenSecretKey: /nosuch/key: cannot be read (No such file or directory)",
        ),
        (
            {"tokenSecretKey": "no key!"},
            (
                "properties.tokenSecretKey: must be a file that exists, file:///path, data:;base64,... or base64 "
                "(it is none of these)"
            ),
        ),
        (
            {"tokenSecretKey": base64_text(b"short")},
            "properties.tokenSecretKey: a secret key must have 32 bytes or more (got 5)",
        ),
        (
            {"tokenPublicKey": base64_text(SECRET)},
            "properties.tokenPublicKey: is not a public key in DER (X.509 SubjectPublicKeyInfo)",
        ),
        (
            {"tokenPublicKey": base64_text(public_der(ec_key()))},
            "properties.tokenPublicKey: is not a key for RS256",
        ),
        (
            {"tokenPublicKey": base64_text(public_der(rsa_key())), "tokenPublicAlg": "ES256"},
            "properties.tokenPublicKey: is not a key for ES256",
        ),
        (
            {"tokenPublicKey": "x", "tokenPublicAlg": "HS256"},
            (
                "properties.tokenPublicAlg: must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, "
                "ES512 (got 'HS256')"
            ),
        ),
        (
            {**BY_SECRET, "tokenAudienceClaim": "aud"},
            "properties.tokenAudience: must be given, as the other half of the audience is; or neither",
        ),
        (
            {**BY_SECRET, "tokenAudience": "here"},
            "properties.tokenAudienceClaim: must be given, as the other half of the audience is; or neither",
        ),
        (
            {**BY_SECRET, "tokenAllowedClockSkewSeconds": "-1"},
            "properties.tokenAllowedClockSkewSeconds: must be a whole number of seconds (got '-1')",
        ),
    ],
)
def test_settings_that_verify_nothing_are_refused(properties: dict[str, Any], message: str) -> None:
    assert problems(**properties) == [message]


def test_a_weak_rsa_key_is_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert problems(tokenPublicKey=public(weak)) == [
        "properties.tokenPublicKey: an RSA key must have 2048 bits or more (got 1024)"
    ]


def test_a_public_key_is_not_taken_for_a_secret() -> None:
    assert problems(tokenSecretKey=public(rsa_key())) == [
        "properties.tokenSecretKey: is not a secret key but one of another kind"
    ]


def test_a_key_file_that_changes_counts_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "secret.key"
    file.write_bytes(SECRET)
    authentication = TokenAuthentication.from_properties({"tokenSecretKey": file.as_uri()})
    old, new = request(f"Bearer {token()}"), request(f"Bearer {token(key=SECRET[::-1])}")
    assert authentication.role(old) == "somebody"

    replacement = tmp_path / "next.key"
    replacement.write_bytes(SECRET[::-1])
    replacement.replace(file)
    assert authentication.role(new) == "somebody"
    with pytest.raises(UnauthenticatedError, match="signature"):
        authentication.role(old)

    file.write_bytes(b"short")
    assert authentication.role(new) == "somebody"
    assert authentication.role(new) == "somebody"
    file.unlink()
    assert authentication.role(new) == "somebody"
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [
        f"{file}: a secret key must have 32 bytes or more (got 5); what it held before still counts",
        f"{file}: cannot be read (No such file or directory); what it held before still counts",
    ]


def test_nothing_shows_a_key() -> None:
    secret = base64_text(SECRET)
    authentication = TokenAuthentication.from_properties(BY_SECRET)
    shown = repr(authentication) + repr(vars(authentication)) + repr(authentication._key())
    assert secret not in shown
    assert repr(SECRET)[2:-1] not in shown
    bad = secret[:-3] + "!!!"
    assert bad not in "".join(problems(tokenSecretKey=bad))
