"""What the routes of functions, sinks and sources have in common: register, change, look."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from pulsar_runtimes.model.names import FunctionKey, path_problem
from pulsar_runtimes.service.builtins import Builtins
from pulsar_runtimes.service.component import parse_config_text
from pulsar_runtimes.service.errors import RefusedError

from .answers import Endpoint, answering, answering_form
from .authentication import token_of
from .forms import Form
from .instances import Instances
from .operations import Operation, Permission
from .routes import GuardedRoute
from .status_forms import status_form

LOG_MARK = "X-Pfrun-Log-Mark"
_TAIL_LINES = 100
_MOST_LINES = 10_000

KEY = "/{tenant}/{namespace}/{name}"
INSTANCE = f"{KEY}/{{instance:int}}"


class ComponentRoutes:
    """The routes over the components of one kind, which are those of ``instances``."""

    permission: Permission

    def __init__(self, instances: Instances) -> None:
        self._service = instances.service
        self._instances = instances
        self._builtins = Builtins(instances.service.worker)

    def _route(self, path: str, endpoint: Endpoint, method: str, operation: Operation) -> GuardedRoute:
        return GuardedRoute(path, endpoint, method, operation, self.permission)

    def _common_routes(self) -> list[BaseRoute]:
        """They go behind those with fixed names."""
        actions = {"start": Operation.START, "stop": Operation.STOP, "restart": Operation.RESTART}
        changes: list[BaseRoute] = [
            self._route(f"{path}/{action}", answering(self._change(action)), "POST", operation)
            for path in (INSTANCE, KEY)
            for action, operation in actions.items()
        ]
        return [
            *changes,
            self._route(f"{KEY}/status", answering(self._status), "GET", Operation.STATUS),
            self._route(f"{INSTANCE}/status", answering(self._instance_status), "GET", Operation.STATUS),
            self._route(f"{INSTANCE}/logs", answering(self._log), "GET", Operation.LOGS),
            self._route("/{tenant}/{namespace}", answering(self._list), "GET", Operation.LIST),
            self._route(KEY, answering_form(self._register), "POST", Operation.REGISTER),
            self._route(KEY, answering_form(self._update), "PUT", Operation.UPDATE),
            self._route(KEY, answering(self._deregister), "DELETE", Operation.DEREGISTER),
            self._route(KEY, answering(self._get), "GET", Operation.GET),
        ]

    def _register(self, request: Request, form: Form) -> None:
        key, config = new_key(request), self._config(form)
        upload, url = form.upload("data"), form.text("url") or ""
        self._service.register(key, config, upload, url, token=token_of(request))

    def _update(self, request: Request, form: Form) -> None:
        key, config = key_of(request), self._config(form)
        upload, url = form.upload("data"), form.text("url") or ""
        token = token_of(request) if _updates_token(form) else None
        self._service.update(key, config, upload, url, token=token)

    def _config(self, form: Form) -> dict[str, Any]:
        component = self._service.component
        text = form.text(component.config_part)
        if text is None:
            raise RefusedError(f"{component.title} config is not provided")
        return parse_config_text(text, component.config_part)

    def _deregister(self, request: Request) -> None:
        self._service.deregister(key_of(request))

    def _get(self, request: Request) -> dict[str, Any]:
        return self._service.component.build(self._service.get(key_of(request)))

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

    def _status(self, request: Request) -> Any:
        return status_form(self._instances.statuses(key_of(request)))

    def _instance_status(self, request: Request) -> Any:
        return self._instances.status(key_of(request), request.path_params["instance"])

    def _reload(self, request: Request) -> None:
        self._builtins.reload()

    def _log(self, request: Request) -> Response:
        """pfrun's own: lines as plain text, and in a header the mark to ask with for what comes after them."""
        last = _number(request, "tail", default=_TAIL_LINES, most=_MOST_LINES)
        mark = request.query_params.get("since", "")
        key, number = key_of(request), request.path_params["instance"]
        self._instances.redirect(key, number)
        part = self._service.log(key, number, mark, last)
        headers = {LOG_MARK: part.mark} if part.mark else None
        return PlainTextResponse("".join(f"{line}\n" for line in part.lines), headers=headers)


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


def _updates_token(form: Form) -> bool:
    """Whether an update is to bring the caller's token, too."""
    text = form.text("updateOptions")
    return bool(text) and parse_config_text(text or "", "updateOptions").get("updateAuthData") is True


def _number(request: Request, name: str, *, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or int(text[:10]) > most:
        raise RefusedError(f"{name}: must be a number from 0 to {most} (got {text[:20]!r})")
    return int(text)
