"""What becomes of answers that are no success, and of none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.daemon import Ran
from tests.cli.functions.fake_worker import FakeWorker

Pfrun = Callable[..., Ran]
Write = Callable[[str, str], str]

PAGE = """<html><head><title>Error {0} {1}</title></head><body><h2>HTTP ERROR {0}</h2></body></html>"""


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("status", "told", "code", "shown"),
    [
        (400, {"reason": "Namespace does not exist"}, 2, "public/default/f: Namespace does not exist"),
        (400, PAGE.format(400, "Bad Request"), 2, "it answers with a web page, 'Error 400 Bad Request'"),
        (404, {"reason": "Function f doesn't exist"}, 2, "public/default/f: Function f doesn't exist"),
        (401, {"reason": "Client is not authorized"}, 1, "{url}: not allowed: Client is not authorized (401); a token"),
        (401, PAGE.format(401, "Authentication required"), 1, "'Error 401 Authentication required' (401); a token"),
        (408, {"reason": "Request Timed Out"}, 1, "public/default/f: Request Timed Out (408)"),
        (413, {"reason": "too\nlarge\x1b[31m"}, 2, "public/default/f: too large [31m"),
        (500, PAGE.format(500, "Internal Server Error"), 1, "'Error 500 Internal Server Error' (500)"),
        (503, {"reason": "Leader not yet ready"}, 1, "public/default/f: Leader not yet ready (503)"),
        (502, "", 1, "public/default/f: Bad Gateway (502)"),
        (200, "<html>hello</html>", 1, "{url}: the answer is no JSON; is this a functions worker?"),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(
    asking: Pfrun, fake: FakeWorker, status: int, told: object, code: int, shown: str
) -> None:
    fake.answers(status, told)
    ran = asking("get", "--name", "f")
    assert (ran.code, ran.out) == (code, "")
    assert shown.format(url=fake.url) in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_worker_that_is_away_is_told_with_where_its_address_is_from(
    pfrun: Pfrun, nobody: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = f"{nobody}: no worker answers there: [Errno 111] Connection refused; "
    assert pfrun("functions", "list", "--url", nobody) == Ran(1, "", f"{refused}the address is from --url\n")
    monkeypatch.setenv("PULSAR_CLIENT_CONF", write("client.conf", f"webServiceUrl={nobody}/\n"))
    ran = pfrun("functions", "list")
    assert ran == Ran(1, "", f"{refused}the address is from webServiceUrl of client.conf\n")
    monkeypatch.setenv("PULSAR_ADMIN_URL", nobody)
    assert pfrun("functions", "list") == Ran(1, "", f"{refused}the address is from PULSAR_ADMIN_URL\n")


def test_a_connection_that_breaks_is_told(pfrun: Pfrun) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.settimeout(10)
        threading.Thread(target=lambda: listener.accept()[0].close()).start()
        ran = pfrun("functions", "list", "--url", url)
    assert ran.code == 1
    assert ran.err.startswith(f"{url}: the connection failed: ")
    assert len(ran.err.splitlines()) == 1


def test_the_next_of_several_addresses_is_asked(pfrun: Pfrun, fake: FakeWorker, nobody: str) -> None:
    fake.answers(200, ["f"])
    both = f"{nobody},{fake.url.removeprefix('http://')}/"
    assert pfrun("functions", "list", "--url", both).out == "NAME\nf\n"


def test_the_token_is_shown_to_the_worker_and_to_nobody_else(
    asking: Pfrun, fake: FakeWorker, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers(200, [])
    conf = write(
        "client.conf", "authPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken\nauthParams=token:c\n"
    )
    monkeypatch.setenv("PULSAR_CLIENT_CONF", conf)
    asking("list")
    monkeypatch.setenv("PULSAR_TOKEN", "e")
    asking("list")
    asking("list", "--token-file", write("token", "f\n"))
    assert [asked.headers["authorization"] for asked in fake.asked] == ["Bearer c", "Bearer e", "Bearer f"]

    fake.answers(401, {"reason": "no"})
    ran = asking("list")
    assert ran.err == f"{fake.url}: not allowed: no (401)\n"


def test_another_worker_that_the_answer_names_is_asked(asking: Pfrun, fake: FakeWorker, place: Path) -> None:
    with FakeWorker() as other:
        fake.answers(307, "")
        fake.headers["Location"] = f"{other.url}/admin/v3/functions/public/default/f"
        flags = ("--py", "samples.py", "--classname", "samples.F", "--inputs", "a", "--name", "f")
        assert asking("create", *flags).code == 0
        assert other.asked[0].method == "POST"
        assert other.asked[0].parts() == fake.asked[0].parts()
        assert other.asked[0].parts()["data"][2] == (place / "samples.py").read_bytes()


def test_a_redirect_to_something_else_is_not_followed(
    asking: Pfrun, fake: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSAR_TOKEN", "secret")
    with FakeWorker() as other:
        fake.answers(307, "")
        fake.headers["Location"] = f"{other.url}/elsewhere"
        ran = asking("list")
        assert ran == Ran(1, "", f"{fake.url}: redirects to {other.url}/elsewhere, which is no other worker\n")
        assert not other.asked
        fake.headers["Location"] = f"{fake.url}/admin/v3/functions/public/default"
        assert asking("list").err == f"{fake.url}: workers redirect to each other without end\n"


def test_a_status_of_strange_shape_is_no_reason_to_fail(asking: Pfrun, fake: FakeWorker) -> None:
    strange: list[Any] = [
        {},
        {"instances": None},
        {"instances": [{}]},
        {"instances": [{"instanceId": 0, "status": None}, 5]},
    ]
    for told in strange:
        fake.answers(200, told)
        assert asking("status", "--name", "f").code == 0
        assert asking("stats", "--name", "f").code == 0


def test_what_a_worker_says_does_nothing_to_a_terminal(asking: Pfrun, fake: FakeWorker) -> None:
    fake.answers(200, {"instances": [{"instanceId": 0, "status": {"running": False, "error": "a\n\x1b[31mb"}}]})
    shown = asking("status", "--name", "f").out
    assert shown.splitlines()[1].split() == ["0", "not", "running", "0", "a", "[31mb"]
    fake.answers(200, {"instances": []})
    assert asking("status", "--name", "f") == Ran(0, "", "the worker has no instance of it yet\n")
