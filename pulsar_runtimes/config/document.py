"""YAML or JSON text to a :class:`Section`: plain data, and the line of every key.

The parser's events are read one by one rather than through PyYAML's own loading, because that recurses as deep
as the document is nested, lets the last of two equal keys win in silence, and forgets where a key stood.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pulsar_runtimes.model.errors import ConfigError, Problem

from .scalar import UnknownTag, is_collection_tag, read_scalar, tag_name
from .secrecy import HIDDEN, looks_secret
from .section import Section, kind, one_line, shown

LARGEST_FILE_BYTES = 10 * 1024 * 1024
DEEPEST_NESTING = 100
MOST_VALUES = 200_000
"""Bounds the values of a document after its aliases are followed: a few aliases of aliases can make billions."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What YAML calls printable. The parser refuses the rest too, but without a line.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# A character beyond U+FFFF as JSON must escape it, in two halves that YAML's parser takes for two bad characters.
_SURROGATE_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def read_document(path: Path) -> Section:
    """The mapping in the file at ``path``. ``ConfigError`` as of :func:`parse_document`, or why it is unreadable."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise _failure("there is no such file", file) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise _failure(f"cannot be read: {(reason or str(error)).lower()}", file) from error
    if len(content) > LARGEST_FILE_BYTES:
        raise _failure(f"is larger than {LARGEST_FILE_BYTES >> 20} MiB", file)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _failure(f"is not UTF-8 text (byte 0x{content[error.start]:02x})", file, line) from error
    return parse_document(text, file)


def dump_documents(documents: Iterable[Mapping[str, Any]]) -> str:
    """``documents`` as YAML, each begun by a line ``---``, members in their order, no line folded."""
    dumper: Any = _Dumper
    return yaml.dump_all(
        documents, Dumper=dumper, sort_keys=False, allow_unicode=True, width=math.inf, explicit_start=True
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Equal parts are written out: a reader of manifests should not have to look them up."""
        return True


def parse_document(text: str, file: str | None = None) -> Section:
    """The mapping that ``text`` holds, as YAML or JSON; ``file`` is the name to use in messages.

    ``ConfigError`` when it holds none. What can be passed over for now - a key given twice, an unknown tag - is
    a problem in the section, so that it is reported together with what the section's reader finds.
    """
    text = text.removeprefix("\ufeff")
    _check_text(text, file)
    if text.lstrip().startswith("{"):
        text = _SURROGATE_PAIR.sub(_joined, text)
    composer = _Composer(file)
    try:
        value = composer.compose(text)
    except yaml.YAMLError as error:
        raise _syntax_failure(error, file) from error
    if value is _NOTHING:
        raise _failure("is empty; a configuration must be a mapping of keys to values", file)
    if not isinstance(value, dict):
        found = "text" if isinstance(value, str) else kind(value)  # it may be a secret: a token's own file
        raise ConfigError(composer.problems or Problem("", f"must be a mapping of keys to values (got {found})", file))
    return Section(
        value,
        file=file,
        lines=composer.lines,
        problems=composer.problems,
        spelled=composer.spelled,
    )


def _check_text(text: str, file: str | None) -> None:
    if len(text) > LARGEST_FILE_BYTES:
        raise _failure(f"is larger than {LARGEST_FILE_BYTES >> 20} MiB", file)
    bad = _UNPRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise _failure(f"holds the control character U+{ord(bad[0]):04X}; is it a text file?", file, line)


def _joined(match: re.Match[str]) -> str:
    before, high, low = match.groups()
    return f"{before}\\U{0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00:08x}"


def _failure(message: str, file: str | None, line: int | None = None) -> ConfigError:
    return ConfigError(Problem("", message, file and one_line(file, 300), line))


def _syntax_failure(error: yaml.YAMLError, file: str | None) -> ConfigError:
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
    context = getattr(error, "context", None)
    mark = getattr(error, "problem_mark", None)
    message = one_line(f"is not valid YAML: {reason}" + (f" {context}" if context else ""), 300)
    return _failure(message, file, mark.line + 1 if mark else None)


_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class _Built:
    """A value, with how many values it is made of and how deep they nest, aliases followed."""

    value: Any
    size: int = 1
    height: int = 0


