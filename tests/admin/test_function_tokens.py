"""Functions prove themselves with the token of who registered them, where the configuration says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pulsar_runtimes.config.worker import CLEAR_TEXT_AUTH_PROVIDER
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.runtimes.base import Runtime
from pulsar_runtimes.runtimes.process.factory import ProcessRuntimeFactory
from tests.admin.callers import CALLERS, TestCaller
from tests.admin.conftest import Api, Kept, parts
from tests.waiting import until
from tests.workers import SAMPLES

pytestmark = pytest.mark.broker

KEY = FunctionKey("public", "default", "f")
USER = CALLERS["role with the permission"]
ANOTHER = CALLERS["plain role"]
UPDATE_TOKEN = {"updateOptions": (None, json.dumps({"updateAuthData": True}), "application/json")}

Config = dict[str, Any]
Serve = Callable[..., Api]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def api(serve: Serve, kept: Kept, token_keys: dict[str, Any]) -> Api:
    return serve(kept=kept, functionAuthProviderClassName=CLEAR_TEXT_AUTH_PROVIDER, **token_keys)


def register(api: Api, config: Config, caller: TestCaller = USER) -> httpx.Response:
    return api.http.post(api.path("f"), files=parts(SAMPLES, **config), headers=caller.headers)


def update(api: Api, caller: TestCaller, more: dict[str, Any] | None = None, **config: Any) -> httpx.Response:
    return api.http.put(api.path("f"), files={**parts(None, **config), **(more or {})}, headers=caller.headers)


def token_of(api: Api) -> str:
    """That of the instance that was launched last."""
    runtime = until(lambda: api.service.worker.replica(InstanceKey(KEY, 0)))
    assert isinstance(runtime, Runtime)
    return runtime.spec.auth_data


def test_an_instance_has_the_token_of_who_registered_its_function(api: Api, config: Config) -> None:
    assert register(api, config).status_code == 204
    assert token_of(api) == USER.token
    assert USER.token not in repr(api.service.get(KEY))


def test_only_an_update_that_says_so_brings_another_token(api: Api, config: Config) -> None:
    register(api, config)
    assert update(api, ANOTHER, userConfig={"k": "v"}).status_code == 204
    until(lambda: token_of(api), lambda found: found == USER.token)
    assert update(api, ANOTHER, UPDATE_TOKEN).status_code == 204, "a token alone is a change, too"
    until(lambda: token_of(api), lambda found: found == ANOTHER.token)


def test_the_token_of_a_proxy_is_given_to_nobody(api: Api, config: Config) -> None:
    assert register(api, config, CALLERS["proxy for a role with the permission"]).status_code == 204
    assert token_of(api) == ""


def test_without_a_provider_nothing_is_kept(
    serve: Serve, kept: Kept, token_keys: dict[str, Any], config: Config
) -> None:
    api = serve(kept=kept, **token_keys)
    register(api, config)
    assert kept.by_key[KEY].auth is None


def test_what_was_kept_goes_with_its_function(
    api: Api, kept: Kept, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(ProcessRuntimeFactory, "forget_token", lambda self, spec: forgotten.append(spec.auth_data))

    def refuse(registration: object) -> None:
        raise MetadataError("the brokers are away")

    with monkeypatch.context() as broken:
        broken.setattr(kept, "put", refuse)
        assert register(api, config).status_code == 500
    assert forgotten == [USER.token]
    assert register(api, config).status_code == 204
    assert api.http.delete(api.path("f"), headers=USER.headers).status_code == 204
    assert forgotten == [USER.token] * 2
