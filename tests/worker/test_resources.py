"""What a function may use of this machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pulsar_runtimes import AdmissionError, FunctionSpec, RestartPolicy
from tests.channel import Channel
from tests.workers import Build, Run

pytestmark = pytest.mark.broker

MIB = 1 << 20


def _resources(mebibytes: int, cpu: float = 1.0) -> dict[str, float]:
    return {"cpu": cpu, "ram": mebibytes * MIB, "disk": 1 << 30}


@pytest.mark.parametrize("flags", [None, "-O"], ids=["forked", "spawned"])
def test_a_function_that_takes_more_memory_than_it_may_ends_by_that_name_and_its_neighbour_lives(
    flags: str | None, run: Run, build: Build, channel: Callable[[FunctionSpec], Channel]
) -> None:
    worker = run("process", policy=RestartPolicy(initial_seconds=0.1, give_up_after=2))
    neighbour = build("Hog", name="neighbour", resources=_resources(64))
    function = build("Hog", resources=_resources(64), runtimeFlags=flags)
    for each in (neighbour, function):
        worker.submit(each)
        worker.wait_running(each.key)
    talk = channel(function)
    assert talk.ask("16") == "16 MiB"

    talk.send(["1024"])
    status = worker.wait(function.key, lambda seen: seen.has_failed, seconds=30)
    (instance,) = status.instances
    assert [end.reason.partition(":")[0] for end in instance.ends] == ["out of memory"] * 2
    assert all(len(end.last_messages) == 1 for end in instance.ends)
    assert channel(neighbour).ask("16") == "16 MiB"


def test_the_limit_can_be_switched_off(
    run: Run, build: Build, channel: Callable[[FunctionSpec], Channel], tmp_path: object
) -> None:
    keys = {"functionRuntimeFactoryConfigs": {"enforceResources": False, "logDirectory": f"{tmp_path}/logs"}}
    worker = run("process", **keys)
    function = build("Hog", resources=_resources(64))
    worker.submit(function)
    assert channel(function).ask("512") == "512 MiB"


def test_what_the_worker_does_not_allow_is_refused_all_at_once(run: Run, build: Build) -> None:
    most = {"cpu": 2, "ram": 256 * MIB, "disk": 1 << 40}
    worker = run("process", functionInstanceMaxResources=most)
    with pytest.raises(AdmissionError, match=r"CPU requested, 4\.0, .*; .*RAM requested, 536870912, "):
        worker.submit(build("Exclaim", resources=_resources(512, cpu=4)))
    worker.submit(build("Exclaim", resources=_resources(256)))
