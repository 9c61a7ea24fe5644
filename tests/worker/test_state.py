"""Which state store a worker's functions get, and that they share it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes import FunctionSpec, Worker
from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.model.function import Language
from pulsar_runtimes.state.sqlite_store import SqliteStateStore, sqlite_url
from pulsar_runtimes.testing import function_spec
from tests.channel import Channel
from tests.waiting import until
from tests.workers import Build, Run

Open = Callable[[FunctionSpec], Channel]


def worker_of(directory: Path, **keys: Any) -> Worker:
    return Worker(parse_worker_config(parse_document(json.dumps(keys)), {}), state_dir=directory)


def test_beside_the_embedded_broker_python_functions_have_state(tmp_path: Path) -> None:
    worker = worker_of(tmp_path)
    url = sqlite_url(tmp_path / "function-state.db")
    assert worker.state_url == worker.embedded_state_url == url
    for language, told in ((Language.PYTHON, url), (Language.JAVA, ""), (Language.GO, "")):
        (instance,) = worker.plan(function_spec(language=language))
        assert (instance.state_storage_url, instance.embedded_state_url) == ("", told)


@pytest.mark.parametrize("keys", [{}, {"pulsarServiceUrl": "pulsar://h:6650"}])
def test_a_store_that_is_configured_is_everybody_s(keys: dict[str, Any], tmp_path: Path) -> None:
    worker = worker_of(tmp_path, stateStorageServiceUrl="bk://h:4181", **keys)
    assert (worker.state_url, worker.embedded_state_url) == ("bk://h:4181", "")
    for language in Language:
        (instance,) = worker.plan(function_spec(language=language))
        assert (instance.state_storage_url, instance.embedded_state_url) == ("bk://h:4181", "")


def test_with_a_broker_of_somebody_else_s_there_is_no_state_unless_it_is_configured(tmp_path: Path) -> None:
    worker = worker_of(tmp_path, pulsarServiceUrl="pulsar://h:6650")
    assert (worker.state_url, worker.embedded_state_url) == ("", "")
    (instance,) = worker.plan(function_spec())
    assert instance.python_state_url == ""


def test_a_store_that_pfrun_cannot_use_is_a_warning_of_the_worker(tmp_path: Path) -> None:
    (warning,) = worker_of(tmp_path, stateStorageServiceUrl="redsi://h").warnings
    assert warning.path == "stateStorageServiceUrl"
    assert warning.message.startswith("pfrun itself cannot use it: no state store named 'redsi'; installed: bk, sqlite")
    assert worker_of(tmp_path, stateStorageServiceUrl="bk://h:4181").warnings == ()


@pytest.mark.broker
@pytest.mark.parametrize("factory", ["thread", "process"])
def test_all_instances_of_a_function_count_together(
    factory: str, run: Run, build: Build, channel: Open, tmp_path: Path
) -> None:
    url = sqlite_url(tmp_path / "state.db")
    worker = run(factory, stateStorageServiceUrl=url)
    function = build("CountWords", parallelism=3)
    worker.submit(function)
    worker.wait_running(function.key)
    channel(function).send("a b" for _ in range(60))
    with contextlib.closing(SqliteStateStore.from_url(url)) as store:

        def count() -> list[int | None]:
            found = [store.get(function.key, word) for word in ("a", "b", "last")]
            return [None if each is None else each.number for each in found]

        until(count, lambda seen: seen == [60, 60, None])
