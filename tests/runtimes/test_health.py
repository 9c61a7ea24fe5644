"""When an instance counts as ready, and when as hung. The clock is the test's."""

from __future__ import annotations

import threading

import pytest

from pulsar_runtimes.instance.control import ControlServer
from pulsar_runtimes.instance.stats import Stats
from pulsar_runtimes.runtimes.process.health import Health, HealthPolicy, HealthProbe, Patient, Verdict
from tests.waiting import until

POLICY = HealthPolicy(hung_after_seconds=3.0)


def test_the_first_good_answer_makes_an_instance_ready_and_the_next_changes_nothing() -> None:
    health = Health()
    assert health.answered(False, 1.0) is Verdict.NONE
    assert health.answered(True, 2.0) is Verdict.READY
    assert health.answered(True, 3.0) is Verdict.NONE


def test_an_instance_that_never_answered_is_starting_however_long_that_takes() -> None:
    assert Health().judge(1e9, POLICY) is Verdict.NONE


@pytest.mark.parametrize(
    ("now", "verdict"), [(10.0, Verdict.NONE), (12.9, Verdict.NONE), (13.0, Verdict.HUNG), (99.0, Verdict.HUNG)]
)
def test_silence_counts_from_the_last_answer(now: float, verdict: Verdict) -> None:
    health = Health(last_answer=10.0)
    health.answered(False, now)
    assert health.judge(now, POLICY) is verdict


@pytest.mark.parametrize("never", [0.0, -1.0])
def test_nobody_is_hung_where_that_is_switched_off(never: float) -> None:
    assert Health(last_answer=0.0).judge(1e9, HealthPolicy(hung_after_seconds=never)) is Verdict.NONE


class Watched:
    """A real control service, or a port where nobody answers, under a probe."""

    def __init__(self, probe: HealthProbe, port: int) -> None:
        self.ready, self.hung, self.ended = threading.Event(), threading.Event(), threading.Event()
        probe.watch(Patient(port, self.ended.is_set, self.ready.set, lambda _: self.hung.set()))


@pytest.fixture
def server() -> ControlServer:
    return ControlServer(Stats(), lambda: True, 0)


def test_an_instance_that_begins_to_answer_is_ready_and_one_that_ceases_is_hung(server: ControlServer) -> None:
    probe = HealthProbe(HealthPolicy(starting_seconds=0.05, ask_seconds=0.1, hung_after_seconds=0.6))
    try:
        watched = Watched(probe, server.start("127.0.0.1", 0))
        assert watched.ready.wait(10)
        assert not watched.hung.is_set()
        server.stop()
        assert watched.hung.wait(10)
    finally:
        probe.close()
        server.stop()


def test_one_who_has_ended_is_asked_no_more(server: ControlServer) -> None:
    probe = HealthProbe(HealthPolicy(starting_seconds=0.05, ask_seconds=0.05, hung_after_seconds=0.3))
    try:
        watched = Watched(probe, server.start("127.0.0.1", 0))
        assert watched.ready.wait(10)
        watched.ended.set()
        asked = until(lambda: server.last_health_check, lambda seen: seen == server.last_health_check)
        server.stop()
        assert not watched.hung.wait(0.8)
        assert server.last_health_check <= asked + 0.3
    finally:
        probe.close()
        server.stop()


def test_a_probe_may_be_closed_twice_and_watches_nobody_then() -> None:
    probe = HealthProbe(POLICY)
    probe.close()
    Watched(probe, 1)
    probe.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "health"]
