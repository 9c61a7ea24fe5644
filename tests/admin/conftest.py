"""The admin API of a real worker, reached over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pulsar
import pytest

from pulsar_runtimes.admin.app import build_app
from pulsar_runtimes.admin.server import AdminServer
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.registration import Registration
from pulsar_runtimes.service.functions import FunctionService
from pulsar_runtimes.service.metrics import MetricsPage
from pulsar_runtimes.service.packages import PackageStore
from tests.waiting import until
from tests.workers import SAMPLES, Run

FUNCTIONS = "/admin/v3/functions"


@dataclass
class Kept:
    """A state of record that lasts as long as the test."""

    by_key: dict[FunctionKey, Registration] = field(default_factory=dict)

    def registrations(self) -> Mapping[FunctionKey, Registration]:
        return dict(self.by_key)

    def put(self, registration: Registration) -> None:
        self.by_key[registration.key] = registration

    def delete(self, registration: Registration) -> None:
        del self.by_key[registration.key]


class Api:
    """Calls of the admin API, as pulsar-admin makes them."""

    def __init__(self, http: httpx.Client, service: FunctionService) -> None:
        self.http = http
        self.service = service

    def path(self, name: str, rest: str = "") -> str:
        return f"{FUNCTIONS}/public/default/{name}{rest}"

    def register(self, name: str, /, code: Path | None = SAMPLES, **config: Any) -> httpx.Response:
        return self.http.post(self.path(name), files=parts(code, **config))

    def update(self, name: str, code: Path | None = None, **config: Any) -> httpx.Response:
        return self.http.put(self.path(name), files=parts(code, **config))

    def get(self, name: str, rest: str = "") -> httpx.Response:
        return self.http.get(self.path(name, rest))

    def post(self, name: str, rest: str, **texts: str) -> httpx.Response:
        files = {key: (None, text) for key, text in texts.items()}
        return self.http.post(self.path(name, rest), files=files or None)

    def await_running(self, name: str, count: int) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            status: dict[str, Any] = self.get(name, "/status").json()
            return status

        return until(look, lambda status: status["numRunning"] == count)


def parts(code: Path | None, **config: Any) -> dict[str, Any]:
    """The multipart body of a registration."""
    files: dict[str, Any] = {"functionConfig": (None, json.dumps(config), "application/json")}
    if code is not None:
        files["data"] = (code.name, code.read_bytes())
    return files


@pytest.fixture
def serve(run: Run, tmp_path: Path, pulsar_client: pulsar.Client) -> Iterator[Callable[..., Api]]:
    """``serve()`` is the API of a started worker with the process runtime on the broker that all tests share."""
    with ExitStack() as open_:
        yield partial(_serve, run, tmp_path, pulsar_client, open_)


def _serve(run: Run, directory: Path, pulsar_client: pulsar.Client, open_: ExitStack, kept: Kept | None = None) -> Api:
    worker = run("process")
    packages = PackageStore(directory / "packages")
    service = FunctionService(worker, kept or Kept(), packages, client=lambda: pulsar_client)
    metrics = MetricsPage(worker, "test", period_seconds=0.1)
    metrics.start()
    open_.callback(metrics.stop)
    app = build_app(service, metrics, worker_id="w1", host="127.0.0.1", port=6750)
    server = open_.enter_context(AdminServer(app, "127.0.0.1", 0))
    http = open_.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30))
    return Api(http, service)


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    return serve()


@pytest.fixture
def config(topic: Callable[[str], str]) -> dict[str, Any]:
    """A Python function between topics of its own."""
    return {
        "className": "samples.Exclaim",
        "inputs": [topic("in")],
        "output": topic("out"),
        "runtime": "PYTHON",
        "subscriptionPosition": "Earliest",
    }
