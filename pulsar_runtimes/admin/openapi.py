"""The admin API described for programs: an OpenAPI document, served at ``/openapi.json``.

Whoever adds a route adds its line here; a test compares both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from pulsar_runtimes._version import __version__

from .answers import json_answer
from .openapi_schemas import BYTES, COUNT, FLAG, TEXT, Schema, by_name, many, ref, schemas
from .operations import Operation as Access
from .routes import GuardedRoute

_FUNCTIONS = "/admin/v3/functions"
_FUNCTION = f"{_FUNCTIONS}/{{tenant}}/{{namespace}}/{{name}}"
_INSTANCE = f"{_FUNCTION}/{{instance}}"
_WORKER = "/admin/v2/worker"
_STATS = "/admin/v2/worker-stats"

_NAME: Schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
_PARAMETERS: dict[str, Schema] = {
    "tenant": _NAME,
    "namespace": _NAME,
    "name": _NAME,
    "instance": COUNT,
    "state_key": {"type": "string", "minLength": 1},
}
"""What stands in paths."""

_REASONS = {
    400: "The request is wrong, or would change nothing.",
    401: "Nobody knows who asks, or he must not do that.",
    404: "There is no such function or path.",
    408: "The function gave no answer in time.",
    413: "The body is too large.",
    500: "Something outside failed, such as the disk or the broker; the worker's log has more.",
    503: "Not now; try again.",
}
_EVERYWHERE = (400, 401, 500, 503)
"""What any call may be answered; and 404, where something stands in its path."""

Operation = dict[str, Any]


def openapi_document() -> dict[str, Any]:
    """The whole document, as plain data that JSON can carry."""
    paths: dict[str, dict[str, Operation]] = {}
    for method, path, operation in _operations():
        paths.setdefault(path, {})[method] = _at(path, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pfrun",
            "version": __version__,
            "description": "The admin API of Apache Pulsar Functions, and what pfrun adds to it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas()},
    }


def openapi_routes() -> list[BaseRoute]:
    """The document as it is served."""
    document = openapi_document()

    async def answer(request: Request) -> Response:
        return json_answer(document)

    return [GuardedRoute("/openapi.json", answer, "GET", Access.DESCRIBE)]


def _operations() -> Iterator[tuple[str, str, Operation]]:
    """Method, path, and what is done there."""
    yield from _function_operations()
    yield from _older_operations("/admin/v2/functions")
    yield from _marked(_older_operations("/admin/functions"))
    for title in ("Sink", "Source"):
        yield from _connector_operations(title, f"/admin/v3/{title.lower()}s")
        yield from _marked(_connector_operations(title, f"/admin/v3/{title.lower()}"))
    yield from _worker_operations()
    overview = _json("All functions and instances of all workers as they were seen last", ref("Overview"))
    here = _query("here", FLAG)
    yield "get", "/admin/v3/overview", overview | {"parameters": [here]}
    yield "get", "/metrics", _text("All metrics in Prometheus' text format")
    yield "get", "/live", _text("Whether the worker lives")
    yield "get", "/ready", _text("Whether the worker can be asked for changes; else what it awaits")
    yield "get", "/initialized", _text("Whether the worker follows what is registered")
    yield "get", "/openapi.json", _json("This document", {"type": "object"})


def _function_operations() -> Iterator[tuple[str, str, Operation]]:
    names, nothing = many(TEXT), None
    yield "get", f"{_FUNCTIONS}/connectors", _json("Built-in connectors", many({"type": "object"}))
    yield "get", f"{_FUNCTIONS}/builtins", _json("Built-in functions", many({"type": "object"}))
    yield "post", f"{_FUNCTIONS}/builtins/reload", _json("Look for built-in functions anew", nothing)
    yield "get", f"{_FUNCTIONS}/{{tenant}}/{{namespace}}", _json("The names of a namespace's functions", names)
    config = {"functionConfig": ref("FunctionConfig"), "data": BYTES, "url": TEXT}
    yield "get", _FUNCTION, _json("A function as it is registered", ref("FunctionConfig"))
    register = _json("Register a function and run it", nothing, 413)
    yield "post", _FUNCTION, register | _form(config, required=("functionConfig",))
    update = _json("Change a function; what is not given stays", nothing, 413)
    yield "put", _FUNCTION, update | _form({**config, "updateOptions": ref("UpdateOptions")}, ("functionConfig",))
    yield "delete", _FUNCTION, _json("Stop a function and forget it", nothing)
    for path, what in ((_FUNCTION, "all instances"), (_INSTANCE, "one instance")):
        for action in ("start", "stop", "restart"):
            yield "post", f"{path}/{action}", _json(f"{action.capitalize()} {what}", nothing)
    yield "get", f"{_FUNCTION}/status", _json("How the instances are", ref("FunctionStatus"))
    yield "get", f"{_FUNCTION}/stats", _json("What the instances counted", ref("FunctionStats"))
    yield "get", f"{_INSTANCE}/status", _json("How one instance is", ref("FunctionInstanceStatus"))
    yield "get", f"{_INSTANCE}/stats", _json("What one instance counted", ref("FunctionInstanceStats"))
    trigger = _raw("Give the function one message, and answer what it makes of it", 408, 413)
    yield "post", f"{_FUNCTION}/trigger", trigger | _form({"data": TEXT, "dataStream": BYTES, "topic": TEXT})
    package = {"parameters": [_query("transform-function", FLAG)]}
    yield "get", f"{_FUNCTION}/download", _raw("The package of the function, or that of a sink's function") | package
    yield from _package_operations(_FUNCTIONS, nothing_status="204")
    age = _query("olderThanSeconds", COUNT)
    kept = _json("The packages that are kept here and by the brokers; pfrun's own", many(ref("KeptPackage")))
    yield "get", f"{_FUNCTIONS}/packages", kept | {"parameters": [age]}
    yield "get", f"{_FUNCTIONS}/packages/in-use", _json("The files that instances here were made from", many(TEXT))
    removal = _json("Remove the packages that nothing needs; pfrun's own", ref("PackageRemoval"))
    yield "post", f"{_FUNCTIONS}/packages/gc", removal | {"parameters": [age, _query("dryRun", FLAG)]}
    state = f"{_FUNCTION}/state/{{state_key}}"
    yield "get", state, _json("A value of the function's state", {"type": "object"})
    put_state = _json("Set a value of the function's state", nothing, 413)
    yield "post", state, put_state | _form({"state": {"type": "object"}}, ("state",))
    yield "get", f"{_INSTANCE}/logs", _logs()
    lead = _json("Write a change that another worker was asked for", nothing, 413)
    parts = {"functionMetaData": BYTES, "delete": TEXT}
    yield "put", f"{_FUNCTIONS}/leader/{{tenant}}/{{namespace}}/{{name}}", lead | _form(parts, ("functionMetaData",))


def _package_operations(base: str, *, nothing_status: str) -> Iterator[tuple[str, str, Operation]]:
    upload = _operation("Give a package to the brokers", {nothing_status: {"description": "It is done."}}, (413,))
    yield "post", f"{base}/upload", upload | _form({"data": BYTES, "path": TEXT}, ("data", "path"))
    download = _raw("A package by its name or URL", 404)
    yield "get", f"{base}/download", download | {"parameters": [_query("path", TEXT)]}


def _older_operations(base: str) -> Iterator[tuple[str, str, Operation]]:
    """The older form of functions: protobuf messages in JSON."""
    function, message = f"{base}/{{tenant}}/{{namespace}}/{{name}}", {"type": "object"}

    def done(summary: str, *errors: int) -> Operation:
        return _operation(summary, {"200": {"description": "It is done, or will be."}}, errors)

    yield "get", f"{base}/connectors", _json("Built-in connectors", many({"type": "object"}))
    yield from _package_operations(base, nothing_status="200")
    yield "get", f"{base}/{{tenant}}/{{namespace}}", _json("The names of a namespace's functions", many(TEXT))
    details = {"functionDetails": TEXT, "data": BYTES, "url": TEXT}
    yield "get", function, _json("A function as a message", message)
    register = done("Register a function and run it", 413)
    yield "post", function, register | _form(details, ("functionDetails",))
    update = done("Change a function; what is not given stays", 413)
    yield "put", function, update | _form(details, ("functionDetails",))
    yield "delete", function, done("Stop a function and forget it")
    for path, what in ((function, "all instances"), (f"{function}/{{instance}}", "one instance")):
        for action in ("stop", "restart"):
            yield "post", f"{path}/{action}", done(f"{action.capitalize()} {what}")
        yield "get", f"{path}/status", _json(f"How {what} {'are' if path == function else 'is'}", message)
    trigger = _raw("Give the function one message, and answer what it makes of it", 408, 413)
    yield "post", f"{function}/trigger", trigger | _form({"data": TEXT, "dataStream": BYTES, "topic": TEXT})
    yield "get", f"{function}/state/{{state_key}}", _json("A value of the function's state", {"type": "object"})


def _connector_operations(title: str, base: str) -> Iterator[tuple[str, str, Operation]]:
    """Sinks or sources."""
    name = title.lower()
    one, config = f"{base}/{{tenant}}/{{namespace}}/{{name}}", ref(f"{title}Config")
    instance = f"{one}/{{instance}}"
    yield "get", f"{base}/builtin{name}s", _json(f"Built-in {name}s", many({"type": "object"}))
    fields = _json(f"The settings of a built-in {name}", many({"type": "object"}))
    yield "get", f"{base}/builtin{name}s/{{name}}/configdefinition", fields
    yield "post", f"{base}/reloadBuiltIn{title}s", _json("Look for built-in connectors anew", None)
    yield "get", f"{base}/{{tenant}}/{{namespace}}", _json(f"The names of a namespace's {name}s", many(TEXT))
    parts = {f"{name}Config": config, "data": BYTES, "url": TEXT}
    yield "get", one, _json(f"A {name} as it is registered", config)
    register = _json(f"Register a {name} and run it", None, 413)
    yield "post", one, register | _form(parts, (f"{name}Config",))
    update = _json(f"Change a {name}; what is not given stays", None, 413)
    yield "put", one, update | _form({**parts, "updateOptions": ref("UpdateOptions")}, (f"{name}Config",))
    yield "delete", one, _json(f"Stop a {name} and forget it", None)
    for path, what in ((one, "all instances"), (instance, "one instance")):
        for action in ("start", "stop", "restart"):
            yield "post", f"{path}/{action}", _json(f"{action.capitalize()} {what}", None)
    yield "get", f"{one}/status", _json("How the instances are", ref(f"{title}Status"))
    yield "get", f"{instance}/status", _json("How one instance is", ref(f"{title}InstanceStatus"))
    yield "get", f"{instance}/logs", _logs()


def _marked(operations: Iterator[tuple[str, str, Operation]]) -> Iterator[tuple[str, str, Operation]]:
    """The same again, at paths that only older clients ask."""
    for method, path, operation in operations:
        yield method, path, operation | {"deprecated": True}


def _worker_operations() -> Iterator[tuple[str, str, Operation]]:
    yield "get", f"{_WORKER}/cluster", _json("All workers", many(ref("WorkerInfo")))
    yield "get", f"{_WORKER}/cluster/leader", _json("The worker that leads", ref("WorkerInfo"))
    yield "get", f"{_WORKER}/cluster/leader/ready", _json("Whether this worker leads", {"type": "boolean"})
    yield "get", f"{_WORKER}/assignments", _json("The instances of each worker", by_name(many(TEXT)))
    yield "get", f"{_WORKER}/connectors", _json("Built-in connectors", many({"type": "object"}))
    yield "put", f"{_WORKER}/rebalance", _json("Spread the instances over the workers", None)
    drain, status = {"parameters": [_query("workerId", TEXT)]}, by_name(TEXT)
    yield "put", f"{_WORKER}/drain", _json("Move this worker's instances to others", None)
    yield "get", f"{_WORKER}/drain", _json("How the drain of this worker goes", status)
    yield "put", f"{_WORKER}/leader/drain", _json("Move a worker's instances to others", None) | drain
    yield "get", f"{_WORKER}/leader/drain", _json("How the drain of a worker goes", status) | drain
    yield "get", f"{_STATS}/metrics", _json("The worker's own figures", many({"type": "object"}))
    yield "get", f"{_STATS}/functionsmetrics", _json("What each instance counted", many(ref("InstanceMetrics")))


def _at(path: str, operation: Operation) -> Operation:
    """``operation`` with what stands in its path."""
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in _PARAMETERS.items()
        if f"{{{name}}}" in path
    ]
    if not parameters:
        return operation
    parameters += operation.get("parameters", [])
    return operation | {"parameters": parameters, "responses": operation["responses"] | _errors(404)}


def _query(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _errors(*statuses: int) -> dict[str, Any]:
    told = {"application/json": {"schema": ref("Error")}}
    return {str(status): {"description": _REASONS[status], "content": told} for status in statuses}


def _json(summary: str, schema: Schema | None, *errors: int) -> Operation:
    """An operation that answers JSON of ``schema``, or nothing when that is ``None``."""
    if schema is None:
        return _operation(summary, {"204": {"description": "It is done, or will be."}}, errors)
    return _operation(summary, {"200": _content("application/json", {"schema": schema})}, errors)


def _raw(summary: str, *errors: int) -> Operation:
    """An operation that answers bytes. The type says JSON, as the reference's does."""
    return _operation(summary, {"200": _content("application/json", {})}, errors)


