"""How much memory the Pulsar clients of a worker may hold, and how that is divided. The sum ``explain`` shows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pulsar_runtimes.instance.memory import DEFAULT_RECEIVER_QUEUE, MAX_MESSAGE_BYTES, MemoryBudget
from pulsar_runtimes.model.function import FunctionSpec, Language
from pulsar_runtimes.runtimes.language_support import Surroundings
from pulsar_runtimes.runtimes.memory_limit import KEY, parse_client_memory_limit
from pulsar_runtimes.worker.worker import Worker

from .function_settings import surroundings_of

_DIRECT_MEMORY = "-XX:MaxDirectMemorySize"
_WHOSE = {True: "shared by all instances of this worker, on one client", False: "each instance has a client of its own"}


@dataclass(frozen=True, slots=True)
class FunctionMemory:
    """One function's part. ``receiver_queue`` is what each of its ``consumers`` may hold, ``None`` without a limit.

    ``share_bytes`` is what one instance's client has when all functions of the worker run, ``None`` without a limit,
    or when it does not reach the client; then ``unbounded`` says why. For Java it is the direct memory, which stands
    beside ``heap_bytes``; that is 0 for the JVM's default, and for other languages.
    """

    function: str
    language: str
    instances: int
    consumers: int
    share_bytes: int | None
    receiver_queue: int | None
    heap_bytes: int
    unbounded: str = ""

    @property
    def bytes_together(self) -> int | None:
        """Heap and direct memory of all instances of a Java function; ``None`` when one of them has no bound."""
        if not self.heap_bytes or self.share_bytes is None:
            return None
        return self.instances * (self.heap_bytes + self.share_bytes)


@dataclass(frozen=True, slots=True)
class MemorySum:
    """All of it. ``limit_bytes`` is ``None`` for no limit; ``is_read`` is false when the runtime knows none.

    ``total_bytes`` is what the clients of the ``bounded_instances`` may hold together, those that the limit reaches;
    ``shared`` tells that they are one.
    """

    ceiling_bytes: int
    ceiling_source: str
    is_read: bool
    terms: str
    limit_bytes: int | None
    shared: bool
    instances: int
    bounded_instances: int
    total_bytes: int | None
    functions: tuple[FunctionMemory, ...]
    warnings: tuple[str, ...]


def sum_memory(worker: Worker, functions: Iterable[FunctionSpec]) -> MemorySum:
    """The sum for ``functions`` on ``worker``. Pure, but for asking how much memory the machine has."""
    functions = tuple(functions)
    section = replace(worker.config.runtime_section, problems=[], warnings=[], seen=set())
    limit = parse_client_memory_limit(section)
    ceiling = worker.memory_ceiling_bytes
    is_read = KEY in worker.config.runtime_section.seen
    limit_bytes = limit.bytes_of(ceiling) if is_read else None
    shared = not worker.factory.capabilities.isolates_memory
    around = surroundings_of(worker)
    instances = sum(function.parallelism for function in functions)
    share = limit_bytes
    if shared and limit_bytes is not None and instances:
        share = limit_bytes // instances
    java_flags = " ".join(worker.config.additional_java_runtime_arguments)
    parts = tuple(_part(function, share, _why_unbounded(function, around, java_flags)) for function in functions)
    bounded = sum(part.instances for part in parts if not part.unbounded)
    total = limit_bytes if limit_bytes is None or shared else limit_bytes * bounded
    return MemorySum(
        ceiling_bytes=ceiling,
        ceiling_source=_ceiling_source(ceiling),
        is_read=is_read,
        terms=limit.explain(ceiling),
        limit_bytes=limit_bytes,
        shared=shared,
        instances=instances,
        bounded_instances=bounded,
        total_bytes=total,
        functions=parts,
        warnings=tuple(_warnings(total, ceiling, parts)),
    )


def _ceiling_source(ceiling: int) -> str:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return "the limit of this process's cgroup" if ceiling < machine else "the memory of this machine"


def _part(function: FunctionSpec, limit_bytes: int | None, unbounded: str) -> FunctionMemory:
    java = function.language is Language.JAVA
    consumers = len(function.source.input_specs)
    share_bytes = None if unbounded else limit_bytes
    queue = None
    if share_bytes is not None and not java:
        share = MemoryBudget(share_bytes).open()
        assert share is not None
        queue = share.receiver_queue(DEFAULT_RECEIVER_QUEUE, max(1, consumers))
    return FunctionMemory(
        function=str(function.key),
        language=function.language.name,
        instances=function.parallelism,
        consumers=consumers,
        share_bytes=share_bytes,
        receiver_queue=queue,
        heap_bytes=function.resources.ram if java and function.resources is not None else 0,
        unbounded=unbounded,
    )


def _why_unbounded(function: FunctionSpec, around: Surroundings, java_flags: str) -> str:
    """Why the limit does not reach the clients of ``function``; empty when it does."""
    reached = around.bounds_client(function.language)
    match function.language:
        case Language.JAVA if not reached:
            return "strictReference launches without it"
        case Language.JAVA if _DIRECT_MEMORY in f"{java_flags} {function.runtime_flags}":
            return f"its own {_DIRECT_MEMORY} counts"
        case Language.GO if not reached:
            return "a Go program takes no such setting"
        case Language.PYTHON if not reached:
            return "Apache Pulsar's own Python instance takes no such setting"
    return ""


def _warnings(total: int | None, ceiling: int, parts: Sequence[FunctionMemory]) -> Iterator[str]:
    if total is not None and total > ceiling:
        yield f"the clients may hold {size(total)} together, which is above the memory ceiling of {size(ceiling)}"
    java = sum(part.bytes_together or 0 for part in parts)
    if java > ceiling:
        yield (
            f"Java instances may use {size(java)} of heap and direct memory together, which is above the memory "
            f"ceiling of {size(ceiling)}"
        )
    for part in parts:
        if total is not None and part.unbounded:
            yield f"{part.function}: {KEY} has no effect on its clients: {part.unbounded}"
        least = part.consumers * MAX_MESSAGE_BYTES * 2
        if part.receiver_queue is not None and part.share_bytes is not None and part.share_bytes < least:
            yield (
                f"{part.function}: a share of {size(part.share_bytes)} holds less than one message of "
                f"{size(MAX_MESSAGE_BYTES)} for each consumer; it would take {size(least)} to keep the limit with "
                "messages of that size"
            )


def lines_of(memory: MemorySum, runtime: str) -> Iterator[str]:
    """The sum in words."""
    yield f"memory ceiling: {size(memory.ceiling_bytes)}, {memory.ceiling_source}"
    if not memory.is_read:
        yield f"{KEY}: the {runtime} runtime does not read it; clients hold what they like"
        return
    yield f"{KEY}: {memory.terms}" + ("" if memory.limit_bytes is None else f" ({size(memory.limit_bytes)})")
    if memory.limit_bytes is not None and memory.total_bytes is not None:
        yield _whose(memory, memory.limit_bytes, memory.total_bytes)
        if not memory.functions or any(part.receiver_queue is not None for part in memory.functions):
            yield (
                f"half of a share is for input: a consumer asks for share / 2 / {size(MAX_MESSAGE_BYTES)} messages "
                f"ahead, divided by the consumers, {DEFAULT_RECEIVER_QUEUE} at the most; half is for output under way"
            )
    for part in memory.functions:
        if part.language == Language.JAVA.name:
            yield f"{_counts(part)}; {_java_sum(part)}"
        elif part.share_bytes is not None:
            queue = _counted(part.receiver_queue or 0, "message")
            yield f"{_counts(part)}; share {size(part.share_bytes)}, receiver queue {queue}"
        elif memory.limit_bytes is not None:
            yield f"{_counts(part)}; no limit: {part.unbounded}"


def _whose(memory: MemorySum, limit: int, total: int) -> str:
    if not memory.bounded_instances:
        return _WHOSE[memory.shared]
    if memory.shared:
        return f"{_WHOSE[True]}: {memory.instances} x share = {size(total)}"
    return f"{_WHOSE[False]}: {memory.bounded_instances} x {size(limit)} = {size(total)} together"


def _java_sum(part: FunctionMemory) -> str:
    """Messages are direct memory of a JVM, so the limit of its client is that of its direct memory."""
    heap = f"heap {size(part.heap_bytes)} (-Xmx, resources.ram)" if part.heap_bytes else "heap as the JVM chooses"
    if part.unbounded:
        return f"{heap}; direct memory without a limit of pfrun's: {part.unbounded}"
    if part.share_bytes is None:
        return f"{heap}, and as much direct memory, where its client keeps messages"
    direct = f"direct memory {size(part.share_bytes)} ({_DIRECT_MEMORY}, where its client keeps messages)"
    if part.bytes_together is None:
        return f"{heap} + {direct}"
    each = part.heap_bytes + part.share_bytes
    return f"{heap} + {direct} = {size(each)} each, {size(part.bytes_together)} together"


def _counts(part: FunctionMemory) -> str:
    return f"{part.function}: {_counted(part.instances, 'instance')}, {_counted(part.consumers, 'consumer')} each"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Bytes in the unit a person would choose."""
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{count} bytes" if unit == "bytes" else f"{value:.4g} {unit}"
