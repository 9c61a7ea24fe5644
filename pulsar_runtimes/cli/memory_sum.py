"""How much memory the Pulsar clients of a worker may hold, and how that is divided. The sum ``explain`` shows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pulsar_runtimes.instance.memory import DEFAULT_RECEIVER_QUEUE, MAX_MESSAGE_BYTES, MemoryBudget
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.runtimes.memory_limit import KEY, parse_client_memory_limit
from pulsar_runtimes.worker.worker import Worker

_WHOSE = {True: "shared by all instances of this worker, on one client", False: "each instance has a client of its own"}


@dataclass(frozen=True, slots=True)
class FunctionMemory:
    """One function's part. ``receiver_queue`` is what each of its ``consumers`` may hold, ``None`` without a limit.

    ``share_bytes`` is what one instance has when all functions of the worker run.
    """

    function: str
    instances: int
    consumers: int
    share_bytes: int | None
    receiver_queue: int | None


@dataclass(frozen=True, slots=True)
class MemorySum:
    """All of it. ``limit_bytes`` is ``None`` for no limit; ``is_read`` is false when the runtime knows none.

    ``total_bytes`` is what the clients of all instances may hold together; ``shared`` tells that they are one.
    """

    ceiling_bytes: int
    ceiling_source: str
    is_read: bool
    terms: str
    limit_bytes: int | None
    shared: bool
    instances: int
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
    instances = sum(function.parallelism for function in functions)
    total = limit_bytes if limit_bytes is None or shared else limit_bytes * instances
    share = limit_bytes
    if shared and limit_bytes is not None and instances:
        share = limit_bytes // instances
    parts = tuple(_part(function, share) for function in functions)
    return MemorySum(
        ceiling_bytes=ceiling,
        ceiling_source=_ceiling_source(ceiling),
        is_read=is_read,
        terms=limit.explain(ceiling),
        limit_bytes=limit_bytes,
        shared=shared,
        instances=instances,
        total_bytes=total,
        functions=parts,
        warnings=tuple(_warnings(total, ceiling, parts)),
    )


def _ceiling_source(ceiling: int) -> str:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return "the limit of this process's cgroup" if ceiling < machine else "the memory of this machine"


def _part(function: FunctionSpec, share_bytes: int | None) -> FunctionMemory:
    consumers = len(function.source.input_specs)
    queue = None
    if share_bytes is not None:
        share = MemoryBudget(share_bytes).open()
        assert share is not None
        queue = share.receiver_queue(DEFAULT_RECEIVER_QUEUE, max(1, consumers))
    return FunctionMemory(str(function.key), function.parallelism, consumers, share_bytes, queue)


def _warnings(total: int | None, ceiling: int, parts: Iterable[FunctionMemory]) -> Iterator[str]:
    if total is not None and total > ceiling:
        yield f"the clients may hold {size(total)} together, which is above the memory ceiling of {size(ceiling)}"
    for part in parts:
        least = part.consumers * MAX_MESSAGE_BYTES * 2
        if part.share_bytes is not None and part.share_bytes < least:
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
    if memory.limit_bytes is None or memory.total_bytes is None:
        return
    if not memory.instances:
        yield _WHOSE[memory.shared]
    elif memory.shared:
        yield f"{_WHOSE[True]}: {memory.instances} x share = {size(memory.total_bytes)}"
    else:
        yield (
            f"{_WHOSE[False]}: {memory.instances} x {size(memory.limit_bytes)} = {size(memory.total_bytes)} together"
        )
    yield (
        f"half of a share is for input: a consumer asks for share / 2 / {size(MAX_MESSAGE_BYTES)} messages ahead, "
        f"divided by the consumers, {DEFAULT_RECEIVER_QUEUE} at the most; half is for output under way"
    )
    for part in memory.functions:
        assert part.share_bytes is not None
        yield (
            f"{part.function}: {_counted(part.instances, 'instance')}, {_counted(part.consumers, 'consumer')} each; "
            f"share {size(part.share_bytes)}, receiver queue {_counted(part.receiver_queue or 0, 'message')}"
        )


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
