"""Whatever is asked, the answer is one that the OpenAPI document knows, and never that something broke."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

from pulsar_runtimes.admin.openapi_schemas import schemas
from tests.admin.conftest import Api
from tests.admin.fake_worker import Served, serve_fakes
from tests.workers import SAMPLES

Operation = Any

THERE = {"tenant": "public", "namespace": "default", "name": "there", "instance": 0}
_CHECKS = [
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
]
_PEACEFUL, _CHANGING, _LAST = 0, 1, 2


def turn(operation: Operation) -> int:
    """What changes the function comes after what only looks at it, so that there is something to look at."""
    if operation.method == "delete":
        return _LAST
    is_peaceful = operation.method == "get" or operation.path.endswith("/trigger")
    return _PEACEFUL if is_peaceful else _CHANGING


@pytest.fixture
def ask_everything(api: Api, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], int]:
    """``ask_everything(n)`` asks each operation some times ``n``, and says how many answers there were."""
    monkeypatch.setattr("pulsar_runtimes.service.trigger._ANSWER_SECONDS", 0.5)
    assert api.register("there", **config).status_code == 204
    api.await_running("there", 1)
    base = str(api.http.base_url).rstrip("/")
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    checks = [CHECKS.get_one(name) for name in _CHECKS]

    def ask(examples: int) -> int:
        answers = 0

        def check(case: Any) -> None:
            nonlocal answers
            response = case.call_and_validate(checks=checks, timeout=20)
            assert response.status_code != 500, f"{case.as_curl_command()}\n{response.text}"
            answers += 1

        operations: list[Operation] = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
        for operation in sorted(operations, key=turn):
            known = {name: THERE[name] for name in THERE if f"{{{name}}}" in operation.path}
            for mode in GenerationMode:
                for path_parameters in [None, known] if known else [None]:
                    given_cases(check, operation, mode, path_parameters, examples)
        return answers

    return ask


def given_cases(
    check: Callable[[Any], None], operation: Operation, mode: Any, path_parameters: Any, examples: int
) -> None:
    kept: dict[str, Any] = {} if path_parameters is None else {"path_parameters": path_parameters}
    can_be_wrong = len(operation.body) > 0 or ("{instance}" in operation.path and not kept)
    if mode is GenerationMode.NEGATIVE and not can_be_wrong:
        return
    run = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seed(20)(run(given(case=operation.as_strategy(generation_mode=mode, **kept))(check)))()


@pytest.mark.broker
def test_any_request_is_answered_as_the_document_says(ask_everything: Callable[[int], int]) -> None:
    assert ask_everything(2) > 100


@pytest.mark.broker
@pytest.mark.slow
def test_very_many_requests_are_answered_as_the_document_says(ask_everything: Callable[[int], int]) -> None:
    assert ask_everything(25) > 500


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fakes(tmp_path_factory.mktemp("fakes"), functions=1, running=1) as served:
        yield served


JUNK: list[Any] = [0, -1.5, 10**30, True, "", "\u0000 x", [], [1, None, {}], {}, {"a": 1}, {"a": ["b"]}, {"": None}]


@pytest.mark.parametrize("member", [*schemas()["FunctionConfig"]["properties"], "nosuch"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_member_that_is_wrong_is_never_an_accident(fakes: Served, method: str, member: str) -> None:
    good = {"className": "samples.Exclaim", "inputs": ["in"], "runtime": "PYTHON"} if method == "POST" else {}
    path = f"/admin/v3/functions/public/default/{'new' if method == 'POST' else 'f0'}"
    for junk in JUNK:
        config = json.dumps({**good, member: junk})
        files: dict[str, Any] = {"functionConfig": (None, config), "data": (SAMPLES.name, SAMPLES.read_bytes())}
        answer = fakes.http.request(method, path, files=files)
        assert answer.status_code in (204, 400), f"{config}: {answer.text}"
        if answer.status_code == 204 and method == "POST":
            assert fakes.http.delete(path).status_code == 204


@pytest.mark.parametrize("text", ["[" * 100_000, '"' + "x" * 100, "NaN", "[1]", "\ud800", '{"a":' * 5000])
def test_a_config_that_is_no_object_is_refused(fakes: Served, text: str) -> None:
    files: dict[str, Any] = {"functionConfig": (None, text.encode(errors="surrogatepass")), "data": ("f.py", b"")}
    answer = fakes.http.post("/admin/v3/functions/public/default/new", files=files)
    assert answer.status_code == 400
    assert answer.json()["reason"].startswith("functionConfig")
