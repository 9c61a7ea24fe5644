"""Settings declared once: a key of the file, an attribute of a dataclass, and what pfrun makes of it.

A field of a settings class is declared with :func:`key`; its annotation is the type that is read. The walker here
reads all of them, resolves old spellings, and can tell where each value came from.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pulsar_runtimes.model.function import DEFAULT_RESOURCES, Resources

from .secrecy import HIDDEN, looks_secret
from .section import MISSING, Section, one_line


class Use(enum.Enum):
    """What pfrun does with a setting."""

    HONOURED = "honoured"
    WARNED = "has no effect"
    REFUSED = "refused"


class Wins(enum.Enum):
    """Which of two spellings counts when a file has both."""

    NEW_UNLESS_NULL = enum.auto()
    NEW_UNLESS_BLANK = enum.auto()
    OLD_WHEN_POSITIVE = enum.auto()
    EITHER = enum.auto()


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of one key besides its type and default, which the dataclass field has.

    ``note`` is a short phrase for a person: what an honoured key does that its name does not say, why another
    one has no effect or is refused. ``old`` is the deprecated spelling, ``wins`` says which one counts. ``inner``
    has the keys that a mapping may hold; ``None`` leaves them to whoever reads the mapping later.
    """

    name: str
    use: Use = Use.HONOURED
    note: str = ""
    old: str = ""
    wins: Wins = Wins.NEW_UNLESS_NULL
    minimum: int | None = None
    maximum: int | None = None
    inner: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as ``pfrun explain`` shows it. ``key`` is a dotted path, ``value`` text without secrets."""

    key: str
    value: str
    origin: str
    use: Use
    note: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """A key together with the dataclass field that holds it."""

    key: Key
    attribute: str
    hint: Any
    default: Any


def key(
    name: str,
    default: Any = None,
    use: Use = Use.HONOURED,
    note: str = "",
    *,
    old: str = "",
    wins: Wins = Wins.NEW_UNLESS_NULL,
    minimum: int | None = None,
    maximum: int | None = None,
    inner: Mapping[str, Any] | None = None,
) -> Any:
    """A dataclass field for the key ``name``; ``default`` is its value when the file does not have it."""
    declared = Key(name, use, note, old, wins, minimum, maximum, inner)
    metadata = {"key": declared}
    if isinstance(default, Mapping):  # left out of the repr, as a mapping may hold anything
        return dataclasses.field(default_factory=lambda: dict(default), repr=False, metadata=metadata)
    return dataclasses.field(default=default, repr=not looks_secret(name), metadata=metadata)


@functools.cache
def declared_keys(cls: Any) -> tuple[Declared, ...]:
    """Every key of the settings class ``cls``, in the order of its fields."""
    hints = typing.get_type_hints(cls)
    return tuple(
        Declared(
            field.metadata["key"],
            field.name,
            hints[field.name],
            field.default if field.default_factory is dataclasses.MISSING else field.default_factory(),
        )
        for field in dataclasses.fields(cls)
        if "key" in field.metadata
    )


def key_names(cls: Any) -> list[str]:
    """Every key that ``cls`` reads, old spellings too."""
    return [name for declared in declared_keys(cls) for name in (declared.key.name, declared.key.old) if name]


@dataclass(frozen=True, slots=True)
class Reading:
    """What :func:`read_settings` found: values by attribute, and the keys whose old spelling is the one that counts."""

    values: Mapping[str, Any]
    renamed: Mapping[str, str]


def read_settings(cls: Any, section: Section) -> Reading:
    """The values for ``cls``, read from ``section``; what is wrong becomes a problem of the section."""
    values: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    for declared in declared_keys(cls):
        declaration = declared.key
        value = _read_as(section, declared, declaration.name)
        if declaration.old:
            old = _read_as(section, declared, declaration.old)
            if section.values.get(declaration.old) is not None and _old_wins(declaration.wins, old, value):
                value = old
                renamed[declaration.name] = declaration.old
        values[declared.attribute] = value
    return Reading(values, renamed)


def _old_wins(wins: Wins, old: Any, new: Any) -> bool:
    """Whether the value of the old spelling counts, given that the file has one."""
    match wins:
        case Wins.NEW_UNLESS_NULL:
            return new is None
        case Wins.NEW_UNLESS_BLANK:
            return not new.strip()
        case Wins.OLD_WHEN_POSITIVE:
            return bool(old > 0)
        case Wins.EITHER:
            return bool(old and not new)


def _read_as(section: Section, declared: Declared, name: str) -> Any:
    if type(None) in typing.get_args(declared.hint):
        value = section.raw(name)
        if value is MISSING or value is None:
            return declared.default if value is MISSING else None
    return _READERS[declared.hint](section, declared.key, name, declared.default)


def _read_text(section: Section, _: Key, name: str, default: Any) -> str:
    return section.text(name, default or "", null="")


def _read_integer(section: Section, declaration: Key, name: str, default: Any) -> int:
    return section.integer(name, default or 0, minimum=declaration.minimum, maximum=declaration.maximum)


def _read_number(section: Section, declaration: Key, name: str, default: Any) -> float:
    return section.number(name, default, minimum=declaration.minimum, maximum=declaration.maximum)


def _read_boolean(section: Section, _: Key, name: str, default: Any) -> bool:
    return section.boolean(name, bool(default))


def _read_texts(section: Section, _: Key, name: str, default: Any) -> tuple[str, ...]:
    return section.texts(name, default, null=())


def _read_text_mapping(section: Section, _: Key, name: str, default: Any) -> Mapping[str, str]:
    return section.text_mapping(name) if name in section else default


def _read_mapping(section: Section, _: Key, name: str, default: Any) -> Mapping[str, Any]:
    return section.mapping(name) if name in section else default


def _read_section(section: Section, declaration: Key, name: str, default: Any) -> Section | None:
    inner = section.section(name)
    if inner is not None and declaration.inner is not None:
        _refuse_unknown(inner, declaration.inner)
    return inner


def _refuse_unknown(section: Section, known: Mapping[str, Any]) -> None:
    for name, below in known.items():
        if isinstance(below, Mapping) and section.values.get(name) is not None:
            deeper = section.section(name)
            if deeper is not None:
                _refuse_unknown(deeper, below)
        section.seen.add(name)
    section.refuse_unread(list(known))


def _read_resources(section: Section, _: Key, name: str, default: Any) -> Resources | None:
    """A resource bound; a member that lacks has the default of a function, as in the reference's class."""
    inner = section.section(name)
    if inner is None:
        return None
    usual = DEFAULT_RESOURCES
    resources = Resources(
        cpu=inner.number("cpu", usual.cpu, null=usual.cpu, minimum=0),
        ram=inner.integer("ram", usual.ram, null=usual.ram, minimum=0),
        disk=inner.integer("disk", usual.disk, null=usual.disk, minimum=0),
    )
    inner.refuse_unread()
    return resources


