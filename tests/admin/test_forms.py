"""Multipart bodies, as different clients send them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from starlette.requests import Request

from pulsar_runtimes.admin.forms import Form, read_form
from pulsar_runtimes.service.errors import RefusedError

NO_TEXT = bytes(range(256))

Build = Callable[..., Form]


@pytest.fixture
def form() -> Iterator[Callable[..., Form]]:
    """``form(*parts)`` is that of a body whose ``parts`` are what stands behind ``name=``, and the content."""
    read: list[Form] = []

    def build(*parts: tuple[str, bytes], content_type: str = "multipart/form-data; boundary=b") -> Form:
        read.append(_read(parts, content_type))
        return read[-1]

    yield build
    for each in read:
        asyncio.run(each.parts.close())


def _read(parts: Iterable[tuple[str, bytes]], content_type: str) -> Form:
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%b\r\n\r\n%b\r\n' % (head.encode(), content)
        for head, content in parts
    )
    scope: dict[str, Any] = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode())]}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body + b"--b--\r\n", "more_body": False}

    return asyncio.run(read_form(Request(scope, receive)))


@pytest.mark.parametrize("head", ['data"', 'data"; filename="record"'])
def test_bytes_stay_as_they_are_whether_they_came_as_a_file_or_not(form: Build, head: str) -> None:
    assert form((head, NO_TEXT)).data("data") == NO_TEXT


@pytest.mark.parametrize("more", ["", "; charset=utf-8", "; Charset=ISO-8859-1"])
def test_text_is_utf_8(form: Build, more: str) -> None:
    sent = form(('name"', "Grüße".encode()), content_type=f"multipart/form-data; boundary=b{more}")
    assert (sent.text("name"), sent.data("name")) == ("Grüße", "Grüße".encode())
    assert sent.text("another") is None


def test_what_is_no_utf_8_is_no_text(form: Build) -> None:
    with pytest.raises(RefusedError, match="name: must be UTF-8 text"):
        form(('name"', NO_TEXT)).text("name")


def test_a_file_has_the_name_it_was_sent_with(form: Build) -> None:
    upload = form(('data"; filename="prüfung.py"', b"code")).upload("data")
    assert upload is not None
    assert (upload.file_name, upload.content.read()) == ("prüfung.py", b"code")
