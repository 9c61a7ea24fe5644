"""What brokers say of themselves, and what is made of silence and nonsense."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from pulsar_runtimes.brokers.greeting import read_server_version
from pulsar_runtimes.brokers.lite import LiteBroker

REAL = b"\x00\x00\x00\x22\x00\x00\x00\x1e\x08\x03\x1a\x1a\n\x12Pulsar Server4.0.8\x10\x15\x18\x80\x80\xc0\x02"

Serve = Callable[[bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(answer)`` is the URL of a listener that answers so, once, and closes."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        threading.Thread(target=talk, daemon=True).start()
        return f"pulsar://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.broker
@pytest.mark.usefixtures("embedded_only")
def test_the_embedded_broker_says_its_name(broker_url: str) -> None:
    assert read_server_version(broker_url).startswith(LiteBroker.server_name)


def test_an_answer_is_read_up_to_the_end_of_the_version(serve: Serve) -> None:
    assert read_server_version(serve(REAL)) == "Pulsar Server4.0.8"


def test_the_first_of_several_brokers_that_answers_is_asked(serve: Serve) -> None:
    url = serve(REAL)
    assert read_server_version(url.replace("//", "//127.0.0.1:1,")) == "Pulsar Server4.0.8"


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 5000, REAL[:20], b"\0\0\0\x06\0\0\0\x02\x08\x07"]
)
def test_nonsense_is_no_version(answer: bytes, serve: Serve) -> None:
    assert read_server_version(serve(answer), timeout_seconds=0.2) == ""


@pytest.mark.parametrize(
    "url",
    ["pulsar+ssl://127.0.0.1:1", "pulsar://127.0.0.1:1", "pulsar://", "pulsar://[::1", "http://x", "pulsar://a:b"],
)
def test_where_nobody_can_be_asked_there_is_no_version(url: str) -> None:
    assert read_server_version(url, timeout_seconds=0.2) == ""
