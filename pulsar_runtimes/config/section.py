"""A configuration mapping that knows where each key stands, and collects what is wrong with it.

Reading follows what Jackson does for Apache Pulsar's worker: numbers and booleans may be text, a float is cut
for an integer field, an explicit null of a primitive is 0 or false (``spec`` rules L6 and L7 of 4.0.8).
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pulsar_runtimes.model.errors import ConfigError, Problem

from .secrecy import HIDDEN, looks_secret

E = TypeVar("E", bound=enum.Enum)

MISSING: Any = object()
"""Returned by :meth:`Section.raw` for a key that is not there (``None`` is a value of its own)."""


@dataclass
class Section:
    """One mapping of a configuration file, and the problems found in it so far.

    ``values`` is plain data: nested mappings are ``dict``, lists are ``list``. ``lines`` has the line of each
    key by dotted path, for all nesting depths. Typed reads never raise for a bad value: they add a problem
    and answer the default, so that every problem of a file is found in one go; :meth:`done` raises them.

    ``origins`` has, by dotted path too, what a value came from when that is not the file: an environment
    variable, the command line. ``spelled`` has how a number or boolean was written where Python would write
    it in another way, so that ``name: 007`` read as text is ``007``.
    """

    values: Mapping[str, Any] = field(repr=False)
    path: str = ""
    file: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    spelled: Mapping[str, str] = field(default_factory=dict, repr=False)

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
        file, line = self._place(path)
        return Problem(one_line(path, 200), one_line(message, 600), file and one_line(file, 300), line)

    def _place(self, path: str) -> tuple[str | None, int | None]:
        """The origin, or file and line, of the nearest enclosing value whose place is known."""
        while path:
            if path in self.origins:
                return self.origins[path], None
            if path in self.lines:
                return self.file, self.lines[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.file, None

    def origin(self, key: str) -> str:
        """Where the value of ``key`` comes from: ``file:line``, a variable's name, or ``default``."""
        if key not in self.values:
            return "default"
        file, line = self._place(self.where(key))
        if file is None:
            return "given" if line is None else f"line {line}"
        return file if line is None else f"{file}:{line}"

    def with_value(self, keys: Sequence[str], value: Any, origin: str) -> Section:
        """This section with ``value`` at the nested ``keys``, said to come from ``origin``.

        Mappings that lack on the way are made; a value that is no mapping is replaced. Neither the section nor
        its values change. Problems and warnings go on into the same lists.
        """
        paths = [self.where(".".join(keys[: depth + 1])) for depth in range(len(keys))]
        made = [path for path in paths if path not in self.lines]
        below = (f"{paths[-1]}.", f"{paths[-1]}[")
        return replace(
            self,
            values=_nested(self.values, keys, value),
            lines={path: line for path, line in self.lines.items() if not path.startswith(below)},
            origins={**dict.fromkeys(made, origin), **self.origins, paths[-1]: origin},
            spelled={path: text for path, text in self.spelled.items() if path != paths[-1]},
        )

    def without(self, key: str) -> Section:
        """This section as if ``key`` were not there."""
        return replace(self, values={name: value for name, value in self.values.items() if name != key})

    def without_nulls(self) -> Section:
        """This section as if no key at any depth of mappings had null, which Jackson drops where it converts a map."""
        return replace(self, values=_without_nulls(self.values))

    def got(self, key: str, value: object) -> str:
        """``value`` as a message may show it; hidden when the name of ``key`` speaks of a secret."""
        return HIDDEN if looks_secret(self.where(key)) else shown(value)

    def raw(self, key: str) -> Any:
        """The value as it was parsed, or :data:`MISSING`. Counts as read."""
        self.seen.add(key)
        return self.values.get(key, MISSING)

    def text(self, key: str, default: str = "", *, null: str | None = None) -> str:
        """Text; numbers and booleans are taken as they are spelled. Null is ``null``, else the default."""
        value = self.raw(key)
        if value is MISSING:
            return default
        if value is None:
            return default if null is None else null
        text = self._as_text(key, key, value)
        return default if text is None else text

    def _as_text(self, key: str, item: str, value: object) -> str | None:
        if isinstance(value, str):
            if "\0" not in value:
                return value
            self.problem(key, "must not hold a NUL character")
        elif isinstance(value, bool | int | float):
            return self.spelled.get(self.where(item)) or shown(value, limit=1000)
        else:
            self.problem(key, f"must be text (got {kind(value)})")
        return None

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

    def optional_integer(self, key: str, *, minimum: int | None = None, maximum: int | None = None) -> int | None:
        """An integer within the bounds, or ``None`` when it is absent, null or wrong."""
        if self.raw(key) in (MISSING, None):
            return None
        found = len(self.problems)
        number = self.integer(key, minimum=minimum, maximum=maximum)
        return None if len(self.problems) > found else number

    def number(
        self,
        key: str,
        default: float = 0.0,
        *,
        null: float = 0.0,
        minimum: float | None = None,
        maximum: float | None = None,
        above: float | None = None,
    ) -> float:
        """A number within the bounds, which are part of the range, but for ``above``."""
        number = self._number(key, default, null)
        if number is MISSING:
            return default
        return float(number) if self._in_range(key, number, minimum, maximum, above) else default

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
        # the comparison also refuses infinity and what is no number, and works for integers of any size
        if number is None or not abs(number) < 2**63:
            self.problem(key, f"must be a number (got {self.got(key, value)})")
            return MISSING
        return number

    def _in_range(
        self, key: str, value: float, minimum: float | None, maximum: float | None, above: float | None = None
    ) -> bool:
        low = (minimum is None or value >= minimum) and (above is None or value > above)
        high = maximum is None or value <= maximum
        if low and high:
            return True
        if above is not None:
            right = f"must be above {above:g}" + ("" if maximum is None else f" and at most {maximum:g}")
        elif minimum is not None and maximum is not None:
            right = f"must be from {minimum} to {maximum}"
        elif minimum is not None:
            right = f"must be at least {minimum}"
        else:
            right = f"must be at most {maximum}"
        self.problem(key, f"{right} (got {self.got(key, value)})")
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
        self.problem(key, f"must be true or false (got {self.got(key, value)})")
        return default

    def choice(self, key: str, options: type[E], default: E) -> E:
        """A member of ``options`` by its name, in any case."""
        value = self.raw(key)
        if value is MISSING or value is None or value == "":
            return default
        if isinstance(value, str) and value.upper() in options.__members__:
            return options[value.upper()]
        names = ", ".join(options.__members__)
        near = nearest(value, options.__members__) if isinstance(value, str) else ""
        self.problem(key, f"must be one of {names} (got {self.got(key, value)}){near}")
        return default

    def texts(self, key: str, default: Sequence[str] = (), *, null: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of text. A single text in place of a list is refused, as the reference does.

        Null is ``null``, else the default.
        """
        value = self.raw(key)
        if value is MISSING:
            return tuple(default)
        if value is None:
            return tuple(default if null is None else null)
        if not isinstance(value, list):
            text = self.got(key, value)
            remedy = "" if isinstance(value, dict) or text == HIDDEN else f"; write it as [{text}]"
            self.problem(key, f"must be a list (got {text}){remedy}")
            return tuple(default)
        items: list[str] = []
        for index, item in enumerate(value):
            if isinstance(item, dict | list) or item is None:
                self.problem(f"{key}[{index}]", f"must be text (got {kind(item)})")
                return tuple(default)
            text_or_none = self._as_text(f"{key}[{index}]", f"{key}[{index}]", item)
            if text_or_none is None:
                return tuple(default)
            items.append(text_or_none)
        return tuple(items)

    def mapping(self, key: str) -> dict[str, Any]:
        """A mapping with any content; empty when absent or null."""
        value = self.raw(key)
        if value is MISSING or value is None:
            return {}
        if not isinstance(value, dict):
            self.problem(key, f"must be a mapping (got {self.got(key, value)})")
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
            self.problem(key, f"must be a mapping (got {self.got(key, value)})")
            return None
        return self.inner(key, value)

    def inner(self, key: str, values: Mapping[str, Any]) -> Section:
        """``values`` as if they stood at ``key``; problems and warnings go to this section's lists."""
        return replace(self, values=values, path=self.where(key), seen=set())

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


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def _nested(values: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    head, *rest = keys
    inner = values.get(head)
    return {**values, head: _nested(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


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
    text = repr(value[:limit]) if isinstance(value, str) else _number_text(value)
    cut = len(text) > limit or (isinstance(value, str) and len(value) > limit)
    return f"{text[: limit - 3]}..." if cut else text


def one_line(text: str, limit: int) -> str:
    """``text`` on one line and printable: anything else is escaped; cut when it is longer than ``limit``."""
    text = f"{text[: limit - 3]}..." if len(text) > limit else text
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


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
