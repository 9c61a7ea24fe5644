"""Text that is read by a shell: quoting what must stay as it is, and reading what people wrote for a shell.

Nothing that a user writes may run a command. What the flags of a function do in the reference because a shell reads
them - quotes, backslashes, ``$NAME`` - they do here, too; what else a shell would do with them, they do not. Pure.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

MARK = "\0"
"""Stands in an argument for the number of the pod. No argument of a program can hold this character otherwise."""

SHARD_ID = "SHARD_ID"

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_EXPANSION = re.compile(
    rf"\$(?:\{{(?P<braced>{_NAME}(?:(?::?[-+]|##?|%%?)[\w./:,+@%*=-]*)?)\}}|(?P<plain>{_NAME})|(?P<special>[0-9@*#?$!-]))",
    re.ASCII,
)
"""A variable, also with a default or a part cut off. Whatever might run something - ``$(``, a backtick - is none."""

_BLANK = " \t\n\r\f\v"
_ESCAPED_IN_QUOTES = '$`"\\'


def quote(argument: str) -> str:
    """``argument`` as one word of a shell command, with the number of the pod where :data:`MARK` stands."""
    parts = argument.split(MARK)
    if len(parts) == 1:
        return shlex.quote(argument)
    return f"${SHARD_ID}".join(shlex.quote(part) if part else "" for part in parts)


def join(arguments: Sequence[str]) -> str:
    """``arguments`` as the words of a shell command."""
    return " ".join(quote(argument) for argument in arguments)


def keep_dollars(command: str) -> str:
    """``command`` so that the shell gets every ``$`` of it.

    Before the shell reads it, Kubernetes puts variables of the container in place of ``$(NAME)`` there, also between
    single quotes, and makes one ``$`` of two.
    """
    return command.replace("$", "$$") if "$(" in command or "$$" in command else command


def safe_words(text: str) -> Iterator[str]:
    """The words that a shell would read in ``text``, each quoted so that it stays one and runs nothing.

    ``ValueError`` when a quote is not closed.
    """
    position = 0
    while position < len(text):
        if text[position] in _BLANK:
            position += 1
            continue
        word, position = _word(text, position)
        if word:
            yield word


def _word(text: str, position: int) -> tuple[str, int]:
    """The word that begins at ``position``, and where it ends."""
    made: list[str] = []
    literal = ""
    quoted = False
    while position < len(text) and text[position] not in _BLANK:
        character = text[position]
        expansion = _EXPANSION.match(text, position)
        if character == "'":
            end = text.find("'", position + 1)
            if end < 0:
                raise ValueError("a single quote is not closed")
            literal += text[position + 1 : end]
            quoted, position = True, end + 1
        elif character == '"':
            made.append(_quoted(literal))
            literal = ""
            part, position = _in_double_quotes(text, position + 1)
            made.append(part)
            quoted = True
        elif character == "\\":
            literal += text[position + 1 : position + 2].replace("\n", "")
            position += 2
        elif expansion is not None:
            made += [_quoted(literal), _as_written(expansion)]
            literal, position = "", expansion.end()
        else:
            literal += character
            position += 1
    made.append(_quoted(literal))
    return "".join(made) or ("''" if quoted else ""), position


def _in_double_quotes(text: str, position: int) -> tuple[str, int]:
    made: list[str] = []
    literal = ""
    while position < len(text):
        character = text[position]
        expansion = _EXPANSION.match(text, position)
        if character == '"':
            made.append(_quoted(literal))
            return "".join(made), position + 1
        if character == "\\" and text[position + 1 : position + 2] in ("\n", *_ESCAPED_IN_QUOTES):
            literal += text[position + 1].replace("\n", "")
            position += 2
        elif expansion is not None:
            made += [_quoted(literal), f'"{_as_written(expansion)}"']
            literal, position = "", expansion.end()
        else:
            literal += character
            position += 1
    raise ValueError("a double quote is not closed")


def _quoted(literal: str) -> str:
    return shlex.quote(literal) if literal else ""


def _as_written(expansion: re.Match[str]) -> str:
    """The variable, told apart from letters that follow it."""
    plain = expansion["plain"]
    return f"${{{plain}}}" if plain else expansion[0]
