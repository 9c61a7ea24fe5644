"""How the worker proves itself to Pulsar's admin REST: the credentials of its own client, those of now."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.function import ClientAuth

from .errors import PolicyLookupError

_TOKEN_PLUGINS = ("org.apache.pulsar.client.impl.auth.AuthenticationToken", "token")
_TLS_PLUGINS = ("org.apache.pulsar.client.impl.auth.AuthenticationTls", "tls")
_PLUGIN_KEY = "brokerClientAuthenticationPlugin"


class ClientCredentials:
    """What goes with each request. Files are read each time, so one that was renewed counts at once."""

    def __init__(self, auth: ClientAuth, *, tls: bool) -> None:
        """``tls``: whether the connections are encrypted. ``ConfigError`` for a plugin that pfrun does not have."""
        if auth.plugin.strip() not in ("", *_TOKEN_PLUGINS, *_TLS_PLUGINS):
            message = f"pfrun asks Pulsar's admin REST with {_TOKEN_PLUGINS[0]} or {_TLS_PLUGINS[0]} only"
            raise ConfigError(Problem(_PLUGIN_KEY, f"{message} (got {auth.plugin})"))
        self._auth = auth
        self._tls = tls

    def headers(self) -> Mapping[str, str]:
        """The headers that have the token, if there is one. ``PolicyLookupError`` when its file cannot be read."""
        if self._auth.plugin.strip() not in _TOKEN_PLUGINS:
            return {}
        try:
            return {"Authorization": f"Bearer {_token(self._auth.params)}"}
        except (OSError, UnicodeDecodeError):
            raise PolicyLookupError("the worker's own token cannot be read") from None

    def tls_context(self) -> ssl.SSLContext | bool:
        """What connections are encrypted with. ``PolicyLookupError`` when a file of it cannot be read."""
        if not self._tls:
            return False
        auth = self._auth
        try:
            context = ssl.create_default_context(cafile=auth.tls_trust_certs_file or None)
            context.check_hostname = auth.tls_hostname_verification and not auth.tls_allow_insecure
            if auth.tls_allow_insecure:
                context.verify_mode = ssl.CERT_NONE
            if auth.plugin.strip() in _TLS_PLUGINS:
                parts = dict(part.split(":", 1) for part in auth.params.split(",") if ":" in part)
                context.load_cert_chain(parts["tlsCertFile"], parts["tlsKeyFile"])
        except (OSError, KeyError):
            raise PolicyLookupError("the worker's own certificates cannot be read") from None
        return context


def _token(params: str) -> str:
    """The token of now. Source: ``AuthenticationToken#configure``."""
    if params.startswith("file:"):
        return Path(unquote(urlsplit(params).path)).read_text(encoding="ascii").strip()
    if params.startswith("token:"):
        return params.removeprefix("token:")
    try:
        return str(json.loads(params)["token"])
    except (ValueError, KeyError, TypeError):
        return params
