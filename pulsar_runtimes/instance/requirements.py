"""The lines of a function's ``requirements.txt``. It comes from users, so it is hostile.

pip takes far more from such a file than names: other repositories, programs to run from anywhere, local files,
variables of the environment. A *plain* line can name distributions and versions only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pulsar_runtimes.model.errors import LaunchError

_COMMENT = re.compile(r"(^|\s)#.*$")
_VERSION = r"(~=|===?|!=|<=?|>=?) ?[A-Za-z0-9.*+!_-]+"
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"  # the name
    r" ?(\[[A-Za-z0-9._, -]*\])?"  # extras
    rf" ?(\(?{_VERSION}( ?, ?{_VERSION})*,?\)?)?"  # versions
    r" ?(;[^${}\\]*)?"  # marker
)
_HASH = re.compile(r"--hash=[a-z0-9]+:[0-9a-f]+")
_HARMLESS_OPTION = re.compile(
    r"--(pre|prefer-binary|require-hashes|no-index)|--(no|only)-binary[ =][A-Za-z0-9:._-]+(,[A-Za-z0-9:._-]+)*"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")


def read_requirements(file: Path) -> tuple[str, ...]:
    """The lines as pip puts them together: continued ones joined, without comments and empty lines."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LaunchError(f"{file.name} must be UTF-8 text ({error})") from None
    lines, begun = list[str](), ""
    for line in text.splitlines():
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            begun += line.removesuffix("\\")
            continue
        lines.append(f"{begun} {line}" if begun and is_comment else begun + line)
        begun = ""
    return tuple(filter(None, (_COMMENT.sub("", line).strip() for line in [*lines, begun])))


def not_plain(lines: Iterable[str]) -> list[str]:
    """Those of ``lines`` that do more than to name distributions, their versions, and how to choose among files."""
    return [line for line in lines if not _is_plain(line)]


def _is_plain(line: str) -> bool:
    if _HARMLESS_OPTION.fullmatch(line):
        return True
    words = line.split()
    first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    named = _REQUIREMENT.fullmatch(" ".join(words[:first]))
    return named is not None and all(_HASH.fullmatch(option) for option in words[first:])


def without_credentials(text: str) -> str:
    """``text`` fit to be shown: ``https://user:password@host`` becomes ``https://***@host``."""
    return _CREDENTIALS.sub("***@", text)
