"""2,000 registered functions: what is asked often is answered at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.admin.fake_worker import Served, serve_fakes
from tests.waiting import until

FUNCTIONS, RUNNING = 2000, 20
NAMESPACE = "/admin/v3/functions/public/default"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fakes(tmp_path_factory.mktemp("many"), functions=FUNCTIONS, running=RUNNING) as served:
        yield served


def timed(http: httpx.Client, path: str) -> tuple[httpx.Response, float]:
    began = time.perf_counter()
    answer = http.get(path)
    return answer, time.perf_counter() - began


@pytest.mark.parametrize(
    "path",
    [
        NAMESPACE,
        f"{NAMESPACE}/f7/status",
        f"{NAMESPACE}/f{FUNCTIONS - 1}/status",
        "/metrics",
        "/admin/v2/worker/assignments",
        "/admin/v2/worker-stats/functionsmetrics",
    ],
)
def test_an_answer_takes_less_than_a_second(many: Served, path: str) -> None:
    answer, seconds = timed(many.http, path)
    assert answer.status_code == 200
    assert seconds < 1.0


def test_what_is_told_of_many_is_right(many: Served) -> None:
    assert len(many.http.get(NAMESPACE).json()) == FUNCTIONS
    until(lambda: many.http.get(f"{NAMESPACE}/f7/status").json(), lambda status: status["numRunning"] == 1)
    status = many.http.get(f"{NAMESPACE}/f{RUNNING}/status").json()
    assert (status["numInstances"], status["numRunning"]) == (1, 0)
    (assigned,) = many.http.get("/admin/v2/worker/assignments").json().values()
    assert len(assigned) == FUNCTIONS


def test_no_answer_waits_for_an_acknowledgement(many: Served) -> None:
    """Where Nagle's delay is on, each answer after the first on a connection takes 40 ms."""
    seconds = sorted(timed(many.http, "/live")[1] for _ in range(30))
    assert seconds[len(seconds) // 4] < 0.03
