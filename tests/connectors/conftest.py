"""The admin API over a worker whose runtime only plays Java."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from pulsar_runtimes.service.broker_packages import BrokerPackages
from pulsar_runtimes.service.functions import FunctionService
from tests.admin.conftest import Kept, serve_worker
from tests.workers import Run

from .nars import write_connector, write_function

FAKE = "pulsar_runtimes.testing.fakes:FakeRuntimeFactory"


@dataclass
class Api:
    """Calls of the admin API about sinks, sources and functions."""

    http: httpx.Client
    service: FunctionService
    kept: Kept
    directory: Path

    def call(self, method: str, path: str, code: Path | None = None, /, **texts: Any) -> httpx.Response:
        """``method`` on ``path`` below ``/admin/v3``; each of ``texts`` is a part, and ``code`` the package."""
        files: dict[str, Any] = {
            name: (None, text if isinstance(text, str) else json.dumps(text)) for name, text in texts.items()
        }
        if code is not None:
            files["data"] = (code.name, code.read_bytes())
        return self.http.request(method, f"/admin/v3/{path}", files=files or None)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refusal(self, method: str, path: str, code: Path | None = None, /, **texts: Any) -> tuple[int, str]:
        """Status and reason."""
        answer = self.call(method, path, code, **texts)
        return answer.status_code, answer.json()["reason"]


@pytest.fixture
def nar(tmp_path: Path) -> Path:
    """A connector that is not built in."""
    return write_connector(tmp_path / "own.nar", "own")


@pytest.fixture
def serve(run: Run, tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """``serve(**keys)`` is the API of a worker with those settings, and with a connector and a function built in.

    It keeps packages below ``place``; ``brokers`` are those that keep them as well.
    """
    with ExitStack() as open_:
        for name in ("connectors", "functions"):
            (tmp_path / name).mkdir()
        write_connector(tmp_path / "connectors" / "both.nar")
        write_function(tmp_path / "functions" / "turn.nar")

        def start(brokers: BrokerPackages | None = None, kept: Kept | None = None, place: str = "", **keys: Any) -> Api:
            worker = run(
                FAKE,
                **{
                    "functionRuntimeFactoryConfigs": {"languages": ["JAVA", "PYTHON"]},
                    "pulsarServiceUrl": "pulsar://127.0.0.1:1",
                    "connectorsDirectory": str(tmp_path / "connectors"),
                    "functionsDirectory": str(tmp_path / "functions"),
                }
                | keys,
            )
            kept = kept or Kept()
            server, service = serve_worker(worker, tmp_path / place, None, open_, kept, brokers)
            http = open_.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30))
            return Api(http, service, kept, tmp_path)

        yield start


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    return serve()
