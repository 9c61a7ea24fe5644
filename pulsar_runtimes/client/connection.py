"""HTTP to a worker: addresses in turn, redirects between workers, and errors as one line. The door to ``httpx``."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit

import httpx

from pulsar_runtimes._version import __version__
from pulsar_runtimes.model.errors import ConfigError, Problem

from .config import ClientConfig
from .errors import MissingError, RequestError, WorkerError

Part = tuple[str | None, str | bytes | BinaryIO, str]
"""A part of a multipart body: its file name if it has one, its content, its type."""

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 120.0
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 307, 308)
_LARGEST_ANSWER_BYTES = 256 << 20
_LONGEST_REASON = 2000
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_JSON = "application/json"


class Connection:
    """Requests to the worker of a configuration. Use it from one thread, and close it."""

    def __init__(self, config: ClientConfig, *, answer_seconds: float = _ANSWER_SECONDS) -> None:
        """``ConfigError`` when the certificates to trust cannot be read. Nothing is sent yet."""
        self._config = config
        self._urls = config.urls
        self._answer_seconds = answer_seconds
        headers = {"User-Agent": f"pfrun/{__version__}"}
        if config.token:
            headers["Authorization"] = f"Bearer {config.token}"
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(answer_seconds, connect=_CONNECT_SECONDS),
            verify=_trust(config),
            trust_env=False,  # a proxy of the shell's would be asked for 127.0.0.1 as well
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        about: str = "",
        accept: str = _JSON,
        query: Mapping[str, str] | None = None,
        parts: Sequence[tuple[str, Part]] | None = None,
    ) -> httpx.Response:
        """The worker's answer, read completely. ``WorkerError`` for each that is no success.

        ``about`` is what the request is about, and stands first in the message of its failure. Files in ``parts``
        are read as they are sent.
        """
        request = (method, path, about, accept, query, parts)
        with self.open(*request) as answer:
            self._read(answer)
            return answer

    def ask_json(
        self, path: str, *, about: str = "", method: str = "GET", query: Mapping[str, str] | None = None
    ) -> Any:
        """The JSON at ``path``."""
        answer = self.ask(method, path, about=about, query=query)
        try:
            return answer.json()
        except ValueError:
            raise WorkerError(f"{_place(answer)}: the answer is no JSON; is this a functions worker?") from None

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        path: str,
        about: str = "",
        accept: str = "*/*",
        query: Mapping[str, str] | None = None,
        parts: Sequence[tuple[str, Part]] | None = None,
    ) -> Iterator[httpx.Response]:
        """The same answer with its body not read yet: take it from ``iter_bytes``."""
        with contextlib.ExitStack() as stack, self._told():
            answer = stack.enter_context(self._send(method, path, accept, query, parts))
            if not answer.is_success:
                self._read(answer)
                raise _failure(answer, about)
            yield answer

    def _send(
        self,
        method: str,
        path: str,
        accept: str,
        query: Mapping[str, str] | None,
        parts: Sequence[tuple[str, Part]] | None,
    ) -> contextlib.AbstractContextManager[httpx.Response]:
        settings: dict[str, Any] = {"params": query, "files": parts, "headers": {"Accept": accept}}
        for url in self._urls:
            try:
                answer = self._http.send(self._http.build_request(method, url + path, **settings), stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                reason = str(error) or "no connection in time"
                continue
            self._urls = (url,)
            return contextlib.closing(self._follow(answer, method, settings))
        raise WorkerError(f"{', '.join(self._urls)}: no worker answers there: {reason}; {self._origin()}")

    def _origin(self) -> str:
        if self._config.url_origin == "default":
            return "it is the default address, --url or PULSAR_ADMIN_URL gives another"
        return f"the address is from {self._config.url_origin}"

    def _follow(self, answer: httpx.Response, method: str, settings: Mapping[str, Any]) -> httpx.Response:
        """What the worker answers that the answer names. The token goes along, as workers share it: so the target
        must be the same path, and not give up TLS."""
        for _ in range(_MOST_REDIRECTS):
            if answer.status_code not in _REDIRECTS:
                return answer
            target = answer.url.join(answer.headers.get("location", ""))
            answer.close()
            if (target.scheme, target.path) != (answer.url.scheme, answer.url.path):
                raise WorkerError(f"{_place(answer)}: redirects to {target}, which is no other worker")
            answer = self._http.send(
                self._http.build_request(
                    method, target.copy_with(query=answer.url.query), **{**settings, "params": None}
                ),
                stream=True,
            )
        answer.close()
        raise WorkerError(f"{_place(answer)}: workers redirect to each other without end")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong on the way, as one line."""
        try:
            yield
        except httpx.TimeoutException:
            raise WorkerError(f"{self._urls[0]}: no answer within {self._answer_seconds:g} s") from None
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
            raise WorkerError(f"{self._urls[0]}: the connection failed: {error or type(error).__name__}") from None

    def _read(self, answer: httpx.Response) -> None:
        """Read the body, as long as it is of a size that a worker may send."""
        if int(answer.headers.get("content-length") or 0) > _LARGEST_ANSWER_BYTES:
            raise WorkerError(f"{_place(answer)}: the answer is too large")
        answer.read()

    def close(self) -> None:
        """Idempotent."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _trust(config: ClientConfig) -> ssl.SSLContext | bool:
    if config.trust_certs is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(config.trust_certs))
    except (OSError, ssl.SSLError):
        raise ConfigError(Problem("", "holds no certificates in PEM form", str(config.trust_certs))) from None


def _place(answer: httpx.Response) -> str:
    parts = urlsplit(str(answer.url))
    return f"{parts.scheme}://{parts.netloc}"


def _failure(answer: httpx.Response, about: str) -> WorkerError:
    status, given = answer.status_code, _given_reason(answer)
    reason, where = given or _page_title(answer), about or _place(answer)
    if status in (401, 403):
        hint = "" if "authorization" in answer.request.headers else "; a token goes into --token-file or PULSAR_TOKEN"
        return WorkerError(f"{_place(answer)}: not allowed: {reason} ({status}){hint}", status)
    if status == 404:
        return MissingError(f"{where}: {reason}", status, is_reasoned=bool(given))
    if 400 <= status < 500 and status != 408:
        return RequestError(f"{where}: {reason}", status, is_reasoned=bool(given))
    return WorkerError(f"{where}: {reason} ({status})", status, is_reasoned=bool(given))


def _given_reason(answer: httpx.Response) -> str:
    try:
        told = answer.json()
    except ValueError:
        return ""
    return _one_line(str(told.get("reason") or "")) if isinstance(told, dict) else ""


def _page_title(answer: httpx.Response) -> str:
    """What the page of a web server is about; without a page what the status means."""
    title = _TITLE.search(answer.text)
    usual = answer.reason_phrase or "failed"
    page = _one_line(unescape(title[1])) if title else ""
    return f"{usual}; it answers with a web page, {page!r}" if page else usual


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:_LONGEST_REASON]
