"""The same callers and calls at pfrun and at the functions worker of a real Apache Pulsar: the same codes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pulsar_runtimes.admin import token_authentication
from pulsar_runtimes.admin.token_authentication import TokenAuthentication
from tests.admin.callers import ADMINS, CALLERS, PERMISSIONS, PROXIES, SUPER_USERS
from tests.admin.calls import ALL, Call
from tests.admin.conftest import Api
from tests.admin.keys import SECRET, base64_text, token
from tests.admin.test_token_authentication import request
from tests.standalone import standalone
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone

_NOT_COMPARED = (
    "/state/",
    "/logs",
    "/metrics",
    "/openapi",
    "functions/leader/",
    "GET /admin/v2/worker/drain",
    "r/drain",
    "/configdefinition",
    "/overview",
    "/functions/packages",
    "/download?",
)
"""State is not there, the pages are other ones, what is not built in ends in 500 or in nothing, and the others want a
header or a body that plain calls lack."""

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

ADMIN = token("admin")
CREDENTIALS = {
    "brokerClientAuthenticationPlugin": "org.apache.pulsar.client.impl.auth.AuthenticationToken",
    "brokerClientAuthenticationParameters": f"token:{ADMIN}",
}


@pytest.fixture(scope="module")
def reference(pulsar_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A Pulsar with its functions worker, tokens, authorization, and the roles of ``callers``."""
    settings = {
        "authenticationEnabled": "true",
        "authenticationProviders": token_authentication.PROVIDER,
        "authorizationEnabled": "true",
        "superUserRoles": ",".join(SUPER_USERS),
        "proxyRoles": ",".join(PROXIES),
        "tokenSecretKey": f"data:;base64,{base64_text(SECRET)}",
        **CREDENTIALS,
    }
    directory = tmp_path_factory.mktemp("secured")
    pulsar = or_skip(
        lambda: standalone.start(
            directory,
            pulsar_home,
            os.environ,
            functions_worker="process",
            broker_settings=settings,
            token=ADMIN,
            dies_with_caller=True,
        )
    )
    try:
        with httpx.Client(base_url=f"{pulsar.admin_url}/admin/v2", headers=bearer(ADMIN), timeout=60) as http:
            for tenant, admins in ADMINS.items():
                created = {"adminRoles": admins, "allowedClusters": ["standalone"]}
                http.put(f"/tenants/{tenant}", json=created).raise_for_status()
            for place, roles in PERMISSIONS.items():
                http.put(f"/namespaces/{place}", json={}).raise_for_status()
                for role, actions in roles.items():
                    http.post(f"/namespaces/{place}/permissions/{role}", json=actions).raise_for_status()
        yield pulsar
    finally:
        pulsar.stop()


@pytest.fixture
def ours(reference: Standalone, serve: Callable[..., Api], token_keys: dict[str, Any]) -> Api:
    """pfrun's API, which asks that Pulsar for permissions."""
    return serve(
        authorizationEnabled=True,
        superUserRoles=SUPER_USERS,
        proxyRoles=PROXIES,
        pulsarServiceUrl=reference.service_url,
        pulsarWebServiceUrl=reference.admin_url,
        **CREDENTIALS,
        **token_keys,
    )


@pytest.fixture
def theirs(reference: Standalone) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=reference.admin_url, timeout=60) as http:
        yield http


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_the_matrix_is_that_of_the_reference(ours: Api, theirs: httpx.Client) -> None:
    # This Pulsar has no state store, and says so before it looks who asks.
    calls = [call for call in ALL if not any(part in str(call) for part in _NOT_COMPARED)]
    for name, caller in CALLERS.items():
        told = {str(call): call.make(ours.http, caller.headers) for call in calls}
        assert told == {str(call): call.make(theirs, caller.headers) for call in calls}, name
        assert told == {str(call): caller.status(call) for call in calls}, name


def test_so_it_is_where_tenant_or_namespace_is_not_there(ours: Api, theirs: httpx.Client) -> None:
    paths = ("acme/nosuch", "acme/nosuch/f", "nosuch/dev", "nosuch/dev/f/status")
    for path in paths:
        call = Call("GET", f"/admin/v3/functions/{path}", 0)
        for name, caller in CALLERS.items():
            assert call.make(ours.http, caller.headers) == call.make(theirs, caller.headers), (name, path)


def test_so_is_the_reason_of_a_refusal(ours: Api, theirs: httpx.Client) -> None:
    headers = CALLERS["plain role"].headers
    for path in ("/admin/v3/functions/acme/dev", "/admin/v2/worker/cluster"):
        assert ours.http.get(path, headers=headers).json() == theirs.get(path, headers=headers).json()


class TestKeysOfPulsarItself:
    """``bin/pulsar tokens`` makes the keys and the tokens."""

    @pytest.fixture
    def tokens(self, pulsar_home: Path, tmp_path: Path) -> Callable[..., str]:
        environment = os.environ | {"PULSAR_LOG_DIR": str(tmp_path / "logs")}

        def run(*arguments: str) -> str:
            command = [str(pulsar_home / "bin" / "pulsar"), "tokens", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        return run

    def test_a_secret_key(self, tokens: Callable[..., str], tmp_path: Path) -> None:
        tokens("create-secret-key", "--output", f"{tmp_path}/secret.key")
        text = tokens("create", "--secret-key", f"file://{tmp_path}/secret.key", "--subject", "admin")
        assert role(text, tokenSecretKey=f"file://{tmp_path}/secret.key") == "admin"

    def test_a_secret_key_as_base64(self, tokens: Callable[..., str]) -> None:
        key = tokens("create-secret-key", "--base64", "--signature-algorithm", "HS512")
        text = tokens("create", "--secret-key", f"data:;base64,{key}", "--subject", "admin")
        assert role(text, tokenSecretKey=key) == "admin"

    @pytest.mark.parametrize("algorithm", ["RS256", "ES512"])
    def test_a_key_pair(self, tokens: Callable[..., str], tmp_path: Path, algorithm: str) -> None:
        pair = ["--output-private-key", f"{tmp_path}/private.key", "--output-public-key", f"{tmp_path}/public.key"]
        tokens("create-key-pair", *pair, "--signature-algorithm", algorithm)
        private = ["--private-key", f"file://{tmp_path}/private.key", "--signature-algorithm", algorithm]
        text = tokens("create", *private, "--subject", "admin", "--expiry-time", "1h")
        public = {"tokenPublicKey": f"file://{tmp_path}/public.key", "tokenPublicAlg": algorithm}
        assert role(text, **public) == "admin"


def role(text: str, **properties: str) -> str:
    return TokenAuthentication.from_properties(properties).role(request(f"Bearer {text}"))
