"""Workers with functions on the Kubernetes of the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.worker.worker import Worker
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.workload import Begin, counted_calls, worker_keys


@pytest.fixture
def begin(kubernetes: Cluster, job_namespace: str, tmp_path: Path) -> Iterator[Begin]:
    """``begin(kubeconfig, authenticated=..., **runtime)`` is a worker that has started, with keys of its section.

    What it has made goes with its namespace.
    """
    with ExitStack() as workers:

        def begin(kubeconfig: Path | None = None, *, authenticated: bool = False, **runtime: Any) -> Worker:
            keys = worker_keys(job_namespace, **runtime) | {"authenticationEnabled": authenticated}
            environment = {**os.environ, "KUBECONFIG": str(kubeconfig or kubernetes.kubeconfig)}
            worker = Worker(parse_worker_config(Section(keys), {}), state_dir=tmp_path, environment=environment)
            return workers.enter_context(worker)

        yield begin


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """Every request of every worker, as ``GET /path``."""
    with counted_calls() as made:
        yield made
