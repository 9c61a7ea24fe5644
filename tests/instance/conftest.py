"""What the tests of the Python instance share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pulsar
import pytest

from tests.instance.workbench import Workbench


@pytest.fixture
def workbench(pulsar_client: pulsar.Client, broker_url: str, topic: Callable[[str], str]) -> Iterator[Workbench]:
    bench = Workbench(pulsar_client, broker_url, topic)
    yield bench
    bench.clear()
