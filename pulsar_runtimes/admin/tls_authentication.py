"""Who a caller is, told by the certificate of the connection: Apache Pulsar's ``AuthenticationProviderTls``."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from .errors import UnauthenticatedError

PROVIDER = "org.apache.pulsar.broker.authentication.AuthenticationProviderTls"

CERTIFICATE_EXTENSION = "pfrun.client_certificate"
"""Where the server puts the verified certificate of a client: in ``extensions``, as ``ssl.SSLSocket.getpeercert()``."""


class TlsAuthentication:
    """Takes connections with a client certificate that the server has verified; its common name is the role.

    Of several common names it is the most specific one, which stands last in the certificate.
    """

    method = "tls"

    def role(self, request: Request) -> str:
        """The role of the caller. ``UnauthenticatedError`` when there is none to be had."""
        certificate: dict[str, Any] = request.scope.get("extensions", {}).get(CERTIFICATE_EXTENSION) or {}
        names = [
            value for part in certificate.get("subject", ()) for name, value in part if name == "commonName" and value
        ]
        if not names:
            raise UnauthenticatedError("no client certificate with a common name")
        return str(names[-1])
