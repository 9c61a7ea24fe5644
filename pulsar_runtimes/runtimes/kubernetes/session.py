"""What all functions of a worker share on Kubernetes: the API server, a watch for each kind of object, threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pulsar_runtimes.model.errors import LaunchError

from .api import ApiError, KubernetesApi
from .backoff import Backoff
from .ownership import cluster_label
from .paths import ACCESS_REVIEWS
from .rights import Right, needed_rights
from .settings import KubernetesSettings
from .watched_list import WatchedList

_DEPLOYERS = 16
_OPEN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """What there is of ours in one namespace."""

    stateful_sets: WatchedList
    pods: WatchedList

    @property
    def trouble(self) -> str:
        """Why nobody can say how things are now; blank while that is known."""
        return self.stateful_sets.trouble or self.pods.trouble


class Session:
    """One connection with a cluster, from the start of a worker to its end. All methods may be called by any thread.

    ``wake`` is called when something has changed.
    """

    def __init__(
        self, api: KubernetesApi, settings: KubernetesSettings, cluster_name: str, wake: Callable[[], None]
    ) -> None:
        self.api = api
        self.closing = threading.Event()
        self._settings = settings
        self._cluster = cluster_label(cluster_name)
        self._wake = wake
        self._views: dict[str, NamespaceView] = {}
        self._lock = threading.Lock()
        self._deployers = ThreadPoolExecutor(_DEPLOYERS, thread_name_prefix="kubernetes-deploy")

    def open(self, namespace: str) -> None:
        """Make sure of ``namespace`` before anything is launched. An API server that does not answer gets some time.

        ``LaunchError`` when it does not come, or when a right is missing.
        """
        self.patiently(lambda: self.view(namespace), _OPEN_SECONDS)

    def patiently(self, act: Callable[[], object], seconds: float) -> None:
        """Do ``act``; a failure that may pass is tried again for ``seconds``, unless the session closes meanwhile."""
        backoff, deadline = Backoff(), time.monotonic() + seconds
        while True:
            try:
                act()
                return
            except ApiError as error:
                wait = backoff.next(error.retry_after_seconds)
                if not error.is_transient or time.monotonic() + wait > deadline or self.closing.wait(wait):
                    raise

    def view(self, namespace: str) -> NamespaceView:
        """What there is in ``namespace``; the first time it is asked for, rights are checked and lists are made.

        ``ApiError`` when that fails, ``LaunchError`` when a right is missing.
        """
        with self._lock:
            known = self._views.get(namespace)
            if known is not None:
                return known
            if self.closing.is_set():
                raise LaunchError("the worker is ending")
            self._check_rights(namespace)
            lists = [
                WatchedList(self.api, resource, namespace, self._cluster, self._wake)
                for resource in ("statefulsets", "pods")
            ]
            try:
                for each in lists:
                    each.start()
            except BaseException:
                for each in lists:
                    each.close()
                raise
            self._views[namespace] = NamespaceView(*lists)
            return self._views[namespace]

    def known_view(self, namespace: str) -> NamespaceView | None:
        """The same if somebody has asked before; sends nothing."""
        return self._views.get(namespace)

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Let a thread do ``work``. ``LaunchError`` when the session is closed."""
        try:
            return self._deployers.submit(work)
        except RuntimeError:
            raise LaunchError("the worker is ending") from None

    def wake(self) -> None:
        self._wake()

    def close(self) -> None:
        """End the watches and the threads; what was launched goes on. Idempotent."""
        self.closing.set()
        self._deployers.shutdown(cancel_futures=True)
        with self._lock:
            views, self._views = self._views, {}
        for view in views.values():
            view.pods.close()
            view.stateful_sets.close()
        self.api.close()

    def _check_rights(self, namespace: str) -> None:
        """``LaunchError`` naming each right that is missing. Asking needs none, and writes nothing."""
        missing = [right for right in needed_rights(self._settings) if not self._is_allowed(right, namespace)]
        if missing:
            told = ", ".join(f"{right} ({right.purpose})" for right in missing)
            raise LaunchError(
                f"Kubernetes, namespace {namespace!r}: this worker may not {told}; "
                "pfrun k8s rbac prints the role it needs"
            )

    def _is_allowed(self, right: Right, namespace: str) -> bool:
        answer = self.api.request("POST", ACCESS_REVIEWS, right.review(namespace))
        return bool((answer.get("status") or {}).get("allowed"))
