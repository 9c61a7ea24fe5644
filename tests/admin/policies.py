"""A stand-in for the part of Pulsar's admin REST that has tenants and permissions. The embedded broker has none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class PolicyServer:
    """Tells ``tenants`` (admin roles) and ``permissions``, to whoever has ``token``; ``asked`` is what it was."""

    token: str = ""
    tenants: dict[str, list[str]] = field(default_factory=dict)
    permissions: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    body: Any = None
    delay_seconds: float = 0.0

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/admin/v2/tenants/{tenant}", self._tenant),
                Route("/admin/v2/namespaces/{tenant}/{namespace}/permissions", self._permissions),
            ]
        )

    async def _tenant(self, request: Request) -> Response:
        admins = self.tenants.get(request.path_params["tenant"])
        return await self._answer(request, None if admins is None else {"adminRoles": admins, "allowedClusters": ["c"]})

    async def _permissions(self, request: Request) -> Response:
        place = f"{request.path_params['tenant']}/{request.path_params['namespace']}"
        return await self._answer(request, self.permissions.get(place))

    async def _answer(self, request: Request, found: Any) -> Response:
        self.asked.append(request.url.path)
        await asyncio.sleep(self.delay_seconds)
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"reason": "no"}, 401)
        if self.status != 200 or self.body is not None:
            return Response(self.body or "", self.status)
        return JSONResponse({"reason": "not there"}, 404) if found is None else JSONResponse(found)
