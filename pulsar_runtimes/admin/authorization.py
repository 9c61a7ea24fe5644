"""Who may do what: super users, admins of a tenant, roles with a permission on a namespace.

Source: ``AuthorizationService`` and ``PulsarAuthorizationProvider`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.errors import ConfigError, Problem

from .authentication import Caller
from .errors import PolicyLookupError
from .operations import Permission
from .pulsar_admin import PulsarAdmin

PROVIDER = "org.apache.pulsar.broker.authorization.PulsarAuthorizationProvider"


class Policies(Protocol):
    """What Pulsar knows of tenants and namespaces. ``PolicyLookupError`` when it cannot be asked."""

    async def tenant_admins(self, tenant: str) -> Collection[str] | None:
        """The roles that administer a tenant; ``None`` when there is no such tenant."""

    async def permissions(self, tenant: str, namespace: str) -> Mapping[str, Collection[str]] | None:
        """Each role's permissions on a namespace; ``None`` when there is no such namespace."""


class Authorizer:
    """Decides with the worker's own lists of roles, and with what ``policies`` says of everybody else.

    Without ``policies``, as on a broker that has none, only super users may do anything.
    """

    def __init__(
        self, super_users: Collection[str], proxies: Collection[str] = (), policies: Policies | None = None
    ) -> None:
        self._super_users = frozenset(super_users)
        self._proxies = frozenset(proxies)
        self._policies = policies

    @classmethod
    def from_config(cls, config: WorkerConfig) -> Authorizer:
        """As the configuration says; nobody is asked yet. ``ConfigError`` with every problem."""
        if config.authorization_provider.strip() not in ("", PROVIDER):
            message = f"pfrun has {PROVIDER} only (got {config.authorization_provider})"
            raise ConfigError(Problem("authorizationProvider", message, config.file))
        url = config.pulsar_web_service_url.strip()
        policies = None
        if url:
            deadline_seconds = max(config.metadata_store_operation_timeout_seconds, 1)
            policies = PulsarAdmin(url, config.own_client_auth, deadline_seconds=deadline_seconds)
        return cls(config.super_user_roles, config.proxy_roles, policies)

    def is_super_user(self, caller: Caller) -> bool:
        """Whether all roles that the caller acts with are super users."""
        roles = self._roles(caller)
        return bool(roles) and self._super_users.issuperset(roles)

    async def may_use(self, caller: Caller, permission: Permission, tenant: str, namespace: str) -> bool:
        """Whether the caller may do in a namespace what ``permission`` allows."""
        roles = self._roles(caller)
        if not roles:
            return False
        for role in roles:
            if not await self._role_may_use(role, permission, tenant, namespace):
                return False
        return True

    async def _role_may_use(self, role: str, permission: Permission, tenant: str, namespace: str) -> bool:
        if role in self._super_users:
            return True
        if self._policies is None:
            return False
        admins = await self._policies.tenant_admins(tenant)
        if admins is None:
            raise PolicyLookupError("Tenant does not exist")
        if role in admins:
            return True
        permissions = await self._policies.permissions(tenant, namespace) or {}
        return permission.value in permissions.get(role, ())

    def _roles(self, caller: Caller) -> tuple[str, ...]:
        """The roles that must all be allowed; none when the caller must not name the one it acts for.

        Source: ``AuthorizationService#isValidOriginalPrincipal``.
        """
        if caller.role in self._proxies:
            valid = bool(caller.original) and caller.original not in self._proxies
            return (caller.role, caller.original) if valid else ()
        return (caller.role,) if caller.original in ("", caller.role) else ()
