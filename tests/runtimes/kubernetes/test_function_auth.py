"""Credentials of a function: what its pods mount, what its instances are told, and the Secret that is made."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import TOKEN_PLUGIN
from pulsar_runtimes.model.function import ClientAuth
from pulsar_runtimes.runtimes.kubernetes.function_auth import (
    TOKEN_PARAMS,
    SecretTokens,
    ServiceAccountTokens,
    mount,
    read_service_account_tokens,
)

WORKERS = ClientAuth(plugin="P", params="token:s3cret", use_tls=True, tls_trust_certs_file="/worker/ca.pem")
POD: dict[str, Any] = {
    "containers": [{"name": "a", "volumeMounts": [{"name": "own", "mountPath": "/own"}]}, {"name": "b"}],
    "volumes": [{"name": "own"}],
}


def test_a_new_token_is_put_into_a_secret() -> None:
    kept = SecretTokens(b"CA").keep("t0ken", "", "jobs", "x7k2q")
    assert kept.data == "x7k2q"
    assert kept.secret is not None
    assert kept.secret["metadata"] == {"name": "pf-secret-x7k2q", "namespace": "jobs"}
    assert {key: base64.b64decode(value) for key, value in kept.secret["data"].items()} == {
        "token": b"t0ken",
        "ca.pem": b"CA",
    }
    assert "t0ken" not in repr(kept)


def test_a_token_of_a_known_function_goes_into_its_secret() -> None:
    kept = SecretTokens().keep("second", "ab3d9", "jobs", "x7k2q")
    assert kept.data == "ab3d9"
    assert kept.secret is not None
    assert kept.secret["metadata"]["name"] == "pf-secret-ab3d9"
    assert list(kept.secret["data"]) == ["token"]


def test_without_a_token_nothing_is_kept() -> None:
    kept = SecretTokens().keep("", "ab3d9", "jobs", "x7k2q")
    assert (kept.data, kept.secret) == ("", None)


def test_an_instance_with_a_token_is_told_where_it_is() -> None:
    auth = SecretTokens(b"CA").instance_auth(WORKERS, "x7k2q")
    assert (auth.plugin, auth.params) == (TOKEN_PLUGIN, TOKEN_PARAMS)
    assert (auth.use_tls, auth.tls_trust_certs_file) == (True, "/etc/auth/ca.pem")
    assert SecretTokens().instance_auth(WORKERS, "x7k2q").tls_trust_certs_file == "/worker/ca.pem"


def test_an_instance_without_a_token_never_gets_the_workers() -> None:
    auth = SecretTokens(b"CA").instance_auth(WORKERS, "")
    assert (auth.plugin, auth.params, auth.tls_trust_certs_file) == ("", "", "/worker/ca.pem")
    assert SecretTokens().volumes("") == []


def test_volumes_are_added_to_those_that_are_there() -> None:
    pod = mount(POD, SecretTokens().volumes("x7k2q"))
    assert [volume["name"] for volume in pod["volumes"]] == ["own", "function-auth"]
    mounts = [[(m["name"], m["mountPath"]) for m in container["volumeMounts"]] for container in pod["containers"]]
    assert mounts == [[("own", "/own"), ("function-auth", "/etc/auth")], [("function-auth", "/etc/auth")]]
    assert POD["containers"][1] == {"name": "b"}


def test_a_service_account_has_token_and_certificates_in_one_volume() -> None:
    provider = ServiceAccountTokens(600, "pulsar", "certs")
    assert provider.volumes("") == [
        {
            "name": "service-account-token",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"audience": "pulsar", "expirationSeconds": 600, "path": "token"}},
                    {"secret": {"name": "certs", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                ]
            },
        }
    ]
    auth = provider.instance_auth(WORKERS, "anything")
    assert (auth.params, auth.tls_trust_certs_file) == (TOKEN_PARAMS, "/etc/auth/ca.crt")
    assert ServiceAccountTokens().instance_auth(WORKERS, "").tls_trust_certs_file == "/worker/ca.pem"
    assert provider.keep("t", "d", "n", "i").data == ""


EXPIRATION = "serviceAccountTokenExpirationSeconds"


@pytest.mark.parametrize(
    ("values", "seconds", "strictly"),
    [
        (None, 3600, 0),
        ({}, 3600, 0),
        ({EXPIRATION: None}, 3600, 0),
        ({EXPIRATION: "600"}, 600, 600),
        ({EXPIRATION: 7200}, 7200, None),
        ({EXPIRATION: 599}, None, None),
        ({EXPIRATION: "599"}, None, 599),
        ({EXPIRATION: 2**31}, 2**31, 2**31),
        ({EXPIRATION: "soon"}, None, None),
        ({EXPIRATION: 600.5}, 600, None),
    ],
)
def test_the_lifetime_of_a_token(values: dict[str, Any] | None, seconds: int | None, strictly: int | None) -> None:
    """``None`` stands for a problem."""
    for strict, wanted in ((False, seconds), (True, strictly)):
        section = None if values is None else Section(values)
        found = read_service_account_tokens(section, strict=strict)
        problems = [] if section is None else section.problems
        assert (None if problems else found.expiration_seconds) == wanted


def test_what_is_no_text_is_refused_and_what_is_unknown_told() -> None:
    section = Section({"serviceAccountTokenAudience": 5, "brokerClientTrustCertsSecretName": ["x"], "audience": "x"})
    read_service_account_tokens(section)
    assert [problem.path for problem in section.problems] == [
        "serviceAccountTokenAudience",
        "brokerClientTrustCertsSecretName",
    ]
    assert [warning.path for warning in section.warnings] == ["audience"]
