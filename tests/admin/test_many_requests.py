"""1,000 requests at once: all are answered, and nothing stays of them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.admin.fake_worker import Served, serve_fakes
from tests.waiting import until

AT_ONCE = 1000
POOL_THREADS = 40
"""The most that the server lets wait at once."""
TRIGGERS = 50
"""More than there are threads for everything else."""

PATHS = (
    "/admin/v3/functions/public/default",
    "/admin/v3/functions/public/default/f0",
    "/admin/v3/functions/public/default/f0/status",
    "/admin/v3/functions/public/default/f0/stats",
    "/admin/v3/overview",
    "/metrics",
    "/openapi.json",
    "/status.js",
    "/admin/v2/worker/assignments",
    "/ready",
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve_fakes(tmp_path, functions=20, running=20) as served:
        yield served


async def ask_at_once(url: str) -> Counter[int]:
    """How often each status was answered. All connections are open before the first request is sent."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as http:
        answers = await asyncio.gather(*(http.get(PATHS[number % len(PATHS)]) for number in range(AT_ONCE)))
        return Counter(answer.status_code for answer in answers)


def connections_to(port: int) -> int:
    """The open connections to the server, seen from its side."""
    return sum(
        1
        for connection in psutil.Process().net_connections("tcp")
        if connection.laddr and connection.laddr.port == port and connection.status != psutil.CONN_LISTEN
    )


def test_triggers_that_wait_keep_nobody_else_waiting(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    began = threading.Semaphore(0)

    def wait(*everything: object) -> bytes:
        began.release()
        done.wait(30)
        return b"at last"

    monkeypatch.setattr("pulsar_runtimes.service.functions.trigger", wait)
    path = "/admin/v3/functions/public/default/f0/trigger"
    with ThreadPoolExecutor(TRIGGERS) as pool:
        asked = [pool.submit(httpx.post, served.url + path, files={"data": "x"}, timeout=60) for _ in range(TRIGGERS)]
        try:
            for _ in range(TRIGGERS):
                assert began.acquire(timeout=30)
            assert served.http.get(PATHS[0]).status_code == 200
            assert not any(each.done() for each in asked)
        finally:
            done.set()
        assert {each.result().text for each in asked} == {"at last"}


@pytest.mark.slow
def test_none_is_lost_and_nothing_grows(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    process = psutil.Process()
    assert asyncio.run(ask_at_once(served.url)) == {200: AT_ONCE}  # what is made once is made now
    until(lambda: connections_to(port), lambda count: count <= 1)
    gc.collect()
    threads, files, before = threading.active_count(), process.num_fds(), process.memory_info().rss
    for _ in range(5):
        assert asyncio.run(ask_at_once(served.url)) == {200: AT_ONCE}
    until(lambda: connections_to(port), lambda count: count <= 1)
    gc.collect()
    assert threading.active_count() <= threads + POOL_THREADS  # which need not all be there after the first time
    until(process.num_fds, lambda count: count <= files + 5)
    assert process.memory_info().rss - before < 32 << 20
