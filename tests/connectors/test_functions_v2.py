"""The older form of the admin API of functions, beside what Apache Pulsar 4.0.8 was seen to answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import until

from .conftest import Api
from .nars import write_nar

IN, OUT = "persistent://public/default/in", "persistent://public/default/out"
DETAILS: dict[str, Any] = {
    "tenant": "public",
    "namespace": "default",
    "name": "f",
    "className": "a.Plain",
    "userConfig": '{"k":"v"}',
    "autoAck": True,
    "parallelism": 1,
    "source": {
        "typeClassName": "java.lang.String",
        "inputSpecs": {IN: {}},
        "cleanupSubscription": True,
    },
    "sink": {"topic": OUT, "typeClassName": "java.lang.String", "forwardSourceMessageProperty": True},
    "resources": {"cpu": 1.0, "ram": "1073741824", "disk": "10737418240"},
    "componentType": "FUNCTION",
}


@pytest.fixture(params=["/admin/v2/functions", "/admin/functions"])
def base(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def send(api: Api, method: str, path: str, details: dict[str, Any], code: Path | None = None) -> httpx.Response:
    files: dict[str, Any] = {"functionDetails": (None, json.dumps(details))}
    if code is not None:
        files["data"] = (code.name, code.read_bytes())
    return api.http.request(method, path, files=files)


def test_a_function_is_a_message_in_json(api: Api, base: str, tmp_path: Path) -> None:
    path = f"{base}/public/default/f"
    created = send(api, "POST", path, DETAILS, write_nar(tmp_path / "f.jar"))
    assert (created.status_code, created.content) == (200, b"")
    told = api.http.get(path)
    # The config on the way has producer settings, so that the message has them, too, as in the reference.
    assert told.json() == {**DETAILS, "sink": {**DETAILS["sink"], "producerSpec": {}}}
    assert told.text.startswith('{\n  "tenant": "public",\n')
    assert api.http.get(f"{base}/public/default").json() == ["f"]
    assert api.get("functions/public/default/f")["className"] == "a.Plain"
    changed = send(api, "PUT", path, {**DETAILS, "parallelism": 2})
    assert (changed.status_code, changed.content) == (200, b"")
    assert api.http.get(path).json()["parallelism"] == 2
    assert api.http.delete(path).status_code == 200
    assert api.http.get(path).json() == {"reason": "Function f doesn't exist"}


def test_status_leaves_out_what_is_zero(api: Api, base: str, tmp_path: Path) -> None:
    path = f"{base}/public/default/f"
    send(api, "POST", path, DETAILS, write_nar(tmp_path / "f.jar"))
    running = {"running": True, "instanceId": "0", "workerId": "w1"}
    until(lambda: api.http.get(f"{path}/0/status").json(), lambda status: status == running)
    assert api.http.get(f"{path}/status").json() == {"functionStatusList": [running]}
    answer = api.http.get(f"{path}/7/status")
    assert (answer.status_code, answer.json()) == (400, {"reason": "Function f doesn't have instance with id 7"})
    for action, status in (("0/restart", 200), ("stop", 200), ("stop", 400), ("start", 404)):
        assert api.http.post(f"{path}/{action}").status_code == status, action
    assert api.http.get(f"{path}/stats").status_code == 404


def test_details_that_are_none_are_refused(api: Api, base: str) -> None:
    path = f"{base}/public/default/f"
    for details, reason in (([1], "functionDetails: "), ({"runtime": "COBOL"}, "functionDetails: runtime: ")):
        answer = send(api, "POST", path, details)  # type: ignore[arg-type]
        assert answer.status_code == 400 and answer.json()["reason"].startswith(reason)
    assert api.http.get(f"{base}/connectors").json()[0]["name"] == "both"
