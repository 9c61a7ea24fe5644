"""How a function's new version follows its old one: what is the same, and who takes over. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.names import ALL_REPLICAS
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.model.status import State

from .record import Record


@dataclass(frozen=True, slots=True)
class Wanted:
    """One version of a function as it is wanted.

    ``in_place``: old and new must never run side by side, so the old ones stop first. ``handed_on``: what runs is
    handed the new version, and only stops first where it cannot become that.
    """

    specs: tuple[InstanceSpec, ...]
    in_place: bool = False
    handed_on: bool = False


class Move(enum.Enum):
    """What happens next with an update."""

    GO_ON = "go on"
    """Both run: the old version works, the new one is being started."""
    HAND_OVER = "hand over"
    """The new version is the one that counts; the old one drains and stops."""
    WAY_BACK = "way back"
    """The new version was given up; the old one goes on as if nothing had been asked."""


def next_move(old: Iterable[Record], new: Collection[Record], *, in_place: bool) -> Move:
    """What happens next with an update from the instances ``old`` to ``new``.

    All instances of a function change over together: the old ones stop when every new one is ready, so a version
    that fails in one of its instances only has replaced none, and the way back starts nothing.
    """
    if not is_guarded(old, in_place=in_place):
        return Move.HAND_OVER
    if any(record.state is State.FAILED for record in new):
        return Move.WAY_BACK
    if all(record.state is State.RUNNING for record in new):
        return Move.HAND_OVER
    return Move.GO_ON


def is_guarded(old: Iterable[Record], *, in_place: bool) -> bool:
    """Whether the old version is kept until the new one is ready.

    It is when one of its instances has ever been ready and is not given up: then it is something to come back to,
    even if that instance is down at the moment. A version that never worked simply makes room.
    """
    return not in_place and any(record.was_ready and record.state is not State.FAILED for record in old)


def updates_in_place(capabilities: Capabilities) -> bool:
    """Whether a backend replaces a running version by itself, better than starting another one beside it.

    One that cannot be handed a new version (``capabilities.updates_in_place``) is stopped first.
    """
    return capabilities.runs_all_replicas or capabilities.restarts_itself or capabilities.updates_in_place


def same_version(one: Iterable[InstanceSpec], other: Iterable[InstanceSpec]) -> bool:
    """Whether the instances that both have need not be touched to come from one to the other."""
    others = {spec.key: spec for spec in other}
    return all(_essence(spec) == _essence(others[spec.key]) for spec in one if spec.key in others)


def _essence(spec: InstanceSpec) -> InstanceSpec:
    """``spec`` without what may differ while its instance keeps running.

    That is what is random in each plan or given at each start, and how many siblings it has, unless it stands for
    all of them.
    """
    function = spec.function if spec.instance_id == ALL_REPLICAS else replace(spec.function, parallelism=0)
    return replace(spec.lasting, function=function)