@dataclass
class _Composer:
    """Builds plain data from the events of one document, and notes where each key stood."""

    file: str | None
    lines: dict[str, int] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, _Built | None] = field(default_factory=dict)
    count: int = 0
    events: Iterator[Any] = field(default_factory=lambda: iter(()))

    def compose(self, text: str) -> Any:
        """The root value, or ``_NOTHING``; ``YAMLError`` or ``ConfigError`` when the document is unusable."""
        self.events = iter(yaml.parse(text, Loader=_LOADER))
        root: Any = _NOTHING
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not _NOTHING:
                    raise _failure("holds more than one document; only one is read", self.file, _line(event))
                root = self._value(next(self.events), "", 0).value
        return root

    def _value(self, event: Any, path: str, depth: int) -> _Built:
        if depth > DEEPEST_NESTING:
            raise _failure(f"is nested more than {DEEPEST_NESTING} levels deep", self.file, _line(event))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self.count += 1
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = None  # a value may not hold itself
        if isinstance(event, yaml.ScalarEvent):
            built = _Built(self._scalar(event, path))
        elif isinstance(event, yaml.SequenceStartEvent):
            built = self._list(event, path, depth)
        else:
            built = self._mapping(event, path, depth)
        if max(self.count, built.size) > MOST_VALUES:
            raise _failure(f"holds more than {MOST_VALUES} values", self.file, _line(event))
        if anchor is not None:
            self.anchors[anchor] = built
        return built

    def _alias(self, event: Any, depth: int) -> _Built:
        if event.anchor not in self.anchors:
            raise _failure(f"no value is named &{event.anchor}", self.file, _line(event))
        built = self.anchors[event.anchor]
        if built is None:
            raise _failure(f"the value named &{event.anchor} holds itself", self.file, _line(event))
        if depth + built.height > DEEPEST_NESTING:
            raise _failure(f"is nested more than {DEEPEST_NESTING} levels deep", self.file, _line(event))
        return built

    def _scalar(self, event: Any, path: str) -> Any:
        try:
            value = read_scalar(event.value, event.tag, event.implicit[0])
        except UnknownTag as error:
            self._problem(event, path, f"has the unknown tag {shown(str(error))}; only plain values are read")
            return None
        except ValueError:
            got = HIDDEN if looks_secret(path) else shown(event.value)
            self._problem(event, path, f"is not what its tag {tag_name(event.tag)} says (got {got})")
            return None
        if isinstance(value, bool | int | float) and event.value != str(value):
            self.spelled[path] = event.value
        return value

    def _list(self, event: Any, path: str, depth: int) -> _Built:
        if not is_collection_tag(event.tag, "seq"):
            self._problem(event, path, f"has the unknown tag {shown(tag_name(event.tag))}; only plain values are read")
        items: list[Any] = []
        size, height = 1, 0
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            place = f"{path}[{len(items)}]"
            self.lines[place] = _line(event)
            built = self._value(event, place, depth + 1)
            items.append(built.value)
            size, height = size + built.size, max(height, built.height + 1)
        return _Built(items, size, height)

    def _mapping(self, event: Any, path: str, depth: int) -> _Built:
        if not is_collection_tag(event.tag, "map"):
            self._problem(event, path, f"has the unknown tag {shown(tag_name(event.tag))}; only plain values are read")
        values: dict[str, Any] = {}
        size, height = 1, 0
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._key(event, path, depth)
            place = f"{path}.{key}" if path else key or ""
            if key is not None and key in values:
                self._problem(event, place, f"is given twice (lines {self.lines[place]} and {_line(event)})")
            elif key is not None:
                self.lines[place] = _line(event)
            built = self._value(next(self.events), place, depth + 1)
            if key is not None:
                values[key] = built.value
            size, height = size + built.size, max(height, built.height + 1)
        return _Built(values, size, height)

    def _key(self, event: Any, path: str, depth: int) -> str | None:
        """The key that ``event`` starts, or ``None`` when it is none; a number is taken as it is spelled."""
        if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            self._value(event, path, depth + 1)
            self._problem(event, path, "holds a key that is no text but a list or mapping")
            return None
        value = self._value(event, f"{path}<key>", depth).value
        if isinstance(value, str):
            if _is_merge(event):
                self._problem(event, path, "holds the merge key '<<', which is not supported; repeat the keys")
                return None
            return value
        if isinstance(value, int) and not isinstance(value, bool) and isinstance(event, yaml.ScalarEvent):
            return str(event.value)
        self._problem(event, path, f"holds the key {shown(value)}, which is no text; write it in quotes")
        return None

    def _problem(self, event: Any, path: str, message: str) -> None:
        self.problems.append(Problem(one_line(path, 200), one_line(message, 300), self.file, _line(event)))


def _is_merge(event: Any) -> bool:
    return isinstance(event, yaml.ScalarEvent) and bool(event.implicit[0]) and event.value == "<<"


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
