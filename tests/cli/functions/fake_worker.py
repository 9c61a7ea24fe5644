"""A web server for answers that pfrun's own worker does not give."""

from __future__ import annotations

import email.policy
import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def parts(self) -> dict[str, tuple[str | None, str, bytes]]:
        """The parts of its form: file name, type, content."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        found: dict[str, tuple[str | None, str, bytes]] = {}
        for part in BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body).iter_parts():
            name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found[str(name)] = (part.get_filename(), part.get_content_type(), content)
        return found

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.parts()["functionConfig"][2])
        return config


class FakeWorker:
    """Answers with :attr:`answer`: status, type, text, further headers. A server for as long as it is entered."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._scheme = "http" if tls is None else "https"
        self.answer: tuple[int, str, str] = (204, "", "")
        self.headers: dict[str, str] = {}
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def answers(self, status: int, told: Any) -> None:
        """From now on ``told``: text as a web page, all else as JSON."""
        is_page = isinstance(told, str)
        self.answer = (status, "text/html" if is_page else "application/json", told if is_page else json.dumps(told))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(worker: FakeWorker) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self._serve
            raise AttributeError(name)

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            worker.asked.append(Asked(self.command, self.path, headers, body))
            status, kind, text = worker.answer
            self.send_response(status)
            for name, value in worker.headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode() if status != 204 else b"")

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            pass

    return Handler
