"""One pod of a function, as somebody who asks for that replica sees it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from pulsar_runtimes.model.observation import InstanceStats, Observation, Phase
from pulsar_runtimes.runtimes.base import LogPart, Replica

from .api import ApiError, KubernetesApi
from .paths import path_of
from .stateful_set import CONTAINER

_MOST_LOG_BYTES = 1 << 20
"""Of one answer; what comes after it is asked for with the mark."""

_STATS_SECONDS = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pod(Replica):
    """One replica as it was ``seen`` when this was made; two of these are equal while the pod is the same one.

    ``uid`` and ``address`` are blank where there is no pod, or none with an address. On ``grpc_port`` the instance
    tells what it has counted; for that the worker has to reach the network of the pods, as one in the cluster does.
    """

    namespace: str
    name: str
    uid: str
    seen: Observation = field(compare=False)
    address: str = field(compare=False)
    grpc_port: int = field(compare=False)
    api: KubernetesApi = field(compare=False, repr=False)

    def observe(self) -> Observation:
        return self.seen

    def stats(self) -> InstanceStats | None:
        if self.seen.phase is not Phase.RUNNING or not self.address:
            return None
        from pulsar_runtimes.instance.control import fetch_stats  # brings gRPC, which a worker may never need

        host = f"[{self.address}]" if ":" in self.address else self.address
        try:
            return fetch_stats(self.grpc_port, host=host, seconds=_STATS_SECONDS)
        except (TimeoutError, ConnectionError):
            return None

    def log_lines(self, last: int) -> list[str]:
        return self._log({"tailLines": str(last)}).splitlines() if last > 0 else []

    def log_after(self, mark: str, last: int) -> LogPart | None:
        """The mark is the time of a line, to the nanosecond, as the node noted it."""
        since = {"sinceTime": mark} if mark else {"tailLines": str(last)}
        stamped = [line.partition(" ") for line in self._log({"timestamps": "true", **since}).splitlines()]
        new = [(stamp, text) for stamp, _, text in stamped if _order(stamp) > _order(mark)]
        return LogPart(tuple(text for _, text in new), new[-1][0] if new else mark)

    def _log(self, query: dict[str, str]) -> str:
        """Empty where no node keeps one: the container has not started yet, or the node is away."""
        wanted = {"container": CONTAINER, "limitBytes": str(_MOST_LOG_BYTES), **query}
        try:
            return self.api.text(path_of("pods", self.namespace, self.name, "log"), wanted)
        except ApiError as error:
            _log.debug("the log of pod %s: %s", self.name, error)
            return ""


def _order(stamp: str) -> tuple[str, str]:
    """Seconds and their fraction, which has as many digits as it needs, so that texts compare as times do."""
    seconds, _, fraction = stamp.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")
