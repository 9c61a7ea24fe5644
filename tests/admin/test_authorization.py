"""Which roles may do what, without and with a proxy between."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import pytest

from pulsar_runtimes.admin.authentication import Caller
from pulsar_runtimes.admin.authorization import Authorizer
from pulsar_runtimes.admin.errors import PolicyLookupError
from pulsar_runtimes.admin.operations import Permission
from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.errors import ConfigError


class Known:
    """Policies that are in memory."""

    async def tenant_admins(self, tenant: str) -> Collection[str] | None:
        return {"t": {"admin", "proxy"}}.get(tenant)

    async def permissions(self, tenant: str, namespace: str) -> Mapping[str, Collection[str]] | None:
        return {"t/n": {"dev": ["functions", "produce"], "sinker": ["sinks"], "reader": ["consume"]}}.get(
            f"{tenant}/{namespace}"
        )


AUTHORIZER = Authorizer({"super", "super-proxy"}, {"proxy", "super-proxy"}, Known())


def allowed(
    caller: Caller, permission: Permission = Permission.FUNCTIONS, namespace: str = "n", tenant: str = "t"
) -> bool:
    return asyncio.run(AUTHORIZER.may_use(caller, permission, tenant, namespace))


@pytest.mark.parametrize(
    ("role", "may"), [("super", True), ("admin", True), ("dev", True), ("reader", False), ("x", False), ("", False)]
)
def test_super_users_tenant_admins_and_the_permission_count(role: str, may: bool) -> None:
    assert allowed(Caller(role)) is may


def test_the_permission_is_that_of_the_component_and_the_namespace() -> None:
    assert allowed(Caller("sinker"), Permission.SINKS)
    assert not allowed(Caller("sinker"), Permission.FUNCTIONS)
    assert not allowed(Caller("dev"), Permission.SOURCES)
    assert not allowed(Caller("dev"), namespace="other")
    assert allowed(Caller("admin"), Permission.SOURCES, namespace="other")


def test_an_unknown_tenant_is_an_error_but_for_super_users() -> None:
    assert allowed(Caller("super"), tenant="nosuch")
    with pytest.raises(PolicyLookupError, match="Tenant does not exist"):
        allowed(Caller("dev"), tenant="nosuch")


@pytest.mark.parametrize(
    ("caller", "may", "super_user"),
    [
        (Caller("super-proxy", "super"), True, True),
        (Caller("super-proxy", "admin"), True, False),
        (Caller("super-proxy", "dev"), True, False),
        (Caller("super-proxy", "x"), False, False),
        (Caller("proxy", "super"), True, False),  # the proxy itself is an admin of the tenant only
        (Caller("super-proxy"), False, False),
        (Caller("super-proxy", "proxy"), False, False),
        (Caller("super-proxy", "super-proxy"), False, False),
        (Caller("super", "super"), True, True),
        (Caller("super", "dev"), False, False),
        (Caller("dev", "super"), False, False),
        (Caller("dev", "dev"), True, False),
    ],
)
def test_a_proxy_and_the_one_it_speaks_for_must_both_be_allowed(caller: Caller, may: bool, super_user: bool) -> None:
    assert allowed(caller) is may
    assert AUTHORIZER.is_super_user(caller) is super_user


def test_without_policies_only_super_users_may() -> None:
    authorizer = Authorizer({"super"})
    assert asyncio.run(authorizer.may_use(Caller("super"), Permission.FUNCTIONS, "t", "n"))
    assert not asyncio.run(authorizer.may_use(Caller("dev"), Permission.FUNCTIONS, "t", "n"))


def test_another_provider_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^authorizationProvider: pfrun has .*PulsarAuthorizationProvider only "):
        Authorizer.from_config(WorkerConfig(authorization_provider="my.Provider"))
