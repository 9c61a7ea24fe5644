"""A function as it is registered: what the state of record holds of it, and the rules by which that changes. Pure.

Mirrors ``FunctionMetaData`` of Apache Pulsar's ``Function.proto``. Source of the rules: ``FunctionMetaDataUtils``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .function import FunctionSpec
from .names import ALL_REPLICAS, FunctionKey


@dataclass(frozen=True, slots=True)
class PackageLocation:
    """Where a package is kept: ``path`` as the package store understands it, and the file's name at upload."""

    path: str = ""
    original_file_name: str = ""


@dataclass(frozen=True, slots=True)
class FunctionAuth:
    """Credentials that a function was registered with, and the class that understands them. Never print it."""

    data: bytes = field(default=b"", repr=False)
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """One registered function.

    ``version`` grows with each change; one that is not above the known version is out of date. ``stopped`` has each
    instance's number and whether somebody stopped it; empty means that all run. ``unknown`` is what a newer worker
    wrote that this version does not know, for it to be written again.
    """

    function: FunctionSpec
    package: PackageLocation = PackageLocation()
    transform_package: PackageLocation = PackageLocation()
    version: int = 0
    created_ms: int = 0
    stopped: Mapping[int, bool] = field(default_factory=dict)
    auth: FunctionAuth | None = None
    unknown: bytes = field(default=b"", repr=False)

    @property
    def key(self) -> FunctionKey:
        return self.function.key

    def is_stopped(self, instance_id: int) -> bool:
        """Whether somebody stopped the instance of that number; all replicas together stop with the last of them."""
        if instance_id == ALL_REPLICAS:
            return self.is_all_stopped
        return self.stopped.get(instance_id, False)

    @property
    def is_all_stopped(self) -> bool:
        """Whether nothing of the function is wanted to run."""
        return all(self.is_stopped(number) for number in range(self.function.parallelism))


def can_change(registration: Registration, instance_id: int | None, *, stop: bool) -> bool:
    """Whether stopping, or starting, an instance or all (``None``) would alter anything.

    A number that the function does not have alters nothing. Where nothing was ever stopped, nothing can be started.
    """
    parallelism = registration.function.parallelism
    if instance_id is not None and not 0 <= instance_id < parallelism:
        return False
    numbers = range(parallelism) if instance_id is None else (instance_id,)
    return any(registration.is_stopped(number) is not stop for number in numbers)


def change(registration: Registration, instance_id: int | None, *, stop: bool) -> Registration:
    """The next version, with an instance or all (``None``) stopped or started."""
    stopped = {number: registration.is_stopped(number) for number in range(registration.function.parallelism)}
    for number in stopped if instance_id is None else (instance_id,):
        stopped[number] = stop
    return replace(registration, version=registration.version + 1, stopped=stopped)
