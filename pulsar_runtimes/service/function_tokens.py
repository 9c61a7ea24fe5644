"""What functions prove themselves with: the runtime keeps it for the token of who registered them."""

from __future__ import annotations

import logging
from dataclasses import replace

from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.registration import FunctionAuth, Registration
from pulsar_runtimes.worker.worker import Worker

_log = logging.getLogger(__name__)


class FunctionTokens:
    """Keeps and forgets tokens by the runtime of ``worker``."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def keep(self, registration: Registration, token: str) -> Registration:
        """``registration`` with what is kept of ``token``, in place of what it had; nothing for a blank one.

        ``PfrunError`` when it cannot be kept.
        """
        if not (token or registration.auth):
            return registration
        kept = self._worker.factory.keep_token(self._instance(registration), token)
        return replace(registration, auth=FunctionAuth(kept.encode()) if kept else None)

    def forget(self, registration: Registration) -> None:
        """Throw away what is kept for it. A failure is logged: nobody would ask again."""
        if registration.auth is None:
            return
        try:
            self._worker.factory.forget_token(self._instance(registration))
        except PfrunError as error:
            _log.error("%s: what was kept of its token stays: %s", registration.key, error)

    def _instance(self, registration: Registration) -> InstanceSpec:
        """Any instance of it, as far as credentials matter: its code need not be there."""
        return self._worker.plan(registration.function, auth_data(registration))[0]


def auth_data(registration: Registration) -> str:
    """What the runtime has kept of the function's credentials, blank for nothing."""
    return registration.auth.data.decode(errors="replace") if registration.auth is not None else ""
