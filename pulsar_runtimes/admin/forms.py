"""The multipart bodies of the admin API: bounded, and packages go to disk as they come."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import BinaryIO

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from pulsar_runtimes.service.errors import RefusedError
from pulsar_runtimes.service.uploaded_packages import Upload

LARGEST_PACKAGE_BYTES = 2 << 30
LARGEST_TEXT_BYTES = 5 << 20
"""A part that is read into memory: a config, or a message, which the broker takes no larger either."""
_MOST_PARTS = 16

_BYTES = "latin-1"
"""Any bytes are text in it, and come back from that text: a message or a record without a file name is no UTF-8."""

_CHARSET = re.compile(r";\s*charset=[^;]*", re.IGNORECASE)


class TooLargeError(RefusedError):
    """The body of a request is larger than the worker takes."""


@dataclass(frozen=True, slots=True)
class Form:
    """The parts of one body. A part is text or a file, whichever way the client chose to send it.

    What did not come as a file is text to the parser, which has a letter for each of its bytes.
    """

    parts: FormData

    def text(self, name: str) -> str | None:
        """A part as text, ``None`` when it is not there."""
        content = self.data(name)
        try:
            return None if content is None else content.decode()
        except UnicodeDecodeError:
            raise RefusedError(f"{name}: must be UTF-8 text") from None

    def data(self, name: str) -> bytes | None:
        """A part as bytes, ``None`` when it is not there."""
        part = self.parts.get(name)
        if part is None or isinstance(part, str):
            return None if part is None else part.encode(_BYTES)
        return _content(name, part)

    def upload(self, name: str) -> Upload | None:
        """A part that is a file, ``None`` when it is not there or has no name."""
        part = self.parts.get(name)
        if not isinstance(part, UploadFile) or not part.filename:
            return None
        file: BinaryIO = part.file
        return Upload(file, part.filename.encode(_BYTES).decode(errors="replace"))


def _content(name: str, part: UploadFile) -> bytes:
    """All of a part that came as a file: never the beginning of one that is larger."""
    content: bytes = part.file.read(LARGEST_TEXT_BYTES + 1)
    if len(content) > LARGEST_TEXT_BYTES:
        raise TooLargeError(f"{name}: is larger than {LARGEST_TEXT_BYTES} bytes")
    return content


async def read_form(request: Request) -> Form:
    """The form of a request. ``RefusedError`` when it is none, ``TooLargeError`` when it is too large."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RefusedError("the body must be multipart/form-data")
    limits = {"max_files": _MOST_PARTS, "max_fields": _MOST_PARTS, "max_part_size": LARGEST_TEXT_BYTES}
    content_type = f"{_CHARSET.sub('', request.headers['content-type'])}; charset={_BYTES}"
    parser = MultiPartParser(Headers({"content-type": content_type}), _bounded(request), **limits)
    try:
        return Form(await parser.parse())
    except MultiPartException as error:
        raise RefusedError(f"the body is no multipart form: {error.message}") from None
    except KeyError:
        raise RefusedError("the content type has no boundary") from None


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_PACKAGE_BYTES:
            raise TooLargeError(f"the body is larger than {LARGEST_PACKAGE_BYTES} bytes")
        yield chunk