_READERS: Mapping[Any, Callable[[Section, Key, str, Any], Any]] = {
    str: _read_text,
    str | None: _read_text,
    int: _read_integer,
    int | None: _read_integer,
    float: _read_number,
    bool: _read_boolean,
    bool | None: _read_boolean,
    tuple[str, ...]: _read_texts,
    Mapping[str, str]: _read_text_mapping,
    Mapping[str, Any]: _read_mapping,
    Section | None: _read_section,
    Resources | None: _read_resources,
}


def list_settings(cls: Any, reading: Reading, section: Section) -> tuple[Setting, ...]:
    """Each key of ``cls`` with its value and its place in ``section``; mappings key by key."""
    settings: list[Setting] = []
    for declared in declared_keys(cls):
        declaration = declared.key
        name = reading.renamed.get(declaration.name, declaration.name)
        origin = section.origin(name) if name == declaration.name else f"{section.origin(name)}, as {name}"
        value = reading.values[declared.attribute]
        for path, leaf, place in _leaves(section, name, declaration.name, value, origin):
            settings.append(Setting(path, display(path, leaf), place, declaration.use, declaration.note))
    return tuple(settings)


def _leaves(section: Section, name: str, path: str, value: Any, origin: str) -> Iterator[tuple[str, Any, str]]:
    """(path, value, origin) of each value in a mapping, however deep; of any other value just that."""
    inner = value.values if isinstance(value, Section) else value
    if not isinstance(inner, Mapping) or not inner:
        yield path, inner, origin
        return
    place = section.inner(name, inner)
    for below, item in inner.items():
        yield from _leaves(place, below, f"{path}.{below}", item, place.origin(below))


def display(path: str, value: Any) -> str:
    """``value`` as one printable line, or ``***`` when it looks like a secret or may hold one."""
    if value is None or value in ("", (), {}):
        return ""
    if isinstance(value, Resources):
        value = dataclasses.asdict(value)
    shown_value = _masked(path, value)
    text = shown_value if isinstance(shown_value, str) else json.dumps(shown_value, ensure_ascii=False)
    return one_line(text, 1000)


def _masked(path: str, value: Any) -> Any:
    if looks_secret(path):
        return HIDDEN
    if isinstance(value, Mapping):
        return {name: _masked(f"{path}.{name}", item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(path, item) for item in value]
    return _masked_text(value) if isinstance(value, str) else value


def _masked_text(text: str) -> str:
    """``text`` without the secret in ``token:abc`` or ``-Dpassword=abc``."""
    if text.startswith("token:"):
        return HIDDEN
    name, equals, _ = text.partition("=")
    return f"{name}={HIDDEN}" if equals and looks_secret(name) else text
