"""What the other workers of the cluster tell of what they run, for those who must not wait for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pulsar_runtimes.metadata.election import Member
from pulsar_runtimes.model.errors import PfrunError

from .collector import Collector

_THREADS = 4
_IDLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    """A worker's part of the overview as JSON data, or the ``problem`` why there is none."""

    overview: Mapping[str, Any]
    problem: str = ""


class Neighbours:
    """Asks the others from :meth:`start` until :meth:`stop`, every ``period_seconds`` while somebody looks.

    ``members`` are the workers that are there, ``me`` among them; ``ask`` gives the part of one of them, and may wait.
    """

    def __init__(
        self,
        me: Member,
        members: Callable[[], Iterable[Member]],
        ask: Callable[[Member], Mapping[str, Any]],
        *,
        period_seconds: float = 2.0,
    ) -> None:
        self._collector = Collector(
            lambda: {each.worker_id: each for each in members() if each != me},
            partial(_told, ask),
            period_seconds=period_seconds,
            name="neighbours",
            idle_seconds=_IDLE_SECONDS,
            threads=_THREADS,
        )

    def start(self) -> None:
        self._collector.start()

    def stop(self) -> None:
        """Idempotent."""
        self._collector.stop()

    def told(self) -> dict[str, Told]:
        """What each worker answered last, by its id; none of one that was not asked yet. Never waits."""
        return {worker: answer.value for worker, answer in self._collector.answers().items()}


def _told(ask: Callable[[Member], Mapping[str, Any]], member: Member) -> Told:
    try:
        return Told(ask(member))
    except PfrunError as error:
        return Told({}, str(error))
