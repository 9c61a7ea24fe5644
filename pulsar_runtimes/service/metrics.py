"""The metrics of all instances on one page, which never waits for an instance.

A thread asks every instance for its page now and then; a scrape gets what was told last. Names and labels are those of
the reference.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from pulsar_runtimes.worker.worker import Worker

_THREADS = 16
_OWN_PREFIX = "pulsar_"


class MetricsPage:
    """Collects every ``period_seconds`` from :meth:`start` until :meth:`stop`. ``cluster`` is a label of all of it."""

    def __init__(self, worker: Worker, cluster: str, *, period_seconds: float = 10.0) -> None:
        self._worker = worker
        self._cluster = cluster
        self._period_seconds = period_seconds
        self._collected = ""
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._made = time.monotonic()
        self._start_up_ms = 0.0

    def start(self) -> None:
        self._start_up_ms = (time.monotonic() - self._made) * 1000
        self._thread = threading.Thread(target=self._loop, name="metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Idempotent."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _loop(self) -> None:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="metrics") as pool:
            while not self._ending.is_set():
                self._collected = self._collect(pool)
                self._ending.wait(self._period_seconds)

    def _collect(self, pool: ThreadPoolExecutor) -> str:
        runtimes = [
            runtime
            for function in self._worker.statuses()
            for instance in function.instances
            if (runtime := self._worker.runtime(instance.key)) is not None
        ]
        return merge_pages(pool.map(lambda runtime: runtime.metrics_text(), runtimes))

    def text(self) -> str:
        """The page now: the worker's own metrics, and those of the instances as they were told last."""
        statuses = self._worker.statuses()
        own = {
            "start_up_time_ms": self._start_up_ms,
            "instance_count": sum(len(function.instances) for function in statuses),
            "total_function_count": len(statuses),
            "total_expected_instance_count": sum(function.parallelism for function in self._worker.functions()),
            "is_leader": 1,
        }
        label = self._cluster.replace("\\", r"\\").replace('"', r"\"")
        lines = []
        for name, value in own.items():
            full = f"pulsar_function_worker_{name}"
            lines += [f"# TYPE {full} gauge", f'{full}{{cluster="{label}"}} {float(value)}']
        return "\n".join(lines) + "\n" + self._collected


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
