"""Asking Pulsar's admin REST: what it says, how long that counts, and what happens when it says nothing."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.admin.errors import PolicyLookupError
from pulsar_runtimes.admin.pulsar_admin import PulsarAdmin
from pulsar_runtimes.admin.server import AdminServer
from pulsar_runtimes.admin.server_tls import ServerTls, TlsFiles
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.model.function import ClientAuth
from pulsar_runtimes.testing import FakeClock
from tests.admin.certificates import Authority
from tests.admin.policies import PolicyServer

TOKEN_PLUGIN = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
TENANT = "/admin/v2/tenants/t"


@pytest.fixture
def policies() -> PolicyServer:
    return PolicyServer(token="mine", tenants={"t": ["admin"]}, permissions={"t/n": {"dev": ["functions"]}})


@pytest.fixture
def url(policies: PolicyServer) -> Iterator[str]:
    with AdminServer(policies.app(), "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.port}"


def admin(url: str, params: str = "token:mine", **options: Any) -> PulsarAdmin:
    return PulsarAdmin(url, ClientAuth(TOKEN_PLUGIN, params), **{"deadline_seconds": 10, **options})


def failure(admin: PulsarAdmin) -> str:
    with pytest.raises(PolicyLookupError) as caught:
        asyncio.run(admin_of_t(admin))
    return str(caught.value)


async def admin_of_t(admin: PulsarAdmin) -> Any:
    return await admin.tenant_admins("t")


def test_it_tells_admins_and_permissions(url: str) -> None:
    async def ask() -> None:
        asked = admin(url + "/")
        assert await asked.tenant_admins("t") == {"admin"}
        assert await asked.permissions("t", "n") == {"dev": ["functions"]}
        assert await asked.tenant_admins("nosuch") is None
        assert await asked.permissions("t", "nosuch") is None
        assert await asked.tenant_admins("t/../x?y#z") is None

    asyncio.run(ask())


def test_an_answer_is_kept_for_a_few_seconds(url: str, policies: PolicyServer) -> None:
    async def ask() -> None:
        clock = FakeClock()
        asked = admin(url, clock=clock)
        for _ in range(3):
            assert await asked.tenant_admins("t") == {"admin"}
        assert policies.asked == [TENANT]
        policies.tenants["t"] = ["other"]
        clock.advance(4)
        assert await asked.tenant_admins("t") == {"other"}
        assert policies.asked == [TENANT] * 2

    asyncio.run(ask())


def test_many_callers_at_once_ask_once(url: str, policies: PolicyServer) -> None:
    policies.delay_seconds = 0.1

    async def ask() -> None:
        asked = admin(url)
        answers = await asyncio.gather(*(asked.tenant_admins("t") for _ in range(50)))
        assert answers == [{"admin"}] * 50

    asyncio.run(ask())
    assert policies.asked == [TENANT]


@pytest.mark.parametrize("form", ["token:{}", "{}", '{{"token": "{}"}}'])
def test_the_workers_token_may_be_given_in_each_form(url: str, form: str) -> None:
    assert asyncio.run(admin_of_t(admin(url, form.format("mine")))) == {"admin"}


def test_a_token_file_that_changes_counts_at_once(url: str, policies: PolicyServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("mine\n")

    async def ask() -> None:
        asked = admin(url, file.as_uri(), cache_seconds=0)
        assert await asked.tenant_admins("t") == {"admin"}
        policies.token = "renewed"
        with pytest.raises(PolicyLookupError, match="401"):
            await asked.tenant_admins("t")
        file.write_text("renewed")
        assert await asked.tenant_admins("t") == {"admin"}
        file.unlink()
        with pytest.raises(PolicyLookupError, match="the worker's own token cannot be read"):
            await asked.tenant_admins("t")

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, None, "Pulsar does not tell this worker what the client may do (401)"),
        (403, None, "Pulsar does not tell this worker what the client may do (403)"),
        (500, None, "Pulsar did not say what the client may do (500)"),
        (307, None, "Pulsar did not say what the client may do (307)"),
        (200, "<html>", "Pulsar did not say what the client may do (200)"),
        (200, "[]", "Pulsar did not say what the client may do (200)"),
    ],
)
def test_any_other_answer_is_a_failure_and_is_not_kept(
    url: str, policies: PolicyServer, status: int, body: str | None, message: str
) -> None:
    asked = admin(url)
    policies.status, policies.body = status, body
    assert failure(asked) == message
    policies.status, policies.body = 200, None
    assert asyncio.run(admin_of_t(asked)) == {"admin"}


def test_a_pulsar_that_says_nothing_is_waited_for_until_the_deadline(url: str, policies: PolicyServer) -> None:
    policies.delay_seconds = 2
    started = time.monotonic()
    assert failure(admin(url, deadline_seconds=0.2)) == "Pulsar did not say within 0.2 s what the client may do"
    assert time.monotonic() - started < 3


def test_a_pulsar_that_is_not_there_is_a_failure_and_the_next_address_is_tried(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{nobody.getsockname()[1]}"
        assert failure(admin(f"http://{dead}", "token:tell-nobody")) == (
            "Pulsar cannot be asked what the client may do (ConnectError)"
        )
        assert asyncio.run(admin_of_t(admin(f"http://{dead},{url.removeprefix('http://')}"))) == {"admin"}
    assert "tell-nobody" not in caplog.text
    assert [record.levelname for record in caplog.records if record.name.startswith("pulsar_runtimes")] == ["WARNING"]


def test_the_environment_adds_no_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert asyncio.run(admin_of_t(admin(url))) == {"admin"}


def test_credentials_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^brokerClientAuthenticationPlugin: .* only \(got my.Sasl\)$"):
        PulsarAdmin("http://x", ClientAuth("my.Sasl", "secret"), deadline_seconds=1)


def test_nothing_shows_the_token(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = admin(url)
    assert asyncio.run(admin_of_t(asked)) == {"admin"}
    assert "mine" not in caplog.text + repr(asked) + repr(vars(asked)) + repr(vars(asked._credentials))


def test_over_tls_the_broker_must_be_trusted_and_the_worker_shows_its_certificate(
    policies: PolicyServer, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    server, mine = authority.issue("broker", ("CN", "127.0.0.1")), authority.issue("mine", ("CN", "worker"))
    files = TlsFiles(server.certificate, server.key, authority.file)
    policies.token = ""
    shown = ClientAuth(
        "org.apache.pulsar.client.impl.auth.AuthenticationTls",
        f"tlsCertFile:{mine.certificate},tlsKeyFile:{mine.key}",
        tls_hostname_verification=True,
        tls_trust_certs_file=str(authority.file),
    )
    with AdminServer(policies.app(), "127.0.0.1", 0, tls=ServerTls(files, require_client=True)) as listening:
        url = f"https://127.0.0.1:{listening.port}"

        def ask(auth: ClientAuth) -> PulsarAdmin:
            return PulsarAdmin(url, auth, deadline_seconds=10)

        assert asyncio.run(admin_of_t(ask(shown))) == {"admin"}
        assert asyncio.run(admin_of_t(ask(replace(shown, tls_trust_certs_file="", tls_allow_insecure=True)))) == {
            "admin"
        }
        assert "cannot be asked" in failure(ask(replace(shown, tls_trust_certs_file="")))
        assert "cannot be asked" in failure(ask(replace(shown, plugin="", params="")))
        assert failure(ask(replace(shown, params="tlsCertFile:nosuch"))) == (
            "the worker's own certificates cannot be read"
        )
