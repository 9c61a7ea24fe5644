"""A function on Kubernetes: all its pods are one runtime, which goes on without the worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from pulsar_runtimes.model.errors import LaunchError, PfrunError
from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.observation import Observation, Phase, RuntimeHandle
from pulsar_runtimes.runtimes.base import Replica, Runtime

from . import deployment
from .api import ApiError, Manifest
from .backoff import Backoff
from .ownership import Job, build_job, foreign_reason
from .pod import Pod
from .pod_reason import observe_job, observe_pod
from .session import NamespaceView, Session
from .settings import KubernetesSettings

HANDLE_FACTORY = "kubernetes"
HANDLE_VERSION = 1

_REMOVE_SECONDS = 50.0
"""What deleting may take beyond the grace of the instances; the reference waits 20 s, then gives up."""

_log = logging.getLogger(__name__)


class KubernetesRuntime(Runtime):
    """One function. ``start`` and ``update`` leave the work to the session's threads, which go on until it is done.

    So an API server that is away delays a launch and fails none. What cannot be done whatever the time is seen as
    EXITED, with the reason.
    """

    outlives_worker = True

    def __init__(self, spec: InstanceSpec, settings: Callable[[], KubernetesSettings], session: Session | None) -> None:
        """``settings`` gives those of now; what was started keeps those it was started with, until it is changed."""
        super().__init__(spec)
        self._settings = settings
        self._session = session
        self._lock = threading.Lock()  # of what follows; never held while something is sent
        self._job: Job | None = None
        self._applied: Job | None = None
        self._trouble = ""
        self._end: Observation | None = None
        self._stopped = False
        self._halted = threading.Event()
        self._work = threading.Lock()  # held by whoever changes the objects

    def start(self) -> None:
        session = self._require_session()
        with self._lock:
            if self._job is not None or self._stopped:
                raise LaunchError(f"{self.spec.key}: a runtime starts only once; create another one")
            self._job = build_job(self.spec, self._settings())
        session.submit(self._deploy)

    def update(self, spec: InstanceSpec) -> bool:
        """In place, unless the function's objects would have other names."""
        job = build_job(spec, self._settings())
        with self._lock:
            known = self._job
            if known is None or self._stopped or (job.namespace, job.name) != (known.namespace, known.name):
                return False
            self.spec, self._job = spec, job
        self._require_session().submit(self._deploy)
        return True

    def take(self, job: Job) -> None:
        """Stand for ``job``, which is there already, as if it had been started."""
        with self._lock:
            self._job = self._applied = job

    def observe(self) -> Observation:
        with self._lock:
            if self._end is not None:
                return self._end
            job, applied, trouble = self._job, self._applied, self._trouble
        if job is None:
            return Observation(Phase.CREATED)
        session = self._require_session()
        view = session.known_view(job.namespace)
        if view is None:
            return Observation(Phase.STARTING, reason=trouble)
        stateful_set = view.stateful_sets.get(job.name)
        if applied is not job:
            return Observation(Phase.STARTING, reason=trouble)
        if view.trouble:
            return Observation(Phase.UNKNOWN, reason=f"Kubernetes does not tell: {view.trouble}")
        if stateful_set is None or foreign_reason(stateful_set, job):
            return self._ended(Observation(Phase.EXITED, reason="somebody else has deleted its StatefulSet"))
        return observe_job(stateful_set, view.pods.owned_by(job.name), job.replicas)

    def replica(self, number: int) -> Replica:
        with self._lock:
            job, settled = self._job, self._applied is self._job
        session = self._session
        view = None if job is None or session is None else session.known_view(job.namespace)
        if job is None or session is None or view is None:
            return self
        name = f"{job.name}-{number}"
        pod = view.pods.get(name)
        return Pod(
            namespace=job.namespace,
            name=name,
            uid="" if pod is None else pod["metadata"]["uid"],
            seen=self._observe_pod(view, job, pod, settled=settled),
            address="" if pod is None else str((pod.get("status") or {}).get("podIP") or ""),
            grpc_port=self._settings().config.grpc_port,
            api=session.api,
        )

    def _observe_pod(self, view: NamespaceView, job: Job, pod: Manifest | None, *, settled: bool) -> Observation:
        if view.trouble:
            return Observation(Phase.UNKNOWN, reason=f"Kubernetes does not tell: {view.trouble}")
        stateful_set = view.stateful_sets.get(job.name)
        if stateful_set is None or foreign_reason(stateful_set, job):
            return Observation(Phase.STARTING)
        seen = observe_pod(stateful_set, pod)
        return seen if settled else replace(seen, outdated=True)

    def stop(self, *, grace_seconds: float) -> None:
        self._halted.set()
        with self._work:
            with self._lock:
                if self._stopped:
                    return
                job = self._job
            try:
                if job is not None:
                    deployment.remove(
                        self._require_session(),
                        job,
                        seconds=grace_seconds + _REMOVE_SECONDS,
                        grace_period_seconds=self._settings().config.grace_period_seconds,
                    )
            finally:
                with self._lock:
                    self._stopped = True
                    self._end = Observation(Phase.EXITED, reason="stopped")

    def leave(self) -> None:
        self._halted.set()

    def handle(self) -> RuntimeHandle | None:
        with self._lock:
            job = self._applied
        if job is None:
            return None
        return RuntimeHandle(HANDLE_FACTORY, HANDLE_VERSION, {"namespace": job.namespace, "name": job.name})

    def log_lines(self, last: int) -> list[str]:
        """Of every pod that has a log, its name in front where there are several. Empty where no node keeps one."""
        with self._lock:
            count = 0 if self._job is None else self._job.replicas
        pods = [pod for pod in map(self.replica, range(count)) if isinstance(pod, Pod) and pod.uid]
        marks = [f"{pod.name}: " if len(pods) > 1 else "" for pod in pods]
        lines = [mark + line for mark, pod in zip(marks, pods, strict=True) for line in pod.log_lines(last)]
        return lines[-last:] if last > 0 else []

    def _require_session(self) -> Session:
        if self._session is None:
            raise LaunchError(f"{self.spec.key}: the worker has not begun, or has ended")
        return self._session

    def _ended(self, seen: Observation) -> Observation:
        with self._lock:
            if self._end is None:
                self._end = seen
            return self._end

    def _deploy(self) -> None:
        """On a thread of the session: try until it is done, cannot be done, or is not wanted any more."""
        session, backoff = self._require_session(), Backoff()
        while not (self._halted.is_set() or session.closing.is_set()):
            wait = 0.0
            try:
                if self._attempt(session):
                    break
                backoff.reset()
            except ApiError as error:
                if not error.is_transient:
                    self._ended(Observation(Phase.EXITED, reason=str(error)))
                    break
                self._trouble = str(error)
                wait = backoff.next(error.retry_after_seconds)
                _log.warning("%s: %s; next try in %.1f s", self.spec.key, error, wait)
            except PfrunError as error:
                self._ended(Observation(Phase.EXITED, reason=str(error)))
                break
            except Exception as error:
                _log.exception("%s: launching it on Kubernetes failed", self.spec.key)
                self._ended(Observation(Phase.EXITED, reason=f"{type(error).__name__}: {error}"))
                break
            self._halted.wait(wait)
        session.wake()

    def _attempt(self, session: Session) -> bool:
        """Whether what is wanted now is done."""
        with self._work:
            with self._lock:
                job = self._job
            if job is None or self._halted.is_set() or self._applied is job:
                return True
            deployment.apply(
                session,
                job,
                remove_seconds=_REMOVE_SECONDS,
                grace_period_seconds=self._settings().config.grace_period_seconds,
            )
            with self._lock:
                self._applied, self._trouble = job, ""
                return self._job is job
