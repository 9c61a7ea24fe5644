"""The admin API of a real worker, reached over HTTP."""

from __future__ import annotations

import contextlib
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

from pulsar_runtimes.admin import token_authentication
from pulsar_runtimes.admin.access import AccessControl
from pulsar_runtimes.admin.app import build_app
from pulsar_runtimes.admin.instances import Instances
from pulsar_runtimes.admin.server import AdminServer
from pulsar_runtimes.metadata.election import Member
from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import ClientAuth
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import Registration
from pulsar_runtimes.service.broker_packages import BrokerPackages
from pulsar_runtimes.service.errors import RefusedError
from pulsar_runtimes.service.fetched_packages import FetchedPackages
from pulsar_runtimes.service.functions import FunctionService
from pulsar_runtimes.service.metrics import MetricsPage
from pulsar_runtimes.service.own_packages import OwnPackages
from pulsar_runtimes.service.package_urls import UrlRules
from pulsar_runtimes.service.packages import PackageStore
from pulsar_runtimes.service.peers import HttpPeers
from pulsar_runtimes.worker.worker import Worker
from tests.admin.keys import SECRET, base64_text
from tests.waiting import until
from tests.workers import SAMPLES, Run

FUNCTIONS = "/admin/v3/functions"


ME = Member("w1", "127.0.0.1", 6750)


@dataclass
class Kept:
    """A cluster of one worker, whose state of record lasts as long as the test."""

    by_key: dict[FunctionKey, Registration] = field(default_factory=dict)
    service: FunctionService | None = None
    me: Member = ME
    leads: bool = True

    def registrations(self) -> Mapping[FunctionKey, Registration]:
        return dict(self.by_key)

    def meant(self) -> list[Registration]:
        return list(self.by_key.values())

    def unreadable(self) -> set[FunctionKey]:
        return set()

    def files_elsewhere(self) -> set[str]:
        return set()

    def put(self, registration: Registration) -> None:
        self.by_key[registration.key] = registration
        self.give(registration.key)

    def delete(self, registration: Registration) -> None:
        del self.by_key[registration.key]
        self.give(registration.key)

    def give(self, key: FunctionKey) -> None:
        """Have the worker run all of a function."""
        registration = self.by_key.get(key)
        assert self.service is not None
        with contextlib.suppress(PfrunError):
            self.service.take(key, registration, range(registration.function.parallelism if registration else 0))

    def members(self) -> tuple[Member, ...]:
        return (ME,)

    def leader(self) -> Member | None:
        return ME

    def owner(self, key: InstanceKey) -> Member | None:
        return ME

    def assigned(self) -> Mapping[InstanceKey, str]:
        return {
            InstanceKey(key, number): "w1"
            for key, registration in self.by_key.items()
            for number in range(registration.function.parallelism)
        }

    def rebalance(self) -> None:
        raise RefusedError("Too few workers (need at least 2)")

    def drain(self, worker_id: str) -> None:
        self.rebalance()

    def is_drained(self, worker_id: str) -> bool | None:
        return None

    def check(self) -> None:
        """Nothing can go wrong here."""

    def write(self, record: bytes, *, delete: bool) -> None:
        raise RefusedError("nobody else is there")


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
    """``serve()`` is the API of a started worker with the process runtime on the broker that all tests share.

    ``serve(kept, superUserRoles=...)`` gives the worker keys.
    """
    with ExitStack() as open_:
        yield partial(_serve, run, tmp_path, pulsar_client, open_)


def _serve(
    run: Run, directory: Path, pulsar_client: pulsar.Client, open_: ExitStack, kept: Kept | None = None, **keys: Any
) -> Api:
    server, service = serve_worker(run("process", **keys), directory, pulsar_client, open_, kept)
    http = open_.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30))
    return Api(http, service)


def serve_worker(
    worker: Worker,
    directory: Path,
    pulsar_client: pulsar.Client | None,
    open_: ExitStack,
    kept: Kept | None = None,
    brokers: BrokerPackages | None = None,
) -> tuple[AdminServer, FunctionService]:
    """The admin API of ``worker``, which is alone, until ``open_`` ends. ``brokers`` keep what is uploaded."""
    cluster = kept or Kept()
    packages = PackageStore(directory / "packages")
    service = cluster.service = FunctionService(
        worker,
        cluster,
        packages,
        client=lambda: pulsar_client,
        state_url=worker.state_url,
        fetched=FetchedPackages(packages, UrlRules.from_config(worker.config), brokers),
        own=None if brokers is None else OwnPackages(brokers, "persistent://public/functions/metadata"),
    )
    for key in cluster.registrations():
        cluster.give(key)
    metrics = MetricsPage(worker, "test", service.specs, period_seconds=0.1, figures_seconds=0.1)
    metrics.start()
    open_.callback(metrics.stop)
    instances = Instances(service, ME, cluster.owner, HttpPeers(ClientAuth()))
    app = build_app(instances, cluster, cluster, metrics, AccessControl.from_config(worker.config))
    return open_.enter_context(AdminServer(app, "127.0.0.1", 0)), service


@pytest.fixture
def api(serve: Callable[..., Api]) -> Api:
    return serve()


@pytest.fixture(scope="session")
def token_keys() -> dict[str, Any]:
    """The keys of a worker that knows its callers by tokens of ``tests.admin.keys``."""
    return {
        "authenticationEnabled": True,
        "authenticationProviders": [token_authentication.PROVIDER],
        "properties": {"tokenSecretKey": base64_text(SECRET)},
    }


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
