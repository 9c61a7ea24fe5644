"""What is told of the instances of a function, sink or source, on whichever worker they run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, Self

from pulsar_runtimes.metadata.election import Member
from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.service.component import Component
from pulsar_runtimes.service.errors import RefusedError
from pulsar_runtimes.service.functions import FunctionService, Seen

from .connector_forms import sink_status_form, source_status_form
from .status_forms import Form, StatusForm, instance_stats_form, instance_status_form

_STATUS_FORMS: Mapping[ComponentType, StatusForm] = {
    ComponentType.SINK: sink_status_form,
    ComponentType.SOURCE: source_status_form,
}
_THREADS = 16


class Others(Protocol):
    """The workers beside this one."""

    def instance(self, owner: Member, component: Component, key: InstanceKey, what: str) -> dict[str, Any]: ...

    def restart(self, owner: Member, component: Component, key: InstanceKey) -> None: ...


class ElsewhereError(PfrunError):
    """The request is for another worker; at ``path`` with ``query``, where that is not the same as here."""

    def __init__(self, worker: Member, path: str = "", query: str = "") -> None:
        self.worker = worker
        self.path = path
        self.query = query
        super().__init__(f"worker {worker.worker_id} is to be asked")


class Instances:
    """Asks this worker's service for its own instances, and the others for theirs.

    They are of the service's kind of component. ``owner`` tells the worker of an instance, ``None`` where there is
    none.
    """

    def __init__(
        self, service: FunctionService, me: Member, owner: Callable[[InstanceKey], Member | None], others: Others
    ) -> None:
        self.service = service
        self.me = me
        self._owner = owner
        self._others = others

    def for_component(self, component: Component) -> Self:
        """The same for the instances of components of another kind."""
        other = copy.copy(self)
        other.service = self.service.for_component(component)
        return other

    @property
    def _component(self) -> Component:
        return self.service.component

    @property
    def _status_form(self) -> StatusForm:
        return _STATUS_FORMS.get(self._component.type, instance_status_form)

    def statuses(self, key: FunctionKey) -> list[tuple[int, Form]]:
        """Number and status of each instance; one whose worker does not answer is told as not running."""
        problem = self.service.problem(key)
        return self._gather(key, "status", lambda seen: self._status_form(seen, self.me.worker_id, problem))

    def stats(self, key: FunctionKey) -> list[tuple[int, Form]]:
        """Number and counts of each instance."""
        return self._gather(key, "stats", lambda seen: instance_stats_form(seen[1].stats if seen[1] else None))

    def _gather(self, key: FunctionKey, what: str, build: Callable[[Seen], Form]) -> list[tuple[int, Form]]:
        seen = self.service.status(key)
        elsewhere = {each[0]: owner for each in seen if (owner := self._elsewhere(InstanceKey(key, each[0])))}

        def form(each: Seen) -> tuple[int, Form]:
            owner = elsewhere.get(each[0])
            if owner is None or each[2]:
                return each[0], build(each)
            try:
                return each[0], self._others.instance(owner, self._component, InstanceKey(key, each[0]), what)
            except PfrunError as error:
                return each[0], self._unknown(each, owner, str(error), what)

        if not elsewhere:
            return [form(each) for each in seen]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(form, seen))

    def status(self, key: FunctionKey, number: int) -> Form:
        """One instance's status. ``ElsewhereError`` when another worker runs it."""
        seen = self._here(key, number)
        return self._status_form(seen, self.me.worker_id, self.service.problem(key))

    def one_stats(self, key: FunctionKey, number: int) -> Form:
        """One instance's counts. ``ElsewhereError`` when another worker runs it."""
        status = self._here(key, number)[1]
        return instance_stats_form(status.stats if status else None)

    def restart(self, key: FunctionKey, number: int | None) -> None:
        """Restart an instance, or all, wherever they run. ``ElsewhereError`` for one that another worker runs.

        ``RefusedError`` names those that no worker runs, after the others were restarted.
        """
        if number is None and not self.service.runs_as_whole:
            nobody_s = self._restart_each(key)
        else:
            one = number or 0
            owner = self._owner(InstanceKey(key, one))
            if owner is not None and owner != self.me:
                raise ElsewhereError(owner)
            self.service.restart(key, number)  # also refuses what there is not
            nobody_s = [] if owner is not None else [str(one)]
        if nobody_s:
            raise RefusedError(f"{key}: no worker runs instance {', '.join(nobody_s)} now; it starts when one gets it")

    def _restart_each(self, key: FunctionKey) -> list[str]:
        """Have each instance restarted by its worker; the numbers of those that have none."""
        nobody_s = []
        for number in range(self.service.get(key).parallelism):
            owner = self._owner(InstanceKey(key, number))
            if owner is None:
                nobody_s.append(str(number))
            elif owner == self.me:
                self.service.restart(key, number)
            else:
                self._others.restart(owner, self._component, InstanceKey(key, number))
        return nobody_s

    def _here(self, key: FunctionKey, number: int) -> Seen:
        parallelism = self.service.get(key).parallelism
        if not 0 <= number < parallelism:
            raise RefusedError(self._component.missing_instance(key.name, number))
        self.redirect(key, number)
        return next(seen for seen in self.service.status(key) if seen[0] == number)

    def redirect(self, key: FunctionKey, number: int) -> None:
        """``ElsewhereError`` when another worker runs the instance."""
        owner = self._elsewhere(InstanceKey(key, number))
        if owner is not None:
            raise ElsewhereError(owner)

    def _elsewhere(self, key: InstanceKey) -> Member | None:
        owner = self._owner(key)
        return None if owner == self.me else owner

    def _unknown(self, seen: Seen, owner: Member, problem: str, what: str) -> Form:
        if what == "stats":
            return instance_stats_form(None)
        return self._status_form((seen[0], None, False), owner.worker_id, problem)
