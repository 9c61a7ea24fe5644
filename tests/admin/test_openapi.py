"""The OpenAPI document says what the application does: no more, no less."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from starlette.routing import BaseRoute, Mount, Route

from pulsar_runtimes.admin.app import build_app
from pulsar_runtimes.admin.openapi import openapi_document
from pulsar_runtimes.admin.openapi_schemas import schemas
from pulsar_runtimes.config.function import parse_function_config
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.sink import parse_sink_config
from pulsar_runtimes.config.source import parse_source_config
from pulsar_runtimes.model.errors import ConfigError
from tests.admin.fake_worker import serve_fakes

_UNSAID = {"/", "/status.html", "/status.css", "/status.js"}
"""What is for people."""


def served(routes: list[BaseRoute], above: str = "") -> Iterator[str]:
    """Method and path of each route, as the document writes them."""
    for route in routes:
        if isinstance(route, Mount):
            yield from served(route.routes, above + route.path)
        elif isinstance(route, Route):
            path = re.sub(r"{(\w+):\w+}", r"{\1}", above + route.path)
            for method in (route.methods or set()) - {"HEAD"}:
                if path not in _UNSAID:
                    yield f"{method} {path}"


def test_it_has_the_routes_of_the_application() -> None:
    nothing: Any = None
    app = build_app(Mock(), Mock(), nothing, nothing)
    said = {f"{method.upper()} {path}" for path, item in openapi_document()["paths"].items() for method in item}
    assert sorted(said) == sorted(set(served(app.routes)))


def test_each_operation_tells_what_it_takes_and_answers() -> None:
    for path, item in openapi_document()["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            told = operation.get("parameters", [])
            named = [parameter["name"] for parameter in told if parameter["in"] == "path"]
            assert sorted(named) == sorted(re.findall(r"{(\w+)}", path)), where
            assert any(status.startswith("2") for status in operation["responses"]), where
            for status, answer in operation["responses"].items():
                if status >= "400":
                    shape = answer["content"]["application/json"]["schema"]
                    assert shape == {"$ref": "#/components/schemas/Error"}, where


def test_each_shape_that_is_named_is_there() -> None:
    document = openapi_document()
    named = set(re.findall(r"#/components/schemas/(\w+)", repr(document)))
    assert named == set(document["components"]["schemas"])


def test_each_member_of_a_function_config_is_known() -> None:
    config = dict.fromkeys(schemas()["FunctionConfig"]["properties"], None)
    with pytest.raises(ConfigError) as raised:
        parse_function_config(Section(config))
    assert "not a known key" not in str(raised.value)


@pytest.mark.parametrize(("shape", "parse"), [("SinkConfig", parse_sink_config), ("SourceConfig", parse_source_config)])
def test_each_member_of_a_connectors_config_is_known(shape: str, parse: Callable[[Section], Any]) -> None:
    config = dict.fromkeys(schemas()[shape]["properties"], None)
    with pytest.raises(ConfigError) as raised:
        parse(Section(config))
    assert "not a known key" not in str(raised.value)


def test_it_is_served(tmp_path: Path) -> None:
    with serve_fakes(tmp_path) as api:
        answer = api.http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == openapi_document()
