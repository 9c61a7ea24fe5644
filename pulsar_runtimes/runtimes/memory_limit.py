"""``pulsarClientMemoryLimit``: how much the Pulsar client of a worker or of an instance may hold.

Source: ``ThreadRuntimeFactory#calculateClientMemoryLimit`` of Apache Pulsar 4.0.8. There "maximum direct memory"
is the JVM's; here it is the worker's memory ceiling: the limit of its cgroup, else the machine's memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from pulsar_runtimes.config.section import Section

KEY = "pulsarClientMemoryLimit"


@dataclass(frozen=True, slots=True)
class ClientMemoryLimit:
    """The two ways to say it; ``None`` where nothing was said."""

    absolute_bytes: int | None = None
    percent: float | None = None

    def bytes_of(self, ceiling_bytes: int) -> int | None:
        """The limit in bytes: the smaller of the two, ``None`` for no limit."""
        shares = [self.absolute_bytes, self._percent_of(ceiling_bytes)]
        return min((share for share in shares if share is not None), default=None)

    def _percent_of(self, ceiling_bytes: int) -> int | None:
        return None if self.percent is None else int(ceiling_bytes * (self.percent / 100))

    def explain(self, ceiling_bytes: int) -> str:
        """The sum as a person would write it down."""
        total = self.bytes_of(ceiling_bytes)
        if total is None:
            return "no limit"
        terms = []
        if self.absolute_bytes is not None:
            terms.append(f"absoluteValue {self.absolute_bytes}")
        if self.percent is not None:
            terms.append(f"{self.percent:g}% of {ceiling_bytes} = {self._percent_of(ceiling_bytes)}")
        if len(terms) == 1:
            return f"{terms[0]} bytes"
        return f"min({', '.join(terms)}) = {total} bytes"


def parse_client_memory_limit(section: Section) -> ClientMemoryLimit:
    """Read the limit out of ``functionRuntimeFactoryConfigs``. Both parts are validated even when one decides."""
    if section.raw(KEY) == "":
        section.problem(KEY, "must be a mapping with absoluteValue and/or percentOfMaxDirectMemory (got '')")
        return ClientMemoryLimit()
    inner = section.section(KEY)
    if inner is None:
        return ClientMemoryLimit()
    limit = ClientMemoryLimit(_absolute(inner), _percent(inner))
    inner.refuse_unread()
    return limit


def _absolute(section: Section) -> int | None:
    key = "absoluteValue"
    if section.values.get(key) is None:
        section.seen.add(key)
        return None
    before = len(section.problems)
    value = section.integer(key, 1)
    if len(section.problems) == before and value <= 0:
        section.problem(key, f"must be above 0, in bytes (got {value})")
    return value


def _percent(section: Section) -> float | None:
    key = "percentOfMaxDirectMemory"
    if section.values.get(key) is None:
        section.seen.add(key)
        return None
    before = len(section.problems)
    value = section.number(key, 1.0)
    if len(section.problems) == before and not 0 < value <= 100:
        section.problem(key, f"must be above 0 and at most 100 (got {value:g})")
    return value