def _logs() -> Operation:
    logs = _operation("The last lines that an instance wrote; pfrun's own", _plain(), ())
    return logs | {"parameters": [_query("tail", COUNT), _query("since", TEXT)]}


def _text(summary: str) -> Operation:
    return _operation(summary, _plain(), ())


def _plain() -> dict[str, Any]:
    return {"200": _content("text/plain", {"schema": TEXT})}


def _content(media_type: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": "The answer.", "content": {media_type: content}}


def _operation(summary: str, answers: dict[str, Any], errors: tuple[int, ...]) -> Operation:
    elsewhere = {"307": {"description": "Another worker is to be asked."}}
    return {"summary": summary, "responses": answers | elsewhere | _errors(*_EVERYWHERE, *errors)}


def _form(parts: dict[str, Schema], required: tuple[str, ...] = ()) -> Operation:
    """A multipart body. Parts that are objects are sent as JSON."""
    schema: dict[str, Any] = {"type": "object", "properties": parts}
    if required:
        schema["required"] = list(required)
    encoding = {name: {"contentType": "application/json"} for name, part in parts.items() if "$ref" in part}
    content: dict[str, Any] = {"schema": schema}
    if encoding:
        content["encoding"] = encoding
    return {"requestBody": {"required": True, "content": {"multipart/form-data": content}}}
