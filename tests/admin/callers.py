"""Whoever may call the admin API: each with the headers of a request, and how far it comes."""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.admin.calls import IN_NAMESPACE, OF_SUPER_USERS, Call
from tests.admin.keys import SECRET, expired, token

SUPER_USERS = ["admin", "gateway"]
PROXIES = ["gateway", "weak-gateway"]
ADMINS = {"acme": ["acme-admin"]}
PERMISSIONS = {"acme/dev": {"developer": ["functions"], "plumber": ["sinks", "sources", "produce"]}}


class Reach(enum.IntEnum):
    """How far a caller comes."""

    NOWHERE = enum.auto()
    KNOWN = enum.auto()
    NAMESPACE = enum.auto()
    EVERYWHERE = enum.auto()


@dataclass(frozen=True)
class TestCaller:
    """One caller. ``token`` is ``None`` for none at all; ``permissions`` are those on the namespace of the calls."""

    __test__ = False

    reach: Reach
    token: str | None
    original: str | None = None
    permissions: tuple[str, ...] = ()

    @property
    def headers(self) -> Mapping[str, str]:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return headers if self.original is None else {**headers, "X-Original-Principal": self.original}

    def status(self, call: Call) -> int:
        """The status of the answer to ``call``."""
        least = Reach.KNOWN
        if call in OF_SUPER_USERS:
            least = Reach.EVERYWHERE
        elif call in IN_NAMESPACE:
            least = Reach.KNOWN if call.permission in self.permissions else Reach.NAMESPACE
        return call.allowed if self.reach >= least else 401


_UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."  # {"alg":"none"}, {"sub":"admin"}

CALLERS = {
    "anonymous": TestCaller(Reach.NOWHERE, None),
    "malformed token": TestCaller(Reach.NOWHERE, "abc"),
    "unsigned token": TestCaller(Reach.NOWHERE, _UNSIGNED),
    "wrong signature": TestCaller(Reach.NOWHERE, token("admin", key=SECRET[::-1])),
    "expired token": TestCaller(Reach.NOWHERE, expired("admin")),
    "token of tomorrow": TestCaller(Reach.NOWHERE, token("admin", nbf=int(time.time()) + 86400)),
    "plain role": TestCaller(Reach.KNOWN, token("nobody")),
    "role with other permissions": TestCaller(Reach.KNOWN, token("plumber"), None, ("sinks", "sources")),
    "role with the permission": TestCaller(Reach.KNOWN, token("developer"), None, ("functions",)),
    "tenant admin": TestCaller(Reach.NAMESPACE, token("acme-admin")),
    "super user": TestCaller(Reach.EVERYWHERE, token("admin")),
    "super user for itself": TestCaller(Reach.EVERYWHERE, token("admin"), "admin"),
    "super user for another": TestCaller(Reach.KNOWN, token("admin"), "developer"),
    "role for a super user": TestCaller(Reach.KNOWN, token("developer"), "admin"),
    "proxy for nobody": TestCaller(Reach.KNOWN, token("gateway")),
    "proxy for a proxy": TestCaller(Reach.KNOWN, token("gateway"), "gateway"),
    "proxy for a plain role": TestCaller(Reach.KNOWN, token("gateway"), "nobody"),
    "proxy for a role with the permission": TestCaller(Reach.KNOWN, token("gateway"), "developer", ("functions",)),
    "proxy for a super user": TestCaller(Reach.EVERYWHERE, token("gateway"), "admin"),
    "proxy without rights for a super user": TestCaller(Reach.KNOWN, token("weak-gateway"), "admin"),
}
