"""``/admin/v3/functions`` of a worker, with ``sinks`` and ``sources`` beside it: one method for each call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.model.names import FunctionKey, InstanceKey

from .errors import MissingError

if TYPE_CHECKING:  # who shows help needs no HTTP client
    from .connection import Connection, Part

_BASE = "/admin/v3/functions"
_PLACES: Mapping[ComponentType, tuple[str, str]] = {
    ComponentType.FUNCTION: (_BASE, "functionConfig"),
    ComponentType.SINK: ("/admin/v3/sinks", "sinkConfig"),
    ComponentType.SOURCE: ("/admin/v3/sources", "sourceConfig"),
}
"""Where a worker has each kind of component, and which part of a request its config is."""

_ANYTHING = "*/*"
_TEXT = "text/plain"
_JSON = "application/json"
_BYTES = "application/octet-stream"
_LOG_MARK = "X-Pfrun-Log-Mark"


class FunctionsClient:
    """The functions of a worker. Every method raises ``WorkerError`` when the worker does not do it.

    Of another ``kind`` are what is created, updated, deleted, got and listed. :meth:`download` is for any kind.
    """

    def __init__(self, connection: Connection, kind: ComponentType = ComponentType.FUNCTION) -> None:
        self._connection = connection
        self._base, self._config_part = _PLACES[kind]

    def of_kind(self, kind: ComponentType) -> FunctionsClient:
        """The sinks or the sources of the same worker, or its functions."""
        return FunctionsClient(self._connection, kind)

    def _place(self, key: FunctionKey) -> str:
        return "/".join((self._base, *map(_quoted, (key.tenant, key.namespace, key.name))))

    def create(self, key: FunctionKey, config: Mapping[str, Any], *, file: Path | None = None, url: str = "") -> None:
        """Register one. Its code is a ``file`` of this machine, or at a ``url`` that the worker reads."""
        self._put("POST", key, config, file, url, None)

    def update(
        self,
        key: FunctionKey,
        config: Mapping[str, Any],
        *,
        file: Path | None = None,
        url: str = "",
        update_auth_data: bool = False,
    ) -> None:
        """Change what ``config`` has of a function, and its code when that is given."""
        options = {"updateAuthData": True} if update_auth_data else None
        self._put("PUT", key, config, file, url, options)

    def _put(
        self,
        method: str,
        key: FunctionKey,
        config: Mapping[str, Any],
        file: Path | None,
        url: str,
        options: Mapping[str, Any] | None,
    ) -> None:
        parts: list[tuple[str, Part]] = [(self._config_part, _json_part(config))]
        if options:
            parts.append(("updateOptions", _json_part(options)))
        if url:
            parts.append(("url", (None, url, _TEXT)))
        with ExitStack() as files:
            if file is not None:
                parts.append(("data", (file.name, files.enter_context(open_file(file)), _BYTES)))
            self._connection.ask(method, self._place(key), about=str(key), parts=parts)

    def delete(self, key: FunctionKey) -> None:
        self._connection.ask("DELETE", self._place(key), about=str(key))

    def get(self, key: FunctionKey) -> dict[str, Any]:
        """The config of a function, or of what else the client is for."""
        return _mapping(self._connection.ask_json(self._place(key), about=str(key)))

    def names(self, tenant: str, namespace: str) -> list[str]:
        """Those of a namespace."""
        path = f"{self._base}/{_quoted(tenant)}/{_quoted(namespace)}"
        found = self._connection.ask_json(path, about=f"{tenant}/{namespace}")
        return [str(name) for name in found] if isinstance(found, list) else []

    def status(self, key: FunctionKey, instance_id: int | None = None) -> dict[str, Any]:
        """``FunctionStatus``, or the status data of one instance."""
        return _mapping(self._connection.ask_json(_path(key, instance_id, "status"), about=str(key)))

    def stats(self, key: FunctionKey, instance_id: int | None = None) -> dict[str, Any]:
        """``FunctionStats``, or the metrics of one instance."""
        return _mapping(self._connection.ask_json(_path(key, instance_id, "stats"), about=str(key)))

    def change(self, key: FunctionKey, action: str, instance_id: int | None = None) -> None:
        """``start``, ``stop`` or ``restart`` an instance, or all. It is decided then, not done."""
        self._connection.ask("POST", _path(key, instance_id, action), about=str(key))

    def trigger(self, key: FunctionKey, data: str | Path, topic: str | None = None) -> bytes:
        """Send one message, a text or what is in a file, and the function's answer to it."""
        parts: list[tuple[str, Part]] = [] if topic is None else [("topic", (None, topic, _TEXT))]
        parts.append(_message(data))
        path = _path(key, None, "trigger")
        return self._connection.ask("POST", path, about=str(key), accept=_ANYTHING, parts=parts).content

    def download(self, key: FunctionKey, target: BinaryIO, *, transform_function: bool = False) -> None:
        """Write the code of a function to ``target``."""
        query = {"transform-function": "true"} if transform_function else None
        self._download(_path(key, None, "download"), str(key), query, target)

    def download_package(self, path: str, target: BinaryIO) -> None:
        """Write what is stored at ``path``, or under a package's name, to ``target``."""
        self._download(f"{_BASE}/download", path, {"path": path}, target)

    def _download(self, path: str, about: str, query: Mapping[str, str] | None, target: BinaryIO) -> None:
        with self._connection.open("GET", path, about, query=query) as answer:
            for chunk in answer.iter_bytes():
                target.write(chunk)

    def upload(self, path: str, file: Path) -> None:
        """Store a file at ``path``, or under a package's name."""
        with open_file(file) as content:
            parts: list[tuple[str, Part]] = [("path", (None, path, _TEXT)), ("data", (file.name, content, _BYTES))]
            self._connection.ask("POST", f"{_BASE}/upload", about=path, parts=parts)

    def state(self, key: FunctionKey, name: str) -> dict[str, Any]:
        """One value of a function's state, as ``FunctionState``."""
        return _mapping(self._connection.ask_json(f"{_path(key, None, 'state')}/{_quoted(name)}", about=str(key)))

    def put_state(self, key: FunctionKey, name: str, state: Mapping[str, Any]) -> None:
        """Set one value; the ``key`` in ``state`` is ``name``."""
        path = f"{_path(key, None, 'state')}/{_quoted(name)}"
        self._connection.ask("POST", path, about=str(key), parts=[("state", _json_part(state))])

    def log(self, key: FunctionKey, instance_id: int, *, tail: int, since: str = "") -> tuple[str, str]:
        """The last lines of an instance, or all since a mark; and the mark to go on with, if there is one.

        Only workers of pfrun have it.
        """
        query = {"since": since} if since else {"tail": str(tail)}
        about = str(InstanceKey(key, instance_id))
        path = _path(key, instance_id, "logs")
        try:
            answer = self._connection.ask("GET", path, about=about, accept=_ANYTHING, query=query)
        except MissingError as error:
            if error.is_reasoned:
                raise
            why = "this worker shows no logs; those of Apache Pulsar leave them in files beside them"
            raise MissingError(f"{about}: {why}", error.status) from None
        return answer.text, answer.headers.get(_LOG_MARK, "")


def open_file(path: Path) -> BinaryIO:
    """``path`` to read from. ``ConfigError`` when it cannot be."""
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigError(Problem("", f"cannot be read: {(error.strerror or '').lower()}", str(path))) from None


def _message(data: str | Path) -> tuple[str, Part]:
    """A text goes as a text even if it is in a file: Apache Pulsar's worker loses files, or the ends of them."""
    if isinstance(data, str):
        return "data", (None, data, _TEXT)
    with open_file(data) as file:
        content = file.read()
    try:
        return "data", (None, content.decode(), _TEXT)
    except UnicodeDecodeError:
        return "dataStream", (data.name, content, _BYTES)


def _path(key: FunctionKey, instance_id: int | None = None, action: str = "") -> str:
    parts = [_BASE, _quoted(key.tenant), _quoted(key.namespace), _quoted(key.name)]
    if instance_id is not None:
        parts.append(str(instance_id))
    return "/".join([*parts, action] if action else parts)


def _quoted(text: str) -> str:
    """One segment of a path, and never a step up."""
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def _json_part(data: Mapping[str, Any]) -> Part:
    return (None, json.dumps(data, ensure_ascii=False), _JSON)


def _mapping(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {}
