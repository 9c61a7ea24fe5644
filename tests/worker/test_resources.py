"""What a function may use of this machine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pulsar_runtimes import AdmissionError, FunctionSpec
from tests.channel import Channel
from tests.waiting import until
from tests.workers import Build, Run

pytestmark = pytest.mark.broker

MIB = 1 << 20


def _resources(mebibytes: int, cpu: float = 1.0) -> dict[str, float]:
    return {"cpu": cpu, "ram": mebibytes * MIB, "disk": 1 << 30}


@pytest.mark.parametrize("flags", [None, "-O"], ids=["forked", "spawned"])
def test_a_function_that_takes_more_memory_than_it_may_is_stopped_there_and_goes_on(
    flags: str | None, run: Run, build: Build, channel: Callable[[FunctionSpec], Channel]
) -> None:
    worker = run("process")
    function = build("Hog", resources=_resources(128), runtimeFlags=flags)
    worker.submit(function)
    worker.wait_running(function.key)
    talk = channel(function)
    assert talk.ask("64") == "64 MiB"

    talk.send(["2048"])

    def trouble() -> str:
        (instance,) = worker.status(function.key, stats=True).instances
        seen = "" if instance.stats is None else "".join(text for text, _ in instance.stats.latest_user_exceptions)
        return f"{seen} {instance.reason}"

    until(trouble, lambda told: "MemoryError" in told or "out of memory" in told)
    assert talk.ask("32") == "32 MiB"


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
