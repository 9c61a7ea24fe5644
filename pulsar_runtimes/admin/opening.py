"""What a worker answers that has not come up yet: what it waits for."""

from __future__ import annotations

from typing import Any

from starlette.responses import PlainTextResponse

from .answers import error_answer

_RETRY_SECONDS = 1


class Opening:
    """An ASGI application that says what is ``awaited``, until :meth:`open` gives it the one to pass requests to.

    Until then ``/live`` is answered as ever, and anything else with 503. It tells everybody, before anybody is asked
    who he is, so ``awaited`` must name no place and nobody.
    """

    def __init__(self, awaited: str) -> None:
        self.awaited = awaited
        self._app: Any = None

    def open(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            answer: Any = error_answer(503, f"this worker is not ready: it awaits {self.awaited}")
            answer.headers["Retry-After"] = str(_RETRY_SECONDS)
            if scope["path"] == "/live" and scope["method"] == "GET":
                answer = PlainTextResponse("true")
            await answer(scope, receive, send)
