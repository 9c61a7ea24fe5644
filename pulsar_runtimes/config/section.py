"""A configuration mapping that knows where each key stands, and collects what is wrong with it.

Reading follows what Jackson does for Apache Pulsar's worker: numbers and booleans may be text, a float is cut
for an integer field, an explicit null of a primitive is 0 or false (``spec`` rules L6 and L7 of 4.0.8).
"""

from __future__ import annotations

import difflib
import enum
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pulsar_runtimes.model.errors import ConfigError, Problem

E = TypeVar("E", bound=enum.Enum)
T = TypeVar("T")

MISSING: Any = object()
"""Returned by :meth:`Section.raw` for a key that is not there (``None`` is a value of its own)."""


@dataclass
class Section:
    """One mapping of a configuration file, and the problems found in it so far.

    ``values`` is plain data: nested mappings are ``dict``, lists are ``list``. ``lines`` has the line of each
    key by dotted path, for all nesting depths. Typed reads never raise for a bad value: they add a problem
    and answer the default, so that every problem of a file is found in one go; :meth:`done` raises them.
    """

    values: Mapping[str, Any]
    path: str = ""
    file: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def where(self, key: str = "") -> str:
        """The dotted path of ``key``, or of the section itself."""
        return ".".join(part for part in (self.path, key) if part)

    def problem(self, key: str, message: str) -> None:
        """Note that the value of ``key`` (or, when empty, the section) is wrong."""
        self.problems.append(self._located(key, message))

    def warn(self, key: str, message: str) -> None:
        """Note something about ``key`` that a person should hear once, but that stops nothing."""
        self.warnings.append(self._located(key, message))

    def _located(self, key: str, message: str) -> Problem:
        path = self.where(key)
        return Problem(path, message, self.file, self._line(path))

    def _line(self, path: str) -> int | None:
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return None

    def raw(self, key: str) -> Any:
        """The value as it was parsed, or :data:`MISSING`. Counts as read."""
        self.seen.add(key)
        return self.values.get(key, MISSING)

    def text(self, key: str, default: str = "") -> str:
        """Text; numbers and booleans are taken as they are spelled. Null is the default."""
        value = self.raw(key)
        if value is MISSING or value is None:
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        self.problem(key, f"must be text (got {kind(value)})")
        return default

    def integer(
        self,
        key: str,
        default: int = 0,
        *,
        null: int = 0,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> int:
        """An integer within the bounds, which are part of the range. ``null`` is what an explicit null means."""
        number = self._number(key, default, null)
        if number is MISSING:
            return default
        whole = int(number)
        return whole if self._in_range(key, whole, minimum, maximum) else default

    def number(
        self,
        key: str,
        default: float = 0.0,
        *,
        null: float = 0.0,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> float:
        """A number within the bounds, which are part of the range."""
        number = self._number(key, default, null)
        if number is MISSING:
            return default
        return float(number) if self._in_range(key, number, minimum, maximum) else default

    def _number(self, key: str, default: float, null: float) -> Any:
        value = self.raw(key)
        if value is MISSING:
            return default
        if value is None:
            return null
        number: int | float | None = None
        if isinstance(value, str):
            number = _parse_number(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = value
        if number is None or not math.isfinite(number) or abs(number) >= 2**63:
            self.problem(key, f"must be a number (got {shown(value)})")
            return MISSING
        return number

    def _in_range(self, key: str, value: float, minimum: float | None, maximum: float | None) -> bool:
        low = minimum is None or value >= minimum
        high = maximum is None or value <= maximum
        if low and high:
            return True
        if minimum is not None and maximum is not None:
            right = f"must be from {minimum} to {maximum}"
        elif minimum is not None:
            right = f"must be at least {minimum}"
        else:
            right = f"must be at most {maximum}"
        self.problem(key, f"{right} (got {value})")
        return False

    def boolean(self, key: str, default: bool = False, *, null: bool = False) -> bool:
        """True or false; the spellings ``true`` and ``false`` may be quoted."""
        value = self.raw(key)
        if value is MISSING:
            return default
        if value is None:
            return null
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        self.problem(key, f"must be true or false (got {shown(value)})")
        return default

    def choice(self, key: str, options: type[E], default: E) -> E:
        """A member of ``options`` by its name, in any case."""
        value = self.raw(key)
        if value is MISSING or value is None or value == "":
            return default
        if isinstance(value, str) and value.upper() in options.__members__:
            return options[value.upper()]
        names = ", ".join(options.__members__)
        self.problem(key, f"must be one of {names} (got {shown(value)}){nearest(str(value), options.__members__)}")
        return default

    def texts(self, key: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of text. A single text in place of a list is refused, as the reference does."""
        value = self.raw(key)
        if value is MISSING or value is None:
            return tuple(default)
        if not isinstance(value, list):
            self.problem(key, f"must be a list (got {shown(value)}); write it as [{shown(value)}]")
            return tuple(default)
        for item in value:
            if isinstance(item, dict | list) or item is None:
                self.problem(key, f"must hold only text (got {kind(item)})")
                return tuple(default)
        return tuple("true" if v is True else "false" if v is False else str(v) for v in value)

    def mapping(self, key: str) -> dict[str, Any]:
        """A mapping with any content; empty when absent or null."""
        value = self.raw(key)
        if value is MISSING or value is None:
            return {}
        if not isinstance(value, dict):
            self.problem(key, f"must be a mapping (got {shown(value)})")
            return {}
        return value

    def text_mapping(self, key: str) -> dict[str, str]:
        """A mapping of text to text; numbers and booleans are taken as they are spelled."""
        inner = self.section(key)
        if inner is None:
            return {}
        return {name: inner.text(name) for name in inner}

    def section(self, key: str) -> Section | None:
        """The mapping at ``key`` as a section that shares this one's problems; ``None`` when absent or null."""
        value = self.raw(key)
        if value is MISSING or value is None:
            return None
        if not isinstance(value, dict):
            self.problem(key, f"must be a mapping (got {shown(value)})")
            return None
        return self.inner(key, value)

    def inner(self, key: str, values: Mapping[str, Any]) -> Section:
        """``values`` as if they stood at ``key``; problems and warnings go to this section's lists."""
        return Section(values, self.where(key), self.file, self.lines, self.problems, self.warnings)

    def unread(self) -> list[str]:
        """The keys nobody asked for, in the order of the file."""
        return [key for key in self.values if key not in self.seen]

    def refuse_unread(self, known: Sequence[str] = ()) -> None:
        """Every key nobody read is a problem, named with the nearest known key."""
        for key in self.unread():
            self.problem(key, f"is not a known key{nearest(key, [*self.seen, *known])}")

    def warn_unread(self, known: Sequence[str] = ()) -> None:
        """Every key nobody read is a warning, named with the nearest known key."""
        for key in self.unread():
            self.warn(key, f"is not a known key and has no effect{nearest(key, [*self.seen, *known])}")

    def done(self) -> None:
        """``ConfigError`` with every problem found so far, if there is any."""
        if self.problems:
            raise ConfigError(self.problems)


def kind(value: object) -> str:
    """What a parsed value is, in the words of the file."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return shown(value)


def shown(value: object, limit: int = 60) -> str:
    """A value as it may stand in a message: short, on one line."""
    if isinstance(value, dict | list):
        return kind(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else _number_text(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _number_text(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # an integer with more digits than Python prints
        return "a number with thousands of digits"


def nearest(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """``; did you mean 'x'?`` when some known name is near, else nothing."""
    lowered = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name[:200].lower(), list(lowered), n=1, cutoff=0.7)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""


def _parse_number(text: str) -> int | float | None:
    if len(text) > 400:
        return None
    for reader in _NUMBER_READERS:
        try:
            return reader(text.strip())
        except (ValueError, OverflowError):
            continue
    return None


_NUMBER_READERS: tuple[Callable[[str], int | float], ...] = (int, float)
