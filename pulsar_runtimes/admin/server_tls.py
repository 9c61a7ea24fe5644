"""The certificates of the admin API's TLS port, those of now, and whose client certificates it takes.

Source: ``WorkerServer`` and ``JettySslContextFactory`` of Apache Pulsar 4.0.8. Unlike there,
``tlsAllowInsecureConnection`` opens nothing here: a client certificate that says who somebody is must be trusted.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.errors import ConfigError, Problem

from . import tls_authentication
from .watched_file import Stamp, stamp

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. ``trusted`` has the authorities of client certificates, ``None`` when clients are asked for none."""

    certificate: Path
    key: Path
    trusted: Path | None = None


class ServerTls:
    """What a TLS port needs. Each connection gets the files of now; unusable ones are logged, the last good ones count.

    ``require_client`` refuses connections without a client certificate; without it one may be shown.
    """

    def __init__(self, files: TlsFiles, *, require_client: bool = False) -> None:
        """Reads the files. ``ValueError`` when they cannot be used."""
        self._files = files
        self._client = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL if files.trusted else ssl.CERT_NONE
        self._stamps = self._look()
        self._context = self._load()

    @property
    def asks_clients(self) -> bool:
        """Whether clients may show a certificate."""
        return self._client is not ssl.CERT_NONE

    @classmethod
    def from_config(cls, config: WorkerConfig) -> ServerTls | None:
        """As the configuration says, ``None`` when there is no TLS port. ``ConfigError`` with every problem.

        Source for when there is one: ``WorkerConfig#getTlsEnabled``.
        """
        if not config.tls_enabled or config.worker_port_tls is None:
            return None
        given = {
            "tlsCertificateFilePath": config.tls_certificate_file_path.strip(),
            "tlsKeyFilePath": config.tls_key_file_path.strip(),
        }
        knows_by_certificate = tls_authentication.PROVIDER in config.authentication_providers
        require = config.tls_require_trusted_client_cert_on_connect
        asks = require or (config.authentication_enabled and knows_by_certificate)
        if asks:
            given["tlsTrustCertsFilePath"] = config.tls_trust_certs_file_path.strip()
        message = "must be given, as tlsEnabled is true"
        problems = [Problem(name, message, config.file) for name, path in given.items() if not path]
        if config.tls_enabled_with_key_store:
            message = "cannot be honoured: pfrun reads PEM files (tlsCertificateFilePath), no key stores"
            problems = [Problem("tlsEnabledWithKeyStore", message, config.file)]
        if problems:
            raise ConfigError(problems)
        certificate, key, *trusted = (Path(path) for path in given.values())
        try:
            return cls(TlsFiles(certificate, key, trusted[0] if trusted else None), require_client=require)
        except ValueError as error:
            raise ConfigError(Problem("tlsCertificateFilePath", str(error), config.file)) from None

    def context(self) -> ssl.SSLContext:
        """The context of a listener, which looks at the files again for each connection."""
        listener = self._load()
        listener.sni_callback = self._renew
        return listener

    def _renew(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
        """Called in each handshake, before a certificate is sent or verified."""
        stamps = self._look()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._context = self._load()
            except ValueError as error:
                _log.error("%s; what the files held before still counts", error)
            else:
                _log.info("%s: has changed, and was read again", self._files.certificate)
        connection.context = self._context

    def _look(self) -> list[Stamp | None]:
        return [_stamp(path) for path in (self._files.certificate, self._files.key, self._files.trusted) if path]

    def _load(self) -> ssl.SSLContext:
        files = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # An encrypted key would have the library ask at the terminal.
            context.load_cert_chain(files.certificate, files.key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise ValueError(f"{files.certificate} and {files.key}: cannot be used ({_reason(error)})") from None
        if files.trusted is not None:
            try:
                context.load_verify_locations(files.trusted)
            except (OSError, ValueError) as error:
                raise ValueError(f"{files.trusted}: cannot be used ({_reason(error)})") from None
            # A resumed session would show a certificate that may not be trusted any more.
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        context.verify_mode = self._client
        return context


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp(path)
    except OSError:
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "it is no PEM file"
    return getattr(error, "strerror", None) or str(error)
