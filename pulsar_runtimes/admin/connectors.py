"""``/admin/v3/sinks`` and ``/admin/v3/sources``: as for functions, and what connectors are built in."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from pulsar_runtimes.service.component import SINKS, Component

from .answers import answering
from .components import ComponentRoutes
from .instances import Instances
from .operations import Operation, Permission


class ConnectorRoutes(ComponentRoutes):
    """The routes of one kind of connector; ``instances`` may be those of any kind."""

    def __init__(self, instances: Instances, component: Component) -> None:
        super().__init__(instances.for_component(component))
        self._is_sink = component is SINKS
        self.permission = Permission.SINKS if self._is_sink else Permission.SOURCES

    def routes(self) -> list[BaseRoute]:
        """In an order in which fixed names come before those of tenants."""
        builtin, reload = ("builtinsinks", "InSinks") if self._is_sink else ("builtinsources", "InSources")
        fields = f"/{builtin}/{{name}}/configdefinition"
        return [
            self._route(f"/{builtin}", answering(self._builtin), "GET", Operation.LIST_CONNECTORS),
            self._route(fields, answering(self._fields), "GET", Operation.LIST_CONNECTORS),
            self._route(f"/reloadBuilt{reload}", answering(self._reload), "POST", Operation.RELOAD_BUILTINS),
            *self._common_routes(),
        ]

    def _builtin(self, request: Request) -> list[dict[str, str]]:
        return self._builtins.sinks() if self._is_sink else self._builtins.sources()

    def _fields(self, request: Request) -> list[dict[str, Any]]:
        return self._builtins.config_fields(request.path_params["name"], self._service.component)
