"""Routes that name what they do, so that none is served without the question who may."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from .access import AccessControl
from .answers import Endpoint, failure_answer
from .operations import NEEDS, Need, Operation, Permission


class GuardedRoute(Route):
    """A route of the admin API. The application's ``AccessControl`` is asked before anything of a request is read."""

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        method: str,
        operation: Operation,
        permission: Permission = Permission.FUNCTIONS,
    ) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.operation = operation
        self.permission = permission

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        access: AccessControl = scope["app"].state.access
        try:
            await access.check(Request(scope), self.operation, self.permission)
        except Exception as error:
            await failure_answer(error, Request(scope))(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


def all_routes(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[tuple[str, GuardedRoute]]:
    """Each route with its whole path. ``TypeError`` for one that names no operation."""
    for route in routes:
        if isinstance(route, GuardedRoute):
            yield prefix + route.path, route
        elif isinstance(route, Mount) and route.routes:
            yield from all_routes(route.routes, prefix + route.path)
        else:
            raise TypeError(
                f"{prefix}{getattr(route, 'path', route)}: must be a GuardedRoute, which names its operation"
            )


def open_paths(routes: Sequence[BaseRoute], *, open_metrics: bool) -> frozenset[str]:
    """The paths at which nobody is asked who he is."""
    open_needs = {Need.NOTHING, Need.KNOWN_UNLESS_OPEN} if open_metrics else {Need.NOTHING}
    return frozenset(path for path, route in all_routes(routes) if NEEDS[route.operation] in open_needs)
