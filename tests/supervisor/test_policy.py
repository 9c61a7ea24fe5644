"""How long the supervisor waits before it starts an instance again."""

from __future__ import annotations

import pytest

from pulsar_runtimes.supervisor.policy import RestartPolicy

PLAIN = RestartPolicy(initial_seconds=0.5, factor=3.0, max_seconds=10.0, jitter=0.0)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0.5), (2, 1.5), (3, 4.5), (4, 10.0), (5, 10.0), (64, 10.0), (10**9, 10.0)]
)
def test_delays_grow_by_the_factor_up_to_the_limit(failures: int, seconds: float) -> None:
    assert PLAIN.delay(failures, "public/default/f:0") == seconds


def test_jitter_makes_a_delay_longer_by_its_part_at_the_most() -> None:
    policy = RestartPolicy(initial_seconds=1.0, factor=1.0, jitter=0.25)
    delays = [policy.delay(1, f"public/default/f:{number}") for number in range(200)]
    assert all(1.0 <= delay <= 1.25 for delay in delays)
    assert max(delays) - min(delays) > 0.2, "instances that failed together must not start together"


def test_the_same_failure_of_the_same_instance_waits_equally_long() -> None:
    policy = RestartPolicy()
    assert [policy.delay(n, "a") for n in range(1, 9)] == [policy.delay(n, "a") for n in range(1, 9)]
    assert policy.delay(3, "a") != policy.delay(3, "b")


def test_the_promised_defaults() -> None:
    assert RestartPolicy() == RestartPolicy(
        initial_seconds=0.2,
        factor=2.0,
        max_seconds=60.0,
        jitter=0.2,
        up_seconds=10.0,
        give_up_after=8,
        give_up_update_after=3,
    )


@pytest.mark.parametrize(("usual", "update", "expected"), [(8, 3, 3), (2, 3, 2)])
def test_an_update_is_never_given_more_chances_than_a_start(usual: int, update: int, expected: int) -> None:
    policy = RestartPolicy(give_up_after=usual, give_up_update_after=update)
    assert policy.for_update() == RestartPolicy(give_up_after=expected, give_up_update_after=update)
