"""Which worker a restart is for, wherever the instances of a function run."""

from __future__ import annotations

from typing import Any

import pytest

from pulsar_runtimes.admin.instances import ElsewhereError, Instances
from pulsar_runtimes.metadata.election import Member
from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.service.component import FUNCTIONS
from pulsar_runtimes.service.errors import RefusedError
from pulsar_runtimes.testing import function_spec

ME, OTHER = Member("w1", "127.0.0.1", 1), Member("w2", "127.0.0.1", 2)
FUNCTION = function_spec(parallelism=3)


class Scene:
    """Instances 0, 1 and 2 of one function, and who runs them; what is restarted here and elsewhere."""

    def __init__(self, *owners: Member | None, as_whole: bool = False) -> None:
        self.component, self.runs_as_whole = FUNCTIONS, as_whole
        self.here: list[int | None] = []
        self.elsewhere: list[tuple[Member, int]] = []
        it: Any = self

        def owner(key: InstanceKey) -> Member | None:
            return owners[key.instance_id]

        class Others:
            def restart(self, owner: Member, component: object, key: InstanceKey) -> None:
                it.elsewhere.append((owner, key.instance_id))

        others: Any = Others()
        self.instances = Instances(it, ME, owner, others)

    def get(self, key: object) -> Any:
        return FUNCTION

    def restart(self, key: object, number: int | None = None) -> None:
        self.here.append(number)


def test_all_instances_restart_on_whichever_worker_they_are() -> None:
    scene = Scene(ME, OTHER, ME)
    scene.instances.restart(FUNCTION.key, None)
    assert (scene.here, scene.elsewhere) == ([0, 2], [(OTHER, 1)])


def test_a_restart_tells_which_instances_no_worker_runs() -> None:
    scene = Scene(None, ME, None)
    with pytest.raises(RefusedError, match="no worker runs instance 0, 2 now; it starts when one gets it"):
        scene.instances.restart(FUNCTION.key, None)
    assert scene.here == [1]
    with pytest.raises(RefusedError, match="no worker runs instance 2 now"):
        scene.instances.restart(FUNCTION.key, 2)


@pytest.mark.parametrize("number", [None, 0])
def test_who_restarts_what_another_worker_runs_is_sent_there(number: int | None) -> None:
    scene = Scene(OTHER, OTHER, OTHER, as_whole=number is None)
    with pytest.raises(ElsewhereError):
        scene.instances.restart(FUNCTION.key, number)
    assert scene.here == []


def test_replicas_that_run_as_a_whole_restart_together_or_not_at_all() -> None:
    ours, nobody_s = Scene(ME, ME, ME, as_whole=True), Scene(None, None, None, as_whole=True)
    ours.instances.restart(FUNCTION.key, None)
    assert ours.here == [None]
    with pytest.raises(RefusedError, match="no worker runs instance 0 now"):
        nobody_s.instances.restart(FUNCTION.key, None)
