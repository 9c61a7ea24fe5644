"""``/admin/v3/overview``: everything the status page shows, in one answer that waits for nobody. pfrun's own.

It is put together of what this worker runs, and of what the others told last of what they run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from starlette.requests import Request
from starlette.routing import BaseRoute

from pulsar_runtimes._version import __version__
from pulsar_runtimes.metadata.election import Member
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.service.backlog import Backlogs
from pulsar_runtimes.service.component import ANY
from pulsar_runtimes.service.functions import FunctionService, Seen
from pulsar_runtimes.service.metrics import MetricsPage
from pulsar_runtimes.service.neighbours import Neighbours, Told

from .answers import answering
from .operations import Operation
from .overview_forms import UNKNOWN, Form, function_form, instance_form
from .routes import GuardedRoute


class Workers(Protocol):
    """The cluster, as far as the overview shows it."""

    me: Member

    def members(self) -> tuple[Member, ...]: ...

    def leader(self) -> Member | None: ...

    def assigned(self) -> Mapping[InstanceKey, str]:
        """The worker of each instance."""


class OverviewRoutes:
    """The route over a :class:`FunctionService`, with the figures that ``metrics`` keeps.

    Without ``neighbours`` nothing is known of other workers, and without ``backlogs`` nothing of what waits.
    """

    def __init__(
        self,
        service: FunctionService,
        metrics: MetricsPage,
        workers: Workers,
        neighbours: Neighbours | None = None,
        backlogs: Backlogs | None = None,
    ) -> None:
        self._service = service.for_component(ANY)
        self._metrics = metrics
        self._workers = workers
        self._neighbours = neighbours
        self._backlogs = backlogs
        self._started_ms = int(time.time() * 1000)

    def routes(self) -> list[BaseRoute]:
        return [GuardedRoute("/admin/v3/overview", answering(self._overview), "GET", Operation.OVERVIEW)]

    def _overview(self, request: Request) -> Form:
        is_part = request.query_params.get("here", "").lower() == "true"
        return {
            "timestampMs": int(time.time() * 1000),
            "worker": self._worker(),
            **({"functions": list(self._own_part())} if is_part else self._all()),
        }

    def _worker(self) -> Form:
        worker = self._service.worker
        return {
            "workerId": self._workers.me.worker_id,
            "version": __version__,
            "runtime": worker.factory.name,
            "broker": worker.service_url,
            "startedMs": self._started_ms,
        }

    def _own_part(self) -> Iterator[Form]:
        """What is on this worker, and nothing else. The others ask for it."""
        registered, figures, me = self._service.registered(), self._metrics.figures(), self._workers.me.worker_id
        functions = {function.key: function for function in self._service.specs()}
        for key, seen in self._service.statuses().items():
            here = [each for each in seen if each[1] is not None]
            if here and key in functions:
                form = function_form(key, functions[key], here, figures, me)
                yield {**form, "registered": key in registered}

    def _all(self) -> Form:
        functions = {function.key: function for function in self._service.specs()}
        told = {} if self._neighbours is None else self._neighbours.told()
        backlogs = {} if self._backlogs is None else self._backlogs.backlogs()
        parts = Parts(told)
        figures, assigned, me = self._metrics.figures(), self._workers.assigned(), self._workers.me.worker_id
        forms: dict[FunctionKey, Form] = {}
        for key, seen in self._service.statuses().items():
            if key not in functions:
                continue
            form = forms[key] = function_form(key, functions[key], seen, figures, me)
            form["backlog"] = backlogs.get(key)
            for at, each in enumerate(seen):
                instance = InstanceKey(key, each[0])
                if each[1] is None:
                    form["instances"][at] = self._elsewhere(parts, instance, each, assigned.get(instance, ""))
            parts.add_to(form, key)
        for key, form in parts.unregistered(forms):
            forms[key] = {**form, "backlog": None}
        return {"workers": self._members(parts), "functions": [forms[key] for key in sorted(forms)]}

    def _elsewhere(self, parts: Parts, key: InstanceKey, seen: Seen, owner: str) -> Form:
        """An instance that is not here, as its worker tells of it."""
        form = instance_form(seen, None, owner)
        if seen[2]:  # somebody stopped it
            return form
        told = parts.instance(key, owner)
        if told is not None:
            return told
        if owner not in ("", self._workers.me.worker_id) and parts.problem(owner):
            return form | {"state": UNKNOWN, "reason": parts.problem(owner)}
        return form

    def _members(self, parts: Parts) -> list[Form]:
        me, leader = self._workers.me, self._workers.leader()
        return [
            {
                "workerId": member.worker_id,
                "leads": member == leader,
                "problem": "" if member == me else parts.problem(member.worker_id),
            }
            for member in self._workers.members()
        ]


class Parts:
    """The parts of the overview that other workers told. What has another form than it should is a problem."""

    def __init__(self, told: Mapping[str, Told]) -> None:
        self._problems = {worker: each.problem for worker, each in told.items()}
        self._functions: dict[FunctionKey, dict[str, Form]] = {}
        self._instances: dict[InstanceKey, dict[str, Form]] = {}
        for worker, each in told.items():
            if not each.problem:
                try:
                    self._take(worker, each.overview)
                except (KeyError, TypeError, ValueError, AttributeError):
                    self._problems[worker] = "its answer is no overview"

    def _take(self, worker: str, overview: Mapping[str, Any]) -> None:
        for function in overview["functions"]:
            key = FunctionKey(*(str(function[name]) for name in ("tenant", "namespace", "name")))
            self._functions.setdefault(key, {})[worker] = function
            for instance in function["instances"]:
                form = {**instance, "workerId": worker}
                self._instances.setdefault(InstanceKey(key, int(instance["instanceId"])), {})[worker] = form

    def problem(self, worker: str) -> str:
        """Why nothing is known of a worker; empty when it answered."""
        return self._problems.get(worker, "it was not asked yet")

    def instance(self, key: InstanceKey, owner: str) -> Form | None:
        """What is told of an instance by its ``owner``, or by whoever has it."""
        found = self._instances.get(key, {})
        return found.get(owner) or next(iter(found.values()), None)

    def add_to(self, form: Form, key: FunctionKey) -> None:
        """What the others tell of a whole function, which is also here, or nowhere."""
        for other in self._functions.get(key, {}).values():
            form["updating"] = form["updating"] or bool(other.get("updating"))
            form["updateFailure"] = form["updateFailure"] or str(other.get("updateFailure", ""))

    def unregistered(self, known: Mapping[FunctionKey, Form]) -> Iterator[tuple[FunctionKey, Form]]:
        """Functions that another worker has of its command line, and this one does not have."""
        for key, by_worker in self._functions.items():
            given = {worker: form for worker, form in by_worker.items() if not form.get("registered", True)}
            if key in known or not given:
                continue
            first = next(iter(given.values()))
            instances = [{**each, "workerId": worker} for worker, form in given.items() for each in form["instances"]]
            yield (
                key,
                {name: value for name, value in {**first, "instances": instances}.items() if name != "registered"},
            )
