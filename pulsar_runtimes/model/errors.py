"""The errors pfrun raises on purpose. Each exists because somebody catches it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class PfrunError(Exception):
    """Base of every error that is about the user's input or the outside world, not about a bug."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration: where, what, and what would be right.

    ``path`` is the dotted key path and may be empty; ``line`` counts from 1 and is ``None`` when the value
    came from the environment, a flag or a default.
    """

    path: str
    message: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = self.file or ""
        if place and self.line is not None:
            place = f"{place}:{self.line}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(PfrunError):
    """A configuration cannot be used. Holds every problem found, never only the first."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class AdmissionError(PfrunError):
    """A function is well formed but this runtime must not or cannot run it. Raised before anything starts."""


class LaunchError(PfrunError):
    """Starting one instance failed; the text is the reason a person can act on."""


class RegistryError(PfrunError):
    """A plug-in name is unknown, claimed twice, fails to import, or is not of the right kind."""


class BrokerError(PfrunError):
    """No broker could be started or reached."""


class MetadataError(PfrunError):
    """The state of record could not be read or written; what was to be written may or may not be there."""


class OutdatedError(MetadataError):
    """Somebody changed the function meanwhile: the version that was to be written is not above the known one."""


class StateError(PfrunError):
    """The state of a function could not be read or written."""


class StateKindError(StateError):
    """A counter was to get a value, or a value to be counted."""
