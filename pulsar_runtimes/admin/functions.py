"""``/admin/v3/functions``: register, change, look, trigger."""

from __future__ import annotations

from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute

from pulsar_runtimes.config.function_json import build_function_config
from pulsar_runtimes.model.names import FunctionKey, path_problem
from pulsar_runtimes.service.errors import RefusedError
from pulsar_runtimes.service.functions import parse_config_text

from .answers import answering, answering_form
from .forms import Form
from .instances import Instances
from .operations import Operation
from .routes import GuardedRoute
from .state_forms import parse_state, state_form
from .status_forms import stats_form, status_form

LOG_MARK = "X-Pfrun-Log-Mark"
_TAIL_LINES = 100
_MOST_LINES = 10_000


class Leader(Protocol):
    """Takes a change that another worker was asked for."""

    def write(self, record: bytes, *, delete: bool) -> None: ...


class FunctionRoutes:
    """The routes over the functions and their ``instances``. ``leader`` takes the changes of other workers."""

    def __init__(self, instances: Instances, leader: Leader) -> None:
        self._service = instances.service
        self._instances = instances
        self._leader = leader

    def routes(self) -> list[BaseRoute]:
        """In an order in which fixed names come before those of tenants."""
        key, instance = "/{tenant}/{namespace}/{name}", "/{tenant}/{namespace}/{name}/{instance:int}"
        actions = {"start": Operation.START, "stop": Operation.STOP, "restart": Operation.RESTART}
        changes: list[BaseRoute] = [
            GuardedRoute(f"{path}/{action}", answering(self._change(action)), "POST", operation)
            for path in (instance, key)
            for action, operation in actions.items()
        ]
        state = f"{key}/state/{{state_key:path}}"
        return [
            GuardedRoute("/connectors", answering(lambda request: []), "GET", Operation.LIST_CONNECTORS),
            GuardedRoute("/builtins", answering(lambda request: []), "GET", Operation.LIST_BUILTIN_FUNCTIONS),
            GuardedRoute("/builtins/reload", answering(lambda request: None), "POST", Operation.RELOAD_BUILTINS),
            GuardedRoute("/leader/{tenant}/{namespace}/{name}", answering_form(self._lead), "PUT", Operation.LEAD),
            *changes,
            GuardedRoute(f"{key}/status", answering(self._status), "GET", Operation.STATUS),
            GuardedRoute(f"{key}/stats", answering(self._stats), "GET", Operation.STATS),
            GuardedRoute(f"{key}/trigger", answering_form(self._trigger, waits=True), "POST", Operation.TRIGGER),
            GuardedRoute(f"{key}/download", answering(self._download), "GET", Operation.DOWNLOAD),
            GuardedRoute(state, answering(self._state), "GET", Operation.GET_STATE),
            GuardedRoute(state, answering_form(self._put_state), "POST", Operation.PUT_STATE),
            GuardedRoute(f"{instance}/status", answering(self._instance_status), "GET", Operation.STATUS),
            GuardedRoute(f"{instance}/logs", answering(self._log), "GET", Operation.LOGS),
            GuardedRoute(f"{instance}/stats", answering(self._instance_stats), "GET", Operation.STATS),
            GuardedRoute("/{tenant}/{namespace}", answering(self._list), "GET", Operation.LIST),
            GuardedRoute(key, answering_form(self._register), "POST", Operation.REGISTER),
            GuardedRoute(key, answering_form(self._update), "PUT", Operation.UPDATE),
            GuardedRoute(key, answering(self._deregister), "DELETE", Operation.DEREGISTER),
            GuardedRoute(key, answering(self._get), "GET", Operation.GET),
        ]

    def _register(self, request: Request, form: Form) -> None:
        self._service.register(new_key(request), _config(form), form.upload("data"), form.text("url") or "")

    def _update(self, request: Request, form: Form) -> None:
        self._service.update(key_of(request), _config(form), form.upload("data"), form.text("url") or "")

    def _deregister(self, request: Request) -> None:
        self._service.deregister(key_of(request))

    def _get(self, request: Request) -> dict[str, Any]:
        return build_function_config(self._service.get(key_of(request)))

    def _list(self, request: Request) -> list[str]:
        return self._service.names(request.path_params["tenant"], request.path_params["namespace"])

    def _change(self, action: str) -> Any:
        def change(request: Request) -> None:
            key, instance_id = key_of(request), request.path_params.get("instance")
            if action == "restart":
                self._instances.restart(key, instance_id)
            else:
                self._service.set_stopped(key, instance_id, stopped=action == "stop")

        return change

    def _status(self, request: Request) -> dict[str, Any]:
        return status_form(self._instances.statuses(key_of(request)))

    def _stats(self, request: Request) -> dict[str, Any]:
        return stats_form(self._instances.stats(key_of(request)))

    def _instance_status(self, request: Request) -> dict[str, Any]:
        return self._instances.status(key_of(request), request.path_params["instance"])

    def _instance_stats(self, request: Request) -> dict[str, Any]:
        return self._instances.one_stats(key_of(request), request.path_params["instance"])

    def _lead(self, request: Request, form: Form) -> None:
        data = form.data("functionMetaData")
        if data is None:
            raise RefusedError("functionMetaData is not provided")
        self._leader.write(data, delete=form.text("delete") == "true")

    def _trigger(self, request: Request, form: Form) -> Response:
        key = key_of(request)
        self._service.get(key)
        data = form.data("data") or form.data("dataStream")
        if data is None:
            raise RefusedError("Trigger Data is not provided")
        answer = self._service.trigger(key, data, form.text("topic"))
        return Response(answer, media_type="application/json")

    def _download(self, request: Request) -> Response:
        return FileResponse(self._service.package(key_of(request)), media_type="application/json")

    def _log(self, request: Request) -> Response:
        """pfrun's own: lines as plain text, and in a header the mark to ask with for what comes after them."""
        last = _number(request, "tail", default=_TAIL_LINES, most=_MOST_LINES)
        mark = request.query_params.get("since", "")
        key, number = key_of(request), request.path_params["instance"]
        self._instances.redirect(key, number)
        part = self._service.log(key, number, mark, last)
        headers = {LOG_MARK: part.mark} if part.mark else None
        return PlainTextResponse("".join(f"{line}\n" for line in part.lines), headers=headers)

    def _state(self, request: Request) -> dict[str, Any]:
        key = request.path_params["state_key"]
        return state_form(key, self._service.state.get(key_of(request), key))

    def _put_state(self, request: Request, form: Form) -> None:
        key = request.path_params["state_key"]
        self._service.state.put(key_of(request), key, lambda: parse_state(form.text("state"), key))


def key_of(request: Request) -> FunctionKey:
    """The function that a path names."""
    parts = request.path_params
    return FunctionKey(parts["tenant"], parts["namespace"], parts["name"])


def new_key(request: Request) -> FunctionKey:
    """The same for one that is to be made: its names become those of files and topics."""
    key = key_of(request)
    for part, text in (("tenant", key.tenant), ("namespace", key.namespace), ("name", key.name)):
        if problem := path_problem(text):
            raise RefusedError(f"{part}: {problem}")
    return key


def _number(request: Request, name: str, *, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or int(text[:10]) > most:
        raise RefusedError(f"{name}: must be a number from 0 to {most} (got {text[:20]!r})")
    return int(text)


def _config(form: Form) -> dict[str, Any]:
    text = form.text("functionConfig")
    if text is None:
        raise RefusedError("Function config is not provided")
    return parse_config_text(text)
