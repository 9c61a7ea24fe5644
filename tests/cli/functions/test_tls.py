"""A worker that speaks TLS: its certificate counts."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.daemon import Ran
from tests.cli.functions.fake_worker import FakeWorker

Pfrun = Callable[..., Ran]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody vouches for, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    file = tmp_path / "own.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=own"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, *made, "-keyout", file, "-out", tmp_path / "c.pem"], check=True, capture_output=True)
    file.write_text(file.read_text() + (tmp_path / "c.pem").read_text())
    return file


@pytest.fixture
def tls_worker(certificate: Path) -> Iterator[FakeWorker]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with FakeWorker(context) as worker:
        worker.answers(200, ["f"])
        yield worker


def test_a_certificate_that_is_trusted_is_taken(tls_worker: FakeWorker, certificate: Path, pfrun: Pfrun) -> None:
    ran = pfrun("functions", "list", "--url", tls_worker.url, "--tls-trust-cert-path", str(certificate))
    assert ran == Ran(0, "NAME\nf\n", "")


def test_any_other_is_refused_and_nothing_is_sent(
    tls_worker: FakeWorker, certificate: Path, pfrun: Pfrun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSAR_TOKEN", "secret")
    ran = pfrun("functions", "list", "--url", tls_worker.url)
    assert ran.code == 1
    assert ran.err.startswith(f"{tls_worker.url}: no worker answers there: [SSL: CERTIFICATE_VERIFY_FAILED]")
    other = tls_worker.url.replace("127.0.0.1", "localhost")
    ran = pfrun("functions", "list", "--url", other, "--tls-trust-cert-path", str(certificate))
    assert "Hostname mismatch" in ran.err
    assert not tls_worker.asked
