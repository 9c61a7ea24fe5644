"""The admin API over a worker whose instances are fakes: many functions, or any figures, in no time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.registration import Registration
from pulsar_runtimes.service.functions import FunctionService
from pulsar_runtimes.service.packages import PackageStore
from pulsar_runtimes.testing import FakeRuntimeFactory, function_spec
from pulsar_runtimes.worker.worker import Worker
from tests.admin.conftest import Kept, serve_worker

FACTORY = f"{FakeRuntimeFactory.__module__}.{FakeRuntimeFactory.__name__}"
NO_BROKER = "pulsar://127.0.0.1:1"


@dataclass(frozen=True)
class Served:
    """What a test may touch. ``register`` makes a function known that the API then runs."""

    url: str
    http: httpx.Client
    service: FunctionService
    kept: Kept

    @property
    def factory(self) -> FakeRuntimeFactory:
        factory = self.service.worker.factory
        assert isinstance(factory, FakeRuntimeFactory)
        return factory


@contextmanager
def serve_fakes(directory: Path, *, functions: int = 0, running: int = 0) -> Iterator[Served]:
    """The API with ``functions`` registered, of which the first ``running`` run and somebody stopped the others."""
    kept = Kept()
    code = directory / "exclaim.py"
    code.write_text("def process(input):\n    return input\n")
    packages = PackageStore(directory / "packages")
    with code.open("rb") as content:
        package = packages.add(content, code.name)
    for number in range(functions):
        function = function_spec(name=f"f{number}", package="")
        registration = Registration(function, package, stopped={0: number >= running})
        kept.by_key[registration.key] = registration
    document = {"functionRuntimeFactoryClassName": FACTORY, "pulsarServiceUrl": NO_BROKER}
    config = parse_worker_config(parse_document(json.dumps(document)), {})
    with Worker(config, state_dir=directory / "state") as worker, ExitStack() as open_:
        server, service = serve_worker(worker, directory, None, open_, kept)
        url = f"http://127.0.0.1:{server.port}"
        http = open_.enter_context(httpx.Client(base_url=url, timeout=30))
        yield Served(url, http, service, kept)
