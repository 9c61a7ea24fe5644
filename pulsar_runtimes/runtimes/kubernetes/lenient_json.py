"""JSON as a person may write it for Apache Pulsar: the documents themselves print a sample with comments in it.

What is taken is what Gson's reader takes in its lenient mode: ``//``, ``/* */`` and ``#`` comments, names and texts in
single quotes or without quotes, ``;`` for ``,`` and ``=`` or ``=>`` for ``:``. Pure.
"""

from __future__ import annotations

import re
from typing import Any

DEEPEST_NESTING = 100

_ESCAPES = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", "\n": "\n", "'": "'", '"': '"', "\\": "\\", "/": "/"}
_BLANK = " \t\r\n"
_BARE = re.compile(r"[^/\\;#={}\[\]:,\s]+")
_HEX = re.compile(r"[0-9a-fA-F]{4}")


class LenientJsonError(ValueError):
    """The text cannot be read; the message says why, and in which line."""


def parse_lenient_object(text: str) -> dict[str, Any]:
    """The object that ``text`` holds: mappings, lists, text and ``None``. Blank text and ``null`` are an empty one.

    Numbers, true and false are text as they are written: whoever wants a number reads it from the text. A name that an
    object has twice, and anything but blanks after the object, is a :class:`LenientJsonError`.
    """
    reader = _Reader(text)
    if reader.at_end():
        return {}
    value = reader.value(0)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise reader.error("must be a JSON object")
    if text[reader.position :].strip(_BLANK):
        raise reader.error("there is more after the object")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 1 if text.startswith("\ufeff") else 0

    def error(self, message: str) -> LenientJsonError:
        line = self.text.count("\n", 0, self.position) + 1
        return LenientJsonError(f"{message} (line {line})" if "\n" in self.text else message)

    def at_end(self) -> bool:
        self._skip()
        return self.position >= len(self.text)

    def value(self, depth: int) -> Any:
        if depth > DEEPEST_NESTING:
            raise self.error(f"is nested deeper than {DEEPEST_NESTING}")
        match self._peek():
            case "{":
                return self._object(depth)
            case "[":
                return self._list(depth)
            case "'" | '"':
                return self._text()
        word = self._bare("a value")
        if word.lower() == "null":
            return None
        return word.lower() if word.lower() in ("true", "false") else word

    def _object(self, depth: int) -> dict[str, Any]:
        self.position += 1
        found: dict[str, Any] = {}
        if self._peek() == "}":
            self.position += 1
            return found
        while True:
            name = self._text() if self._peek() in "'\"" else self._bare("a name")
            if name in found:
                raise self.error(f"has {name!r} twice")
            if self._peek() not in ":=":
                raise self.error(f"must have ':' after {name!r}")
            self.position += 1
            if self.text[self.position - 1] == "=" and self.text.startswith(">", self.position):
                self.position += 1
            found[name] = self.value(depth + 1)
            if self._peek() == "}":
                self.position += 1
                return found
            self._separator("}")

    def _list(self, depth: int) -> list[Any]:
        self.position += 1
        found: list[Any] = []
        if self._peek() == "]":
            self.position += 1
            return found
        while True:
            found.append(None if self._peek() in ",;]" else self.value(depth + 1))
            if self._peek() == "]":
                self.position += 1
                return found
            self._separator("]")

    def _separator(self, end: str) -> None:
        if self._peek() not in ",;":
            raise self.error(f"must have ',' or {end!r} after each member")
        self.position += 1

    def _bare(self, what: str) -> str:
        self._skip()
        found = _BARE.match(self.text, self.position)
        if found is None:
            raise self.error(f"must have {what} here")
        self.position = found.end()
        return found[0]

    def _text(self) -> str:
        quote = self.text[self.position]
        made: list[str] = []
        self.position += 1
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character == quote:
                # Two escapes may be the halves of one character.
                return "".join(made).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            made.append(self._escape() if character == "\\" else character)
        raise self.error("a quote is not closed")

    def _escape(self) -> str:
        character = self.text[self.position : self.position + 1]
        self.position += 1
        if character == "u":
            digits = _HEX.match(self.text, self.position)
            if digits is None:
                raise self.error("must have four digits after \\u")
            self.position += 4
            return chr(int(digits[0], 16))
        if character not in _ESCAPES or not character:
            raise self.error(f"has an unknown escape \\{character}")
        return _ESCAPES[character]

    def _peek(self) -> str:
        """The next character that says something. Never empty."""
        self._skip()
        if self.position >= len(self.text):
            raise self.error("ends too early")
        return self.text[self.position]

    def _skip(self) -> None:
        """Past blanks and comments."""
        while self.position < len(self.text):
            if self.text[self.position] in _BLANK:
                self.position += 1
            elif self.text[self.position] == "#" or self.text.startswith("//", self.position):
                ends = [end for end in (self.text.find(c, self.position) for c in "\r\n") if end >= 0]
                self.position = min(ends, default=len(self.text))
            elif self.text.startswith("/*", self.position):
                end = self.text.find("*/", self.position + 2)
                if end < 0:
                    raise self.error("a comment is not closed")
                self.position = end + 2
            else:
                return
