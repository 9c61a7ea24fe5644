"""Who may call what, over HTTP, on a real worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, cast
from unittest.mock import Mock

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response

from pulsar_runtimes.admin.access import AccessControl
from pulsar_runtimes.admin.app import build_app, guard
from pulsar_runtimes.admin.operations import Operation
from pulsar_runtimes.admin.routes import GuardedRoute, all_routes
from pulsar_runtimes.admin.server import AdminServer
from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.errors import ConfigError
from tests.admin.callers import ADMINS, CALLERS, PERMISSIONS, PROXIES, SUPER_USERS, Reach
from tests.admin.calls import ALL, FUNCTION
from tests.admin.conftest import Api, parts
from tests.admin.keys import SECRET, base64_text, token
from tests.admin.policies import PolicyServer
from tests.workers import SAMPLES

FUNCTIONS = "/admin/v3/functions"
ADMIN = CALLERS["super user"].headers
DEVELOPER = CALLERS["role with the permission"].headers
NOT_AUTHORIZED = {"reason": "Client is not authorized to perform operation"}
REQUIRED = {"reason": "Authentication required"}


@pytest.fixture
def policies() -> PolicyServer:
    """Pulsar's policies, for a worker whose own token is that of a super user."""
    permissions = {place: dict(roles) for place, roles in PERMISSIONS.items()}
    admins = {"public": ["public-admin"], **ADMINS}
    return PolicyServer(token("admin"), admins, {"public/default": {"developer": ["functions"]}, **permissions})


@pytest.fixture
def secured(serve: Callable[..., Api], policies: PolicyServer, token_keys: dict[str, Any]) -> Iterator[Api]:
    with AdminServer(policies.app(), "127.0.0.1", 0) as server:
        yield serve(
            authorizationEnabled=True,
            superUserRoles=SUPER_USERS,
            proxyRoles=PROXIES,
            metadataStoreOperationTimeoutSeconds=1,
            pulsarWebServiceUrl=f"http://127.0.0.1:{server.port}",
            brokerClientAuthenticationPlugin="org.apache.pulsar.client.impl.auth.AuthenticationToken",
            brokerClientAuthenticationParameters=f"token:{token('admin')}",
            **token_keys,
        )


