"""The TLS port: who may connect, who somebody is by a certificate, and files that change."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pulsar_runtimes.admin import tls_authentication, token_authentication
from pulsar_runtimes.admin.access import AccessControl
from pulsar_runtimes.admin.app import guard
from pulsar_runtimes.admin.authentication import caller_of
from pulsar_runtimes.admin.operations import Operation
from pulsar_runtimes.admin.routes import GuardedRoute
from pulsar_runtimes.admin.server import AdminServer
from pulsar_runtimes.admin.server_tls import ServerTls
from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.errors import ConfigError
from tests.admin.certificates import Authority, Pem
from tests.admin.keys import SECRET, base64_text, token


async def whoami(request: Request) -> Response:
    caller = caller_of(request)
    return PlainTextResponse("nobody" if caller is None else caller.role)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def settings(authority: Authority, server: Pem, **more: Any) -> WorkerConfig:
    return WorkerConfig(
        **{
            "tls_enabled": True,
            "worker_port_tls": 6751,
            "tls_certificate_file_path": str(server.certificate),
            "tls_key_file_path": str(server.key),
            "tls_trust_certs_file_path": str(authority.file),
            "authentication_enabled": True,
            "authentication_providers": (tls_authentication.PROVIDER, token_authentication.PROVIDER),
            "properties": {"tokenSecretKey": base64_text(SECRET)},
            **more,
        }
    )


@contextlib.contextmanager
def served(config: WorkerConfig) -> Iterator[str]:
    app = Starlette(routes=[GuardedRoute("/whoami", whoami, "GET", Operation.LEADER_READY)])
    guard(app, AccessControl.from_config(config))
    with AdminServer(app, "127.0.0.1", 0, tls=ServerTls.from_config(config)) as server:
        yield f"https://127.0.0.1:{server.port}/whoami"


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


def serial(url: str, authority: Authority) -> Any:
    """The serial number of the certificate that the server shows."""
    host, port = httpx.URL(url).host, httpx.URL(url).port
    with (
        socket.create_connection((host, port), 10) as plain,
        trusting(authority).wrap_socket(plain, server_hostname=host) as encrypted,
    ):
        certificate = encrypted.getpeercert()
        assert certificate
        return certificate["serialNumber"]


def test_the_common_name_is_the_role(authority: Authority) -> None:
    server = authority.issue("server", ("CN", "127.0.0.1"))
    client = authority.issue("client", ("CN", "outer"), ("O", "CN=admin,acme"), ("CN", "dev"))
    nameless = authority.issue("nameless", ("O", "acme"))
    with served(settings(authority, server)) as url:
        assert httpx.get(url, verify=client.client_context(authority.file)).text == "dev"
        headers = {"Authorization": f"Bearer {token('by-token')}"}
        assert httpx.get(url, verify=trusting(authority), headers=headers).text == "by-token"
        assert httpx.get(url, verify=trusting(authority)).status_code == 401
        assert httpx.get(url, verify=nameless.client_context(authority.file)).status_code == 401
        # Nothing that a client may send stands for a certificate.
        claimed = {"pfrun.client_certificate": "x", "X-Client-Cert": "CN=admin", "X-Pulsar-Auth-Method-Name": "tls"}
        assert httpx.get(url, verify=trusting(authority), headers=claimed).status_code == 401


@pytest.mark.parametrize("insecure", [False, True])
def test_a_certificate_of_somebody_else_is_refused(authority: Authority, tmp_path: Path, insecure: bool) -> None:
    server = authority.issue("server", ("CN", "127.0.0.1"))
    stranger = Authority(tmp_path, "stranger").issue("client", ("CN", "admin"))
    with served(settings(authority, server, tls_allow_insecure_connection=insecure)) as url:
        with pytest.raises(httpx.TransportError):
            httpx.get(url, verify=stranger.client_context(authority.file))
        assert httpx.get(url, verify=trusting(authority)).status_code == 401


def test_a_client_certificate_may_be_required(authority: Authority) -> None:
    server = authority.issue("server", ("CN", "127.0.0.1"))
    config = settings(
        authority,
        server,
        tls_require_trusted_client_cert_on_connect=True,
        authentication_providers=(token_authentication.PROVIDER,),
    )
    headers = {"Authorization": f"Bearer {token('by-token')}"}
    client = authority.issue("client", ("CN", "dev"))
    with served(config) as url:
        with pytest.raises(httpx.TransportError):
            httpx.get(url, verify=trusting(authority), headers=headers)
        assert httpx.get(url, verify=client.client_context(authority.file), headers=headers).text == "by-token"
        assert httpx.get(url, verify=client.client_context(authority.file)).status_code == 401


def test_without_authentication_no_certificate_is_asked_for(authority: Authority, tmp_path: Path) -> None:
    server = authority.issue("server", ("CN", "127.0.0.1"))
    stranger = Authority(tmp_path, "stranger").issue("client", ("CN", "admin"))
    with served(settings(authority, server, authentication_enabled=False)) as url:
        assert httpx.get(url, verify=stranger.client_context(authority.file)).text == "nobody"
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http"))


def test_files_that_change_count_from_the_next_connection_on(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = authority.issue("server", ("CN", "127.0.0.1"))
    old_client = authority.issue("old", ("CN", "dev"))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.file.read_bytes())
    with served(settings(authority, server, tls_trust_certs_file_path=str(trusted))) as url:
        first = serial(url, authority)
        assert serial(url, authority) == first
        authority.issue("server", ("CN", "127.0.0.1"))
        second = serial(url, authority)
        assert second != first

        server.certificate.write_text("half a certifi")
        assert [serial(url, authority) for _ in range(2)] == [second] * 2
        message = f"{server.certificate} and {server.key}: cannot be used (it is no PEM file)"
        errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert errors == [f"{message}; what the files held before still counts"]
        authority.issue("server", ("CN", "127.0.0.1"))

        assert httpx.get(url, verify=old_client.client_context(authority.file)).text == "dev"
        other = Authority(tmp_path, "other")
        trusted.write_bytes(other.file.read_bytes())
        new_client = other.issue("new", ("CN", "ops"))
        assert httpx.get(url, verify=new_client.client_context(authority.file)).text == "ops"
        with pytest.raises(httpx.TransportError):
            httpx.get(url, verify=old_client.client_context(authority.file))


def test_there_is_no_tls_without_a_port_or_the_word() -> None:
    assert ServerTls.from_config(WorkerConfig(tls_enabled=True)) is None
    assert ServerTls.from_config(WorkerConfig(worker_port_tls=6751)) is None


@pytest.mark.parametrize(
    ("more", "messages"),
    [
        (
            {"tls_certificate_file_path": "", "tls_key_file_path": " ", "tls_trust_certs_file_path": ""},
            [
                f"{name}: must be given, as tlsEnabled is true"
                for name in ("tlsCertificateFilePath", "tlsKeyFilePath", "tlsTrustCertsFilePath")
            ],
        ),
        (
            {"tls_trust_certs_file_path": "", "authentication_providers": (token_authentication.PROVIDER,)},
            [],
        ),
        (
            {"tls_enabled_with_key_store": True},
            [
                (
                    "tlsEnabledWithKeyStore: cannot be honoured: pfrun reads PEM files (tlsCertificateFilePath), "
                    "no key stores"
                )
            ],
        ),
    ],
)
def test_what_tls_needs_is_told_at_once(authority: Authority, more: dict[str, Any], messages: list[str]) -> None:
    config = settings(authority, authority.issue("server", ("CN", "127.0.0.1")), **more)
    assert problems(config) == messages


def test_files_that_cannot_be_used_are_told_at_once(authority: Authority, tmp_path: Path) -> None:
    server = authority.issue("server", ("CN", "127.0.0.1"))
    other = authority.issue("other", ("CN", "127.0.0.1"))
    pair = f"tlsCertificateFilePath: {server.certificate} and "
    assert problems(settings(authority, server, tls_key_file_path=str(other.key))) == [
        f"{pair}{other.key}: cannot be used (KEY_VALUES_MISMATCH)"
    ]
    missing = tmp_path / "nosuch"
    assert problems(settings(authority, server, tls_key_file_path=str(missing))) == [
        f"{pair}{missing}: cannot be used (No such file or directory)"
    ]
    assert problems(settings(authority, server, tls_trust_certs_file_path=str(missing))) == [
        f"tlsCertificateFilePath: {missing}: cannot be used (No such file or directory)"
    ]


def problems(config: WorkerConfig) -> list[str]:
    try:
        ServerTls.from_config(config)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []
