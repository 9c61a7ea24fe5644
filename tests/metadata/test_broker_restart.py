"""A real Pulsar that dies and comes back while tables are led and followed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pulsar
import pytest

from pulsar_runtimes.metadata.admin_client import AdminClient
from pulsar_runtimes.metadata.registrations import RegistrationTable
from pulsar_runtimes.metadata.topic_admin import ensure_topics
from pulsar_runtimes.metadata.topic_names import TopicNames
from pulsar_runtimes.model.errors import MetadataError, OutdatedError
from pulsar_runtimes.model.names import FunctionKey
from tests.metadata.registered import registered
from tests.standalone import standalone
from tests.standalone.requirement import or_skip
from tests.standalone.standalone import Standalone
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

KEY = FunctionKey("public", "default", "exclaim")


@pytest.fixture
def broker(pulsar_home: Path, tmp_path: Path) -> Iterator[list[Standalone]]:
    running: list[Standalone] = []
    running.append(or_skip(lambda: standalone.start(tmp_path, pulsar_home, os.environ, dies_with_caller=True)))
    yield running
    running[-1].stop()


def test_nothing_is_lost_and_everybody_goes_on(broker: list[Standalone], pulsar_home: Path, tmp_path: Path) -> None:
    admin = AdminClient(broker[0].admin_url)
    ensure_topics(admin, TopicNames())
    admin.close()
    client = pulsar.Client(
        broker[0].service_url, logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, str(tmp_path / "client.log"))
    )
    leader = RegistrationTable(client, TopicNames().metadata, worker_id="one", seconds=60)
    follower = RegistrationTable(client, TopicNames().metadata, worker_id="two")
    told: list[int] = []
    failed: list[MetadataError] = []
    follower.load()
    follower.follow(lambda _, found: told.append(found.version if found else -1), failed.append)
    leader.load()
    leader.lead()
    confirmed: list[int] = []
    finished = threading.Event()

    def write() -> None:
        """One version after the other; one that was not confirmed is tried again, and may turn out to be there."""
        version = 0
        while not finished.is_set():
            try:
                leader.put(registered(version=version))
            except OutdatedError:
                pass
            except MetadataError as error:
                failed.append(error)
                continue
            confirmed.append(version)
            version += 1

    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: len(confirmed), lambda count: count > 50)
    os.kill(broker[-1].identity.pid, signal.SIGKILL)
    broker[-1].stop()
    before = len(confirmed)
    broker.append(standalone.start(tmp_path, pulsar_home, os.environ, dies_with_caller=True))
    until(lambda: len(confirmed), lambda count: count > before + 50, seconds=60)
    finished.set()
    writer.join()

    until(lambda: len(told), len(confirmed).__eq__)
    assert told == confirmed == list(range(len(confirmed)))
    assert not failed
    late = RegistrationTable(client, TopicNames().metadata, worker_id="three")
    late.load()
    assert late.registrations() == leader.registrations() == follower.registrations()
    assert late.get(KEY) == replace(registered(), version=confirmed[-1])
    with pytest.raises(MetadataError, match="another worker writes"):
        late.lead()
    leader.resign()
    late.lead()
    for table in (leader, follower, late):
        table.close()
    client.shutdown()
