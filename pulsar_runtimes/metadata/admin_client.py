"""The admin REST API of brokers and of other workers, as a client. The one door to the HTTP library."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import ClientAuth

REQUEST_SECONDS = 30.0

_MOST_REDIRECTS = 5

_TOKEN_PLUGINS = ("org.apache.pulsar.client.impl.auth.AuthenticationToken", "token")
_TLS_PLUGINS = ("org.apache.pulsar.client.impl.auth.AuthenticationTls", "tls")


class AdminError(MetadataError):
    """A request was refused. ``status`` is that of HTTP, ``reason`` what was said."""

    def __init__(self, status: int, text: str, reason: str = "") -> None:
        self.status = status
        self.reason = reason
        super().__init__(text)


class AdminClient:
    """Talks to the brokers at ``web_service_url``, which may name several hosts after each other.

    Any number of threads may use one. A token that is kept in a file is read for each request. ``MetadataError`` for
    credentials of another kind than a token or a TLS certificate.
    """

    def __init__(
        self, web_service_url: str, auth: ClientAuth | None = None, *, seconds: float = REQUEST_SECONDS
    ) -> None:
        scheme, _, hosts = web_service_url.rstrip("/").partition("://")
        if scheme not in ("http", "https") or not all(hosts.split(",")):
            raise MetadataError(f"pulsarWebServiceUrl: must be http://host:port (got {web_service_url!r})")
        self._bases = [f"{scheme}://{host}" for host in hosts.split(",")]
        self._auth = auth or ClientAuth()
        self._token = _token(self._auth)
        self._client = httpx.Client(
            verify=_tls(self._auth) if scheme == "https" else True, timeout=seconds, trust_env=False
        )

    def get(self, path: str) -> Any:
        """The JSON at ``path``, such as ``/admin/v2/clusters``; ``None`` where there is no JSON.

        ``AdminError`` when it is refused, ``MetadataError`` when no broker answers in time.
        """
        return self._ask("GET", path)

    def put(self, path: str, body: Any = None) -> Any:
        """Put ``body`` as JSON; answer and errors as :meth:`get` has them."""
        return self._ask("PUT", path, body)

    def post(self, path: str) -> Any:
        """Post nothing; answer and errors as :meth:`get` has them."""
        return self._ask("POST", path)

    def delete(self, path: str) -> Any:
        """Delete what is at ``path``; answer and errors as :meth:`get` has them."""
        return self._ask("DELETE", path)

    def put_form(self, path: str, files: Mapping[str, Any]) -> Any:
        """Put a multipart form; answer and errors as :meth:`get` has them."""
        return self._ask("PUT", path, files=files)

    def download(self, path: str, target: BinaryIO, max_bytes: int) -> None:
        """Write what is at ``path`` to ``target``; errors as :meth:`get` has them, and for more than ``max_bytes``."""
        self._first_that_answers("GET", path, lambda url: self._download(url, target, max_bytes))

    def _download(self, url: str, target: BinaryIO, max_bytes: int) -> None:
        headers = self._headers()
        for _ in range(_MOST_REDIRECTS + 1):
            with self._client.stream("GET", url, headers=headers) as answer:
                if answer.has_redirect_location:
                    url = str(answer.url.join(answer.headers["location"]))
                    continue
                if not answer.is_success:
                    answer.read()
                    raise _refusal("GET", answer)
                size = 0
                for chunk in answer.iter_bytes():
                    size += len(chunk)
                    if size > max_bytes:
                        raise AdminError(413, f"GET {url}: is larger than {max_bytes} bytes")
                    target.write(chunk)
                return
        raise MetadataError(f"GET {url}: more than {_MOST_REDIRECTS} redirects")

    def upload(self, path: str, content: BinaryIO, file_name: str, texts: Mapping[str, str]) -> None:
        """Post ``content`` as the part ``file`` of a form, beside ``texts`` in JSON; errors as with :meth:`get`."""
        parts: list[tuple[str, Any]] = [(name, (None, text, "application/json")) for name, text in texts.items()]
        files = [*parts, ("file", (file_name, content))]

        def post(url: str) -> None:
            answer = self._client.post(url, files=files, headers=self._headers(), follow_redirects=False)
            if not answer.is_success:
                raise _refusal("POST", answer)

        self._first_that_answers("POST", path, post)

    def _first_that_answers(self, method: str, path: str, act: Callable[[str], None]) -> None:
        """``act`` on the first broker that a connection can be made to; nothing was sent to those before it."""
        for number, base in enumerate(self._bases, 1):
            try:
                act(f"{base}{path}")
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if not isinstance(error, httpx.ConnectError) or number == len(self._bases):
                    why = str(error) or type(error).__name__
                    raise MetadataError(f"{method} {base}{path}: no broker answers: {why}") from None
            else:
                return

    def _ask(self, method: str, path: str, body: Any = None, files: Mapping[str, Any] | None = None) -> Any:
        failure: Exception | None = None
        headers = self._headers()
        for base in self._bases:
            try:
                answer = self._follow(method, f"{base}{path}", headers, json=body, files=files)
            except httpx.ConnectError as error:
                failure = error
                continue
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                failure = error
                break
            if answer.is_success:
                return answer.json() if _is_json(answer) else None
            raise _refusal(method, answer)
        why = str(failure) or type(failure).__name__
        raise MetadataError(f"{method} {self._bases[0]}{path}: nobody answers: {why}") from None

    def _follow(self, method: str, url: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        """The answer of the broker that the topic belongs to; others redirect, and it wants the credentials, too."""
        answer = self._client.request(method, url, headers=headers, **body)
        for _ in range(_MOST_REDIRECTS):
            if not answer.has_redirect_location:
                break
            url = str(answer.url.join(answer.headers["location"]))
            answer = self._client.request(method, url, headers=headers, **body)
        return answer

    def _headers(self) -> dict[str, str]:
        if not self._token:
            return {}
        text = self._token
        if text.startswith("file://"):
            try:
                text = Path(text.removeprefix("file://")).read_text().strip()
            except OSError as error:
                raise MetadataError(f"brokerClientAuthenticationParameters: {error}") from None
        return {"Authorization": f"Bearer {text}"}

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._client.close()


def _token(auth: ClientAuth) -> str:
    if auth.plugin in _TOKEN_PLUGINS:
        return auth.params.removeprefix("token:")
    if auth.plugin and auth.plugin not in _TLS_PLUGINS:
        known = ", ".join(names[0] for names in (_TOKEN_PLUGINS, _TLS_PLUGINS))
        raise MetadataError(f"brokerClientAuthenticationPlugin: must be one of {known} (got {auth.plugin!r})")
    return ""


def _tls(auth: ClientAuth) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=auth.tls_trust_certs_file or None)
        context.check_hostname = auth.tls_hostname_verification and not auth.tls_allow_insecure
        if auth.tls_allow_insecure:
            context.verify_mode = ssl.CERT_NONE
        if auth.plugin in _TLS_PLUGINS:
            parts = dict(part.split(":", 1) for part in auth.params.split(",") if ":" in part)
            context.load_cert_chain(parts["tlsCertFile"], parts["tlsKeyFile"])
    except KeyError as error:
        raise MetadataError(f"brokerClientAuthenticationParameters: lack {error}") from None
    except OSError as error:  # ssl.SSLError is one
        raise MetadataError(f"the TLS files for pulsarWebServiceUrl cannot be used: {error}") from None
    return context


def _is_json(answer: httpx.Response) -> bool:
    return bool(answer.content) and "json" in answer.headers.get("content-type", "")


def _refusal(method: str, answer: httpx.Response) -> AdminError:
    reason = _reason(answer)
    return AdminError(answer.status_code, f"{method} {answer.url}: {answer.status_code}: {reason}", reason)


def _reason(answer: httpx.Response) -> str:
    if _is_json(answer):
        body = answer.json()
        if isinstance(body, dict) and body.get("reason"):
            return str(body["reason"])
    return answer.text[:200] or answer.reason_phrase
