"""Certificates of an authority that lasts for one test."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_NAMES = {"O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME}


@dataclass(frozen=True)
class Pem:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path

    def client_context(self, trusted: Path) -> ssl.SSLContext:
        """What a client has that shows this certificate."""
        context = ssl.create_default_context(cafile=str(trusted))
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Makes certificates, and writes them into ``directory``."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject(("CN", name))
        self.file = directory / f"{name}.pem"
        made = self._build(self._name, self._key, authority=True)
        self.file.write_bytes(made.public_bytes(Encoding.PEM))

    def issue(self, file_name: str, *subject: tuple[str, str]) -> Pem:
        """A certificate for 127.0.0.1, which clients may show as well."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._build(_subject(*subject), key, authority=False)
        pem = Pem(self._directory / f"{file_name}.crt", self._directory / f"{file_name}.key")
        pem.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        pem.certificate.write_bytes(made.public_bytes(Encoding.PEM))
        return pem

    def _build(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(here, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _subject(*parts: tuple[str, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(_NAMES[name], value) for name, value in parts])
