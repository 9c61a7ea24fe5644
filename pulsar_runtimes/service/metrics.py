"""What the instances tell of themselves, for those who must not wait for one: one page of all metrics, and figures.

Threads ask the instances; whoever looks gets what was told last. Names and labels of the metrics are those of the
reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.model.names import InstanceKey
from pulsar_runtimes.model.observation import InstanceStats
from pulsar_runtimes.runtimes.base import Replica
from pulsar_runtimes.worker.worker import Worker

from .collector import Answer, Collector

_OWN_PREFIX = "pulsar_"
_IDLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What an instance has counted, and the memory it holds; ``None`` where that is not known."""

    stats: InstanceStats | None
    memory_bytes: int | None


class MetricsPage:
    """Collects from :meth:`start` until :meth:`stop`: metrics every ``period_seconds``, and figures every
    ``figures_seconds`` while somebody looks. ``cluster`` is a label of the worker's own metrics; ``led`` gives all
    functions of the cluster where this worker leads, ``None`` elsewhere.
    """

    def __init__(
        self,
        worker: Worker,
        cluster: str,
        led: Callable[[], Collection[FunctionSpec] | None],
        *,
        period_seconds: float = 10.0,
        figures_seconds: float = 2.0,
    ) -> None:
        self._worker = worker
        self._led = led
        self._cluster = cluster
        self._collected = ""
        self._pages = Collector(
            worker.replicas,
            lambda replica: replica.metrics_text(),
            period_seconds=period_seconds,
            name="metrics",
            on_round=self._merge,
        )
        self._figures = Collector(
            worker.replicas, _figures, period_seconds=figures_seconds, name="figures", idle_seconds=_IDLE_SECONDS
        )
        self._made = time.monotonic()
        self._start_up_ms = 0.0

    def start(self) -> None:
        self._start_up_ms = (time.monotonic() - self._made) * 1000
        self._pages.start()
        self._figures.start()

    def stop(self) -> None:
        """Idempotent."""
        self._pages.stop()
        self._figures.stop()

    def _merge(self, pages: Mapping[InstanceKey, Answer[str]]) -> None:
        self._collected = merge_pages(pages[key].value for key in sorted(pages))

    def figures(self) -> Mapping[InstanceKey, Answer[Figures]]:
        """The figures of each instance as they were told last; none of one that has not told any yet."""
        return self._figures.answers()

    def text(self) -> str:
        """The page now: the worker's own metrics, and those of the instances as they were told last."""
        own = {
            "start_up_time_ms": self._start_up_ms,
            "instance_count": sum(len(function.instances) for function in self._worker.statuses()),
        }
        led = self._led()
        if led is not None:
            own |= {
                "total_function_count": len(led),
                "total_expected_instance_count": sum(function.parallelism for function in led),
                "is_leader": 1,
            }
        label = self._cluster.replace("\\", r"\\").replace('"', r"\"")
        lines = []
        for name, value in own.items():
            full = f"pulsar_function_worker_{name}"
            lines += [f"# TYPE {full} gauge", f'{full}{{cluster="{label}"}} {float(value)}']
        return "\n".join(lines) + "\n" + self._collected


def _figures(replica: Replica) -> Figures:
    return Figures(replica.stats(), replica.memory_bytes())


def merge_pages(pages: Iterable[str]) -> str:
    """Several pages in Prometheus' text format as one, each family of metrics in one place, as the format wants it.

    Only Pulsar's own families: those of a JVM or interpreter have no label that tells instances apart.
    """
    families: dict[str, list[str]] = {}
    comments: dict[str, dict[str, str]] = {}
    for page in pages:
        family = ""
        for line in page.splitlines():
            if line.startswith("# "):
                _, kind, family, *_ = [*line.split(" ", 3), ""]
                comments.setdefault(family, {}).setdefault(kind, line)
            elif line.startswith(_OWN_PREFIX):
                families.setdefault(family, []).append(line)
    lines = [line for family, samples in families.items() for line in (*comments.get(family, {}).values(), *samples)]
    return "".join(f"{line}\n" for line in lines)
