"""What one plain YAML scalar means: the rules of YAML 1.1, as PyYAML's safe loader and SnakeYAML read it."""

from __future__ import annotations

from typing import Any

import yaml

_PREFIX = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"", "!", f"{_PREFIX}str", f"{_PREFIX}timestamp", f"{_PREFIX}value", f"{_PREFIX}merge"})
_READERS = {
    f"{_PREFIX}{name}": getattr(yaml.constructor.SafeConstructor, f"construct_yaml_{name}")
    for name in ("null", "bool", "int", "float")
}

LONGEST_NUMBER = 400
"""Digits that a number may have. More would make Python refuse it or compute for long, so it stays text."""


class UnknownTag(ValueError):
    """A scalar, list or mapping has a tag that plain data does not have."""


def read_scalar(value: str, tag: str | None, plain: bool) -> Any:
    """``value`` as text, number, boolean or ``None``. A date stays text, and so does ``12:30``.

    ``tag`` is the one written in the document, if any; ``plain`` says that the scalar stands there unquoted.
    ``UnknownTag`` for a tag such as ``!!python/object``, ``ValueError`` when the value is not what its tag says.
    """
    tag = resolve_tag(value, tag, plain)
    if tag in _TEXT_TAGS:
        return value
    reader = _READERS.get(tag)
    if reader is None:
        raise UnknownTag(tag_name(tag))
    if len(value) > LONGEST_NUMBER:
        return value
    if ":" in value and tag != f"{_PREFIX}null":
        return value  # 12:30 is a number to the base of 60 in YAML 1.1, which nobody means in a configuration
    try:
        return reader(_CONSTRUCTOR, yaml.ScalarNode(tag, value))
    except (LookupError, OverflowError) as error:  # what PyYAML ends in for !!bool x, and for an empty !!int
        raise ValueError("is not what its tag says") from error


def resolve_tag(value: str, tag: str | None, plain: bool) -> str:
    """The tag of a scalar: the one given, else what an unquoted value looks like, else text."""
    if tag is not None and tag != "!":
        return tag
    if not plain or tag == "!":
        return f"{_PREFIX}str"
    return str(_RESOLVER.resolve(yaml.ScalarNode, value, (True, False)))


def is_collection_tag(tag: str | None, name: str) -> bool:
    """Whether ``tag`` is none or the plain one of ``name``, which is ``map`` or ``seq``."""
    return tag in (None, "!", f"{_PREFIX}{name}")


def tag_name(tag: str) -> str:
    """``tag`` as it is written in a document."""
    return f"!!{tag.removeprefix(_PREFIX)}" if tag.startswith(_PREFIX) else tag


_RESOLVER: Any = yaml.resolver.Resolver()
_CONSTRUCTOR: Any = yaml.constructor.SafeConstructor()
