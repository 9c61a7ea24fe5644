"""The first program of a pod, up to where the instance takes over."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.pod import main as pod
from pulsar_runtimes.pod.details import LOGGING_CONFIG_FILE, ORDINAL, Package, PodDetails
from pulsar_runtimes.testing import FakeClock

DETAILS = PodDetails(
    function="public/default/f",
    digest="new",
    admin_url="",
    packages=(Package("f.py"),),
    arguments=("--instance_id", ORDINAL),
)


@dataclass
class FakeWorker:
    """Answers each request with the next of ``answers``, the last of them for ever; keeps what it was asked."""

    url: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, b"code")])
    asked: list[tuple[str, str]] = field(default_factory=list)
    then: Callable[[], None] = lambda: None


@pytest.fixture
def worker() -> Iterator[FakeWorker]:
    fake = FakeWorker()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append((self.path, self.headers.get("Authorization", "")))
            status, body = fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            fake.then()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


def get(worker: FakeWorker, tmp_path: Path, **changes: object) -> Path:
    clock = FakeClock()
    details = replace(DETAILS, admin_url=worker.url, **changes)  # type: ignore[arg-type]
    (package,) = details.packages
    pod.download(details, package, tmp_path, clock=clock, sleep=clock.advance)
    return tmp_path / package.file


def test_the_package_comes_from_the_worker(worker: FakeWorker, tmp_path: Path) -> None:
    assert get(worker, tmp_path).read_bytes() == b"code"
    assert worker.asked == [("/admin/v3/functions/public/default/f/download", "")]
    assert [path.name for path in tmp_path.iterdir()] == ["f.py"]


def test_so_does_the_function_that_a_sink_applies(worker: FakeWorker, tmp_path: Path) -> None:
    get(worker, tmp_path, packages=(Package("t.jar", transform=True),))
    assert worker.asked[0][0].endswith("/download?transform-function=true")


@pytest.mark.parametrize("status", [500, 503, 404, 408])
def test_a_worker_that_is_not_ready_is_asked_again(worker: FakeWorker, tmp_path: Path, status: int) -> None:
    worker.answers = [(status, b""), (status, b""), (200, b"code")]
    assert get(worker, tmp_path).read_bytes() == b"code"


def test_a_token_that_is_renewed_counts(worker: FakeWorker, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    worker.answers = [(401, b""), (200, b"code")]

    def renew() -> None:
        token.write_text("new\n")

    worker.then = renew
    get(worker, tmp_path / "code", token_file=str(token))
    assert [sent for _, sent in worker.asked] == ["Bearer old", "Bearer new"]


def test_a_request_that_is_wrong_is_made_once(worker: FakeWorker, tmp_path: Path) -> None:
    worker.answers = [(400, b'{"reason": "no such thing"}')]
    with pytest.raises(LaunchError, match="the package cannot be downloaded: public/default/f: no such thing"):
        get(worker, tmp_path)
    assert len(worker.asked) == 1


def test_a_worker_that_stays_away_is_given_up(worker: FakeWorker, tmp_path: Path) -> None:
    worker.answers = [(503, b"")]
    with pytest.raises(LaunchError, match=r"cannot be downloaded: .*503"):
        get(worker, tmp_path)
    assert len(worker.asked) > 10


def test_a_directory_that_cannot_be_written_is_told(worker: FakeWorker, tmp_path: Path) -> None:
    (tmp_path / "f.py").mkdir()
    (tmp_path / "f.py/x").touch()
    with pytest.raises(LaunchError, match=r"f\.py: cannot be written"):
        get(worker, tmp_path)


def write(path: Path, digest: str) -> Path:
    path.write_text(replace(DETAILS, digest=digest).text())
    return path


def test_details_of_an_older_version_are_waited_out(tmp_path: Path) -> None:
    path, clock = write(tmp_path / "details.json", "old"), FakeClock()

    def sleep(seconds: float) -> None:
        clock.advance(seconds)
        if clock() > 1030:
            write(path, "new")

    assert pod.wait_for_details(path, "new", clock=clock, sleep=sleep).digest == "new"


def test_a_pod_that_is_about_to_go_takes_newer_ones(tmp_path: Path) -> None:
    path, clock = write(tmp_path / "details.json", "newer"), FakeClock()
    found = pod.wait_for_details(path, "new", clock=clock, sleep=clock.advance)
    assert found.digest == "newer"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "packages": [], "arguments": []}'])
def test_details_of_another_pfrun_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "details.json").write_text(text)
    with pytest.raises(LaunchError, match="the worker's pfrun is not that of the image"):
        pod.wait_for_details(tmp_path / "details.json", "new")


def test_details_come_back_as_they_were() -> None:
    assert PodDetails.parse(DETAILS.text()) == DETAILS


@pytest.mark.parametrize("name", ["", "f", "f-", "f-x", "f-²"])
def test_a_pod_must_have_a_number(name: str) -> None:
    with pytest.raises(LaunchError, match="POD_NAME: must be the name of a pod of a StatefulSet"):
        pod.parse_ordinal({"POD_NAME": name})


def test_the_number_is_at_the_end() -> None:
    assert pod.parse_ordinal({"POD_NAME": "pf-public-default-f2-13"}) == 13


def test_what_only_the_pod_knows_is_filled_in() -> None:
    number, config = pod.fill_in([f"n{ORDINAL}", LOGGING_CONFIG_FILE], 4)
    assert number == "n4"
    assert Path(config).is_file()


def test_a_program_that_is_not_there_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert pod._replaced_by(["/nowhere/java"]) == 1
    assert capfd.readouterr().err == "/nowhere/java: cannot be run in this image: No such file or directory\n"