@pytest.mark.broker
def test_each_caller_comes_as_far_as_the_matrix_says(secured: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told, wanted = {}, {}
    for name, caller in CALLERS.items():
        for call in ALL:
            told[name, str(call)] = call.make(secured.http, caller.headers)
            wanted[name, str(call)] = caller.status(call)
    assert told == wanted
    for caller in CALLERS.values():
        assert not caller.token or caller.token not in caplog.text


@pytest.mark.broker
def test_a_refusal_says_the_reason_of_the_reference(secured: Api) -> None:
    for caller in CALLERS.values():
        answer = secured.http.get("/admin/v2/worker/cluster", headers=caller.headers)
        if caller.reach is Reach.NOWHERE:
            assert (answer.status_code, answer.json()) == (401, REQUIRED)
        elif caller.reach is not Reach.EVERYWHERE:
            assert (answer.status_code, answer.json()) == (401, NOT_AUTHORIZED)


@pytest.mark.broker
def test_whoever_has_the_permission_runs_functions(secured: Api, config: dict[str, Any]) -> None:
    files = parts(SAMPLES, **config)
    path = f"{FUNCTIONS}/public/default/mine"
    assert secured.http.post(path, files=files).status_code == 401
    assert secured.http.post(path, files=files, headers=CALLERS["plain role"].headers).json() == NOT_AUTHORIZED
    assert secured.service.functions() == []
    assert secured.http.post(path, files=files, headers=DEVELOPER).status_code == 204
    assert secured.http.get(f"{FUNCTIONS}/public/default", headers=DEVELOPER).json() == ["mine"]
    other = CALLERS["tenant admin"]  # of another tenant
    assert secured.http.delete(path, headers=other.headers).json() == NOT_AUTHORIZED
    assert secured.http.delete(path, headers=DEVELOPER).status_code == 204


@pytest.mark.broker
def test_strangers_learn_nothing_but_whether_it_is_there(secured: Api) -> None:
    for method, path in (("GET", "/nosuch"), ("POST", "/live/"), ("PATCH", FUNCTION)):
        answer = secured.http.request(method, path)
        assert (answer.status_code, answer.json()) == (401, REQUIRED), path
    for path in ("/live", "/ready", "/initialized"):
        assert secured.http.get(path).text == "true"
        assert secured.http.get(path, headers={"Authorization": "Bearer x"}).text == "true"
    assert secured.http.get("/nosuch", headers=ADMIN).status_code == 404


@pytest.mark.broker
def test_a_caller_may_ask_for_one_way_of_authentication(secured: Api) -> None:
    listing = f"{FUNCTIONS}/acme/dev"
    for method, status in (("token", 200), ("tls", 401), ("nosuch", 401)):
        headers = {**ADMIN, "X-Pulsar-Auth-Method-Name": method}
        assert secured.http.get(listing, headers=headers).status_code == status
    twice = [*ADMIN.items(), ("X-Original-Principal", "admin"), ("X-Original-Principal", "other")]
    assert secured.http.get(listing, headers=twice).status_code == 401


@pytest.mark.broker
def test_what_pulsar_does_not_say_is_no_permission(secured: Api, policies: PolicyServer) -> None:
    def ask(path: str, **headers: str) -> tuple[int, str]:
        answer = secured.http.get(f"{FUNCTIONS}/{path}", headers=headers or DEVELOPER)
        return answer.status_code, answer.json()["reason"]

    assert ask("nosuch/dev") == (500, "Tenant does not exist")
    policies.token = "another"
    assert ask("other/dev") == (500, "Pulsar does not tell this worker what the client may do (401)")
    policies.delay_seconds = 2
    assert ask("slow/dev") == (500, "Pulsar did not say within 1 s what the client may do")
    assert secured.http.get(f"{FUNCTIONS}/slow/dev", headers=ADMIN).json() == []  # nobody has to be asked
    for odd in ("%2e%2e/dev", "a%20b/dev", "acme/a%01"):
        assert ask(odd) == (401, NOT_AUTHORIZED["reason"])
    assert all(path.isprintable() and " " not in path for path in policies.asked)


@pytest.mark.broker
def test_without_authorization_everybody_known_may_do_everything(
    serve: Callable[..., Api], token_keys: dict[str, Any]
) -> None:
    api = serve(**token_keys)
    told = {
        (name, str(call)): call.make(api.http, CALLERS[name].headers)
        for name in ("anonymous", "expired token", "plain role")
        for call in ALL
    }
    allowed = {"plain role": True}
    assert told == {
        (name, str(call)): call.allowed if allowed.get(name) else 401
        for name in ("anonymous", "expired token", "plain role")
        for call in ALL
    }


@pytest.mark.broker
def test_without_authentication_nobody_is_asked(api: Api) -> None:
    told = {str(call): call.make(api.http, {}) for call in ALL}
    assert told == {str(call): call.allowed for call in ALL}


# Without a worker


async def _page(request: Any) -> Response:
    return PlainTextResponse("page")


@pytest.mark.parametrize("open_metrics", [True, False])
def test_metrics_are_open_when_they_are_told_to_be(open_metrics: bool, token_keys: dict[str, Any]) -> None:
    config = WorkerConfig(
        authentication_enabled=True,
        authentication_providers=tuple(token_keys["authenticationProviders"]),
        properties=token_keys["properties"],
        authorization_enabled=True,
        authenticate_metrics_endpoint=not open_metrics,
    )
    app = Starlette(routes=[GuardedRoute("/metrics", _page, "GET", Operation.METRICS)])
    guard(app, AccessControl.from_config(config))
    with AdminServer(app, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        assert httpx.get(url).status_code == (200 if open_metrics else 401)
        assert httpx.get(url, headers=CALLERS["plain role"].headers).status_code == 200


def test_a_route_behind_no_gate_is_closed(token_keys: dict[str, Any]) -> None:
    """The route itself asks as well, should the gate be left out."""
    config = WorkerConfig(
        authentication_enabled=True,
        authentication_providers=tuple(token_keys["authenticationProviders"]),
        properties=token_keys["properties"],
    )
    app = Starlette(routes=[GuardedRoute("/x", _page, "GET", Operation.CLUSTER)])
    app.state.access = AccessControl.from_config(config)
    with AdminServer(app, "127.0.0.1", 0) as server:
        answer = httpx.get(f"http://127.0.0.1:{server.port}/x", headers=ADMIN)
    assert (answer.status_code, answer.json()) == (401, REQUIRED)


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        (
            {"authorization_enabled": True, "authorization_provider": "my.Provider"},
            [
                "authorizationEnabled: needs authenticationEnabled: who is not known cannot be authorized",
                (
                    "authorizationProvider: pfrun has org.apache.pulsar.broker.authorization."
                    "PulsarAuthorizationProvider only (got my.Provider)"
                ),
            ],
        ),
        (
            {"authentication_enabled": True},
            ["authenticationProviders: must name one, as authenticationEnabled is true"],
        ),
        (
            {"authentication_enabled": True, "authentication_providers": ("my.Provider", " ")},
            [
                (
                    "authenticationProviders: pfrun has org.apache.pulsar.broker.authentication."
                    "AuthenticationProviderToken and org.apache.pulsar.broker.authentication.AuthenticationProviderTls "
                    "only (got my.Provider)"
                )
            ],
        ),
        (
            {
                "authentication_enabled": True,
                "authentication_providers": (
                    "org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
                    "my.Provider",
                ),
            },
            [
                "properties.tokenSecretKey: must be given, or tokenPublicKey: tokens are verified with it",
                (
                    "authenticationProviders: pfrun has org.apache.pulsar.broker.authentication."
                    "AuthenticationProviderToken and org.apache.pulsar.broker.authentication.AuthenticationProviderTls "
                    "only (got my.Provider)"
                ),
            ],
        ),
    ],
)
def test_what_cannot_be_enforced_is_refused_at_once(settings: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        AccessControl.from_config(WorkerConfig(**settings))
    assert [str(problem) for problem in caught.value.problems] == messages


def test_nothing_shows_a_secret(token_keys: dict[str, Any]) -> None:
    config = WorkerConfig(
        authentication_enabled=True,
        authentication_providers=tuple(token_keys["authenticationProviders"]),
        properties=token_keys["properties"],
    )
    assert base64_text(SECRET) not in repr(AccessControl.from_config(config)) + repr(config)


def test_the_calls_are_all_there_are() -> None:
    unused = cast(Any, Mock())
    app = build_app(unused, unused, unused, unused)
    asking = [
        path for path, route in all_routes(app.routes) if route.operation not in (Operation.PROBE, Operation.PAGE)
    ]
    assert len({str(call) for call in ALL}) == len(ALL) == len(asking)
