"""From what the service says to an HTTP answer, and errors to ``{"reason": ...}``."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO

from anyio import CapacityLimiter, to_thread
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.service.errors import NotFoundError, NotReadyError, RefusedError
from pulsar_runtimes.service.trigger import TriggerTimeout

from .errors import UnauthorizedError
from .forms import Form, TooLargeError, read_form
from .instances import ElsewhereError

_STATUS: tuple[tuple[type[PfrunError], int], ...] = (
    (UnauthorizedError, 401),
    (TooLargeError, 413),
    (RefusedError, 400),
    (NotFoundError, 404),
    (TriggerTimeout, 408),
    (NotReadyError, 503),
    (PfrunError, 500),
)
_MOST_WAITING = 100
"""How many requests that wait for a function do so at once; more of them stand in a row of their own."""

_CHUNK_BYTES = 1 << 16
_log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


def json_answer(value: Any, status: int = 200) -> Response:
    """``value`` as compact JSON, its members in their order."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return Response(text, status_code=status, media_type="application/json")


def file_answer(content: BinaryIO) -> Response:
    """The bytes of an open file, which is closed afterwards. Their type is what the reference says of packages."""
    chunks = iter(lambda: content.read(_CHUNK_BYTES), b"")
    return StreamingResponse(chunks, media_type="application/json", background=BackgroundTask(content.close))


def error_answer(status: int, reason: str) -> Response:
    return json_answer({"reason": reason}, status)


def failure_answer(error: Exception, request: Request | None = None) -> Response:
    """The answer for an exception; one that nobody raised on purpose is logged, and not told to strangers."""
    if isinstance(error, ElsewhereError) and request is not None:
        host = f"[{error.worker.host}]" if ":" in error.worker.host else error.worker.host
        there = request.url.replace(netloc=f"{host}:{error.worker.port}")
        if error.path:
            there = there.replace(path=error.path, query=error.query)
        return Response(status_code=307, headers={"location": str(there)})
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return error_answer(status, str(error))
    _log.error("a request failed", exc_info=error)
    return error_answer(500, "internal error; the worker's log has it")


def answering(call: Callable[[Request], Any]) -> Endpoint:
    """An endpoint of a function that may wait: it runs in a thread. ``None`` is 204, a ``Response`` goes as it is."""

    async def endpoint(request: Request) -> Response:
        try:
            return _answer(await run_in_threadpool(call, request))
        except Exception as error:
            return failure_answer(error, request)

    return endpoint


def answering_form(call: Callable[[Request, Form], Any], *, waits: bool = False) -> Endpoint:
    """The same for requests with a multipart body. One that ``waits`` for a function takes no thread from others."""
    limiter = CapacityLimiter(_MOST_WAITING) if waits else None

    async def endpoint(request: Request) -> Response:
        try:
            form = await read_form(request)
            try:
                return _answer(await to_thread.run_sync(call, request, form, limiter=limiter))
            finally:
                await form.parts.close()
        except Exception as error:
            return failure_answer(error, request)

    return endpoint


def _answer(value: Any) -> Response:
    if isinstance(value, Response):
        return value
    return Response(status_code=204) if value is None else json_answer(value)
