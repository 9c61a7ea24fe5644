"""The HTTP server of the admin API."""

from __future__ import annotations

import time

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pulsar_runtimes.admin.server import AdminServer


async def _page(request: Request) -> Response:
    return PlainTextResponse("page")


def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_head() -> None:
    """Nagle's algorithm and delayed acknowledgements make each answer of a kept connection take 40 ms."""
    server = AdminServer(Starlette(routes=[Route("/", _page)]), "127.0.0.1", 0)
    with server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as http:

        def seconds() -> float:
            started = time.monotonic()
            assert http.get("/").text == "page"
            return time.monotonic() - started

        assert sorted(seconds() for _ in range(60))[15] < 0.03
