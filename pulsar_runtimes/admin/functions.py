"""``/admin/v3/functions``: register, change, look, trigger; and packages by their paths."""

from __future__ import annotations

from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute

from pulsar_runtimes.service.errors import RefusedError

from .answers import answering, answering_form, file_answer
from .components import INSTANCE, KEY, ComponentRoutes, key_of
from .forms import Form
from .instances import Instances
from .operations import Operation, Permission
from .state_forms import parse_state, state_form
from .status_forms import stats_form


class Leader(Protocol):
    """Takes a change that another worker was asked for."""

    def write(self, record: bytes, *, delete: bool) -> None: ...


class FunctionRoutes(ComponentRoutes):
    """The routes over the functions and their ``instances``. ``leader`` takes the changes of other workers."""

    permission = Permission.FUNCTIONS

    def __init__(self, instances: Instances, leader: Leader) -> None:
        super().__init__(instances)
        self._leader = leader

    def routes(self) -> list[BaseRoute]:
        """In an order in which fixed names come before those of tenants."""
        state = f"{KEY}/state/{{state_key:path}}"
        return [
            self._route("/connectors", answering(self._connectors), "GET", Operation.LIST_CONNECTORS),
            self._route("/builtins", answering(self._functions), "GET", Operation.LIST_BUILTIN_FUNCTIONS),
            self._route("/builtins/reload", answering(self._reload), "POST", Operation.RELOAD_BUILTINS),
            self._route("/upload", answering_form(self._upload), "POST", Operation.UPLOAD),
            self._route("/download", answering(self._download_path), "GET", Operation.DOWNLOAD_PATH),
            self._route("/leader/{tenant}/{namespace}/{name}", answering_form(self._lead), "PUT", Operation.LEAD),
            self._route(f"{KEY}/stats", answering(self._stats), "GET", Operation.STATS),
            self._route(f"{INSTANCE}/stats", answering(self._instance_stats), "GET", Operation.STATS),
            self._route(f"{KEY}/trigger", answering_form(self._trigger, waits=True), "POST", Operation.TRIGGER),
            self._route(f"{KEY}/download", answering(self._download), "GET", Operation.DOWNLOAD),
            self._route(state, answering(self._state), "GET", Operation.GET_STATE),
            self._route(state, answering_form(self._put_state), "POST", Operation.PUT_STATE),
            *self._common_routes(),
        ]

    def _connectors(self, request: Request) -> list[dict[str, str]]:
        return self._builtins.connectors()

    def _functions(self, request: Request) -> list[dict[str, str]]:
        return self._builtins.functions()

    def _stats(self, request: Request) -> dict[str, Any]:
        return stats_form(self._instances.stats(key_of(request)))

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
        transform = request.query_params.get("transform-function", "").lower() == "true"
        return FileResponse(self._service.package(key_of(request), transform=transform), media_type="application/json")

    def _upload(self, request: Request, form: Form) -> None:
        upload, path = form.upload("data"), form.text("path")
        if upload is None or not path:
            raise RefusedError("Function Package is not provided")
        self._service.keep_package(path, upload)

    def _download_path(self, request: Request) -> Response:
        return file_answer(self._service.open_package(request.query_params.get("path", "")))

    def _state(self, request: Request) -> dict[str, Any]:
        key = request.path_params["state_key"]
        return state_form(key, self._service.state.get(key_of(request), key))

    def _put_state(self, request: Request, form: Form) -> None:
        key = request.path_params["state_key"]
        self._service.state.put(key_of(request), key, lambda: parse_state(form.text("state"), key))
