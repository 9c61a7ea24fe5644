"""What a worker answers while it comes up."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pulsar_runtimes.admin.opening import Opening
from pulsar_runtimes.admin.server import AdminServer

AWAITED = "what is registered, which it reads"


async def _ready(request: Request) -> Response:
    return PlainTextResponse("true")


def test_a_worker_that_is_not_ready_says_what_it_awaits_and_then_serves() -> None:
    opening = Opening("the brokers")
    with (
        AdminServer(opening, "127.0.0.1", 0) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as http,
    ):
        assert http.get("/live").text == "true"
        assert http.get("/ready").json() == {"reason": "this worker is not ready: it awaits the brokers"}
        opening.awaited = AWAITED
        for answer in (http.get("/ready"), http.post("/admin/v3/functions/a/b/c"), http.post("/live")):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert answer.json() == {"reason": f"this worker is not ready: it awaits {AWAITED}"}
        opening.open(Starlette(routes=[Route("/ready", _ready)]))
        assert http.get("/ready").text == "true"
