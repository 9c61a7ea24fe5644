"""``/admin/v2/functions`` and ``/admin/functions``: the older form, in which functions are protobuf messages in JSON.

Source: ``FunctionsApiV2Resource`` of Apache Pulsar 4.0.8, and what it was seen to answer. Where the newer form answers
204 this one answers 200, as empty; there is no start, no stats, and nothing for sinks and sources.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from pulsar_runtimes.model.details import build_details, parse_details
from pulsar_runtimes.service.errors import RefusedError

from .answers import answering, answering_form
from .components import INSTANCE, KEY, key_of
from .forms import Form
from .functions import FunctionRoutes
from .operations import Operation


class FunctionRoutesV2(FunctionRoutes):
    """The routes of the older form, over the same service."""

    def routes(self) -> list[BaseRoute]:
        """In an order in which fixed names come before those of tenants."""
        actions = {"stop": Operation.STOP, "restart": Operation.RESTART}
        changes: list[BaseRoute] = [
            self._route(f"{path}/{action}", answering(_done(self._change(action))), "POST", operation)
            for path in (INSTANCE, KEY)
            for action, operation in actions.items()
        ]
        state = f"{KEY}/state/{{state_key:path}}"
        return [
            self._route("/connectors", answering(self._connectors), "GET", Operation.LIST_CONNECTORS),
            self._route("/upload", answering_form(_done(self._upload)), "POST", Operation.UPLOAD),
            self._route("/download", answering(self._download_path), "GET", Operation.DOWNLOAD_PATH),
            *changes,
            self._route(f"{KEY}/status", answering(self._status), "GET", Operation.STATUS),
            self._route(f"{KEY}/trigger", answering_form(self._trigger, waits=True), "POST", Operation.TRIGGER),
            self._route(state, answering(self._state), "GET", Operation.GET_STATE),
            self._route(f"{INSTANCE}/status", answering(self._instance_status), "GET", Operation.STATUS),
            self._route("/{tenant}/{namespace}", answering(self._list), "GET", Operation.LIST),
            self._route(KEY, answering_form(_done(self._register)), "POST", Operation.REGISTER),
            self._route(KEY, answering_form(_done(self._update)), "PUT", Operation.UPDATE),
            self._route(KEY, answering(_done(self._deregister)), "DELETE", Operation.DEREGISTER),
            self._route(KEY, answering(self._details), "GET", Operation.GET),
        ]

    def _config(self, form: Form) -> dict[str, Any]:
        text = form.text("functionDetails")
        if text is None:
            raise RefusedError("Function config is not provided")
        try:
            return self._service.component.build(parse_details(text))
        except (ValueError, RecursionError) as error:
            raise RefusedError(f"functionDetails: {error}") from None

    def _details(self, request: Request) -> Response:
        return _message(build_details(self._service.get(key_of(request))))

    def _status(self, request: Request) -> Response:
        told = self._instances.statuses(key_of(request))
        return _message({"functionStatusList": [_status_message(number, form) for number, form in told]})

    def _instance_status(self, request: Request) -> Response:
        number = request.path_params["instance"]
        return _message(_status_message(number, self._instances.status(key_of(request), number)))


def _done(call: Callable[..., None]) -> Callable[..., Response]:
    """``call``, and 200 with nothing."""

    def done(*arguments: Any) -> Response:
        call(*arguments)
        return Response(media_type="application/json")

    return done


def _message(members: dict[str, Any]) -> Response:
    """Protobuf JSON, as it is printed: on many lines, two blanks for each step, without what is empty."""
    given = {name: value for name, value in members.items() if value not in ([], {})}
    return Response(json.dumps(given, indent=2, ensure_ascii=False), media_type="application/json")


def _status_message(number: int, form: dict[str, Any]) -> dict[str, Any]:
    """``FunctionStatus`` of ``InstanceCommunication.proto``: what is zero is left out, and 64-bit numbers are text."""
    members = {
        "running": form["running"],
        "failureException": form["error"],
        "numRestarts": _int64(form["numRestarts"]),
        "numSuccessfullyProcessed": _int64(form["numSuccessfullyProcessed"]),
        "numUserExceptions": _int64(form["numUserExceptions"]),
        "latestUserExceptions": _exceptions(form.get("latestUserExceptions", [])),
        "numSystemExceptions": _int64(form["numSystemExceptions"]),
        "latestSystemExceptions": _exceptions(form.get("latestSystemExceptions", [])),
        "averageLatency": form["averageLatency"],
        "lastInvocationTime": _int64(form["lastInvocationTime"]),
        "instanceId": str(number),
        "workerId": form["workerId"],
    }
    return {name: value for name, value in members.items() if value}


def _int64(number: int) -> str:
    return str(number) if number else ""


def _exceptions(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"exceptionString": each["exceptionString"], "msSinceEpoch": str(each["timestampMs"])} for each in told]
