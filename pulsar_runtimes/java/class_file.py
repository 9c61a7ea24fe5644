"""A Java class file, as far as the types of its class are concerned. Pure: bytes in, names out.

The format is chapter 4 of the Java Virtual Machine Specification. Methods and code are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

_MAGIC = 0xCAFEBABE

_STATIC = 0x0008
_DEEPEST_ANNOTATION = 50

_UTF8 = 1
_CLASS = 7
_LONG_AND_DOUBLE = (5, 6)
_NUMBERS = {3: ">i", 4: ">f", 5: ">q", 6: ">d"}

# Tag of a constant to the bytes that follow it; 1 (text) has a length of its own.
_CONSTANT_SIZES = {
    3: 4,  # integer
    4: 4,  # float
    5: 8,  # long
    6: 8,  # double
    7: 2,  # class
    8: 2,  # string
    9: 4,  # field reference
    10: 4,  # method reference
    11: 4,  # interface method reference
    12: 4,  # name and type
    15: 3,  # method handle
    16: 2,  # method type
    17: 4,  # dynamic
    18: 4,  # invoke dynamic
    19: 2,  # module
    20: 2,  # package
}


class ClassFileError(Exception):
    """The bytes are not a class file, or a damaged one; the text says where."""


@dataclass(frozen=True, slots=True)
class ClassFile:
    """Names are as Java's ``Class.getName`` has them: ``java.util.Map$Entry``."""

    name: str
    super_name: str | None
    """``None`` for ``java.lang.Object`` and modules."""
    interfaces: tuple[str, ...]
    signature: str | None
    """The generic form of the two above; ``None`` when neither the class nor a supertype has type arguments."""


def parse_class_file(data: bytes) -> ClassFile:
    """The class that ``data`` defines. ``ClassFileError`` when it is malformed.

    Takes time in proportion to the length of ``data``, whatever that holds. Of the parts that are passed over, only
    the lengths are looked at.
    """
    try:
        return _parse(data)
    except struct.error as error:
        raise ClassFileError(f"ends too early, after {len(data)} bytes") from error


def _parse(data: bytes) -> ClassFile:
    if struct.unpack_from(">I", data)[0] != _MAGIC:
        raise ClassFileError("does not begin with CAFEBABE")
    pool, offset = _read_constants(data)
    _, this_class, super_class, count = struct.unpack_from(">4H", data, offset)
    offset += 8
    interfaces = struct.unpack_from(f">{count}H", data, offset)
    offset += 2 * count
    for _ in range(2):  # fields, then methods
        offset = _skip_members(data, offset)
    return ClassFile(
        name=pool.class_name(this_class),
        super_name=pool.class_name(super_class) if super_class else None,
        interfaces=tuple(pool.class_name(index) for index in interfaces),
        signature=_read_signature(data, offset, pool),
    )


class _Constants:
    """The constant pool: where each constant that may be asked for begins."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offsets: dict[tuple[int, int], int] = {}

    def add(self, tag: int, index: int, offset: int) -> None:
        self._offsets[tag, index] = offset

    def text(self, index: int) -> str:
        offset = self._offset(_UTF8, index)
        (length,) = struct.unpack_from(">H", self._data, offset)
        raw = self._data[offset + 2 : offset + 2 + length]
        try:
            # Java writes NUL in two bytes, and a character beyond 16 bits as its two surrogates.
            return raw.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise ClassFileError(f"constant {index}: is not text ({error.reason})") from error

    def class_name(self, index: int) -> str:
        (name,) = struct.unpack_from(">H", self._data, self._offset(_CLASS, index))
        return self.text(name).replace("/", ".")

    def number(self, index: int) -> int | float:
        for tag, form in _NUMBERS.items():
            if (tag, index) in self._offsets:
                value: int | float = struct.unpack_from(form, self._data, self._offsets[tag, index])[0]
                return value
        raise ClassFileError(f"constant {index}: is not there, or no number")

    def _offset(self, tag: int, index: int) -> int:
        try:
            return self._offsets[tag, index]
        except KeyError:
            kind = "text" if tag == _UTF8 else "a class"
            raise ClassFileError(f"constant {index}: is not there, or not {kind}") from None


def _read_constants(data: bytes) -> tuple[_Constants, int]:
    """The constants, and the offset of what follows them."""
    pool = _Constants(data)
    (count,) = struct.unpack_from(">H", data, 8)
    offset = 10
    index = 1
    while index < count:
        (tag,) = struct.unpack_from(">B", data, offset)
        offset += 1
        if tag in (_UTF8, _CLASS, *_NUMBERS):
            pool.add(tag, index, offset)
        if tag == _UTF8:
            offset += 2 + int(struct.unpack_from(">H", data, offset)[0])
        elif tag in _CONSTANT_SIZES:
            offset += _CONSTANT_SIZES[tag]
        else:
            raise ClassFileError(f"constant {index}: is of the unknown kind {tag}")
        # These two take two places in the pool.
        index += 2 if tag in _LONG_AND_DOUBLE else 1
    return pool, offset


@dataclass(frozen=True, slots=True)
class FieldFile:
    """A field of a class, not a static one. ``type_text`` is its generic type, or else its descriptor.

    ``annotations`` has what was kept for run time: class by class, the plain values by name; others are ``None``.
    """

    name: str
    type_text: str
    annotations: Mapping[str, Mapping[str, str | bool | int | float | None]]


def parse_fields(data: bytes) -> list[FieldFile]:
    """The fields of the class that ``data`` defines. ``ClassFileError`` when it is malformed."""
    try:
        pool, offset = _read_constants(data)
        (count,) = struct.unpack_from(">H", data, offset + 6)
        offset += 8 + 2 * count
        (count,) = struct.unpack_from(">H", data, offset)
        offset += 2
        fields = []
        for _ in range(count):
            field, offset = _read_field(data, offset, pool)
            if field is not None:
                fields.append(field)
        return fields
    except (struct.error, IndexError) as error:
        raise ClassFileError(f"ends too early, after {len(data)} bytes") from error


def _read_field(data: bytes, offset: int, pool: _Constants) -> tuple[FieldFile | None, int]:
    flags, name, descriptor, attributes = struct.unpack_from(">4H", data, offset)
    offset += 8
    type_text = pool.text(descriptor)
    annotations: Mapping[str, Mapping[str, str | bool | int | float | None]] = {}
    for _ in range(attributes):
        kind, length = struct.unpack_from(">HI", data, offset)
        offset += 6
        if pool.text(kind) == "Signature":
            type_text = pool.text(struct.unpack_from(">H", data, offset)[0])
        elif pool.text(kind) == "RuntimeVisibleAnnotations":
            annotations = _Annotations(data, offset, pool).read()
        offset += length
    field = None if flags & _STATIC else FieldFile(pool.text(name), type_text, annotations)
    return field, offset


class _Annotations:
    """The attribute ``RuntimeVisibleAnnotations``, read from ``offset`` on."""

    def __init__(self, data: bytes, offset: int, pool: _Constants) -> None:
        self._data = data
        self._offset = offset
        self._pool = pool

    def read(self) -> dict[str, dict[str, str | bool | int | float | None]]:
        found = {}
        for _ in range(self._number()):
            name, values = self._annotation(0)
            found[name] = values
        return found

    def _annotation(self, depth: int) -> tuple[str, dict[str, str | bool | int | float | None]]:
        name = self._pool.text(self._number())
        values: dict[str, str | bool | int | float | None] = {}
        for _ in range(self._number()):
            member = self._pool.text(self._number())
            values[member] = self._value(depth + 1)
        return name.removeprefix("L").removesuffix(";").replace("/", "."), values

    def _value(self, depth: int) -> str | bool | int | float | None:
        if depth > _DEEPEST_ANNOTATION:
            raise ClassFileError(f"annotations nested deeper than {_DEEPEST_ANNOTATION}")
        tag = chr(self._data[self._offset])
        self._offset += 1
        match tag:
            case "s":
                return self._pool.text(self._number())
            case "Z":
                return bool(self._pool.number(self._number()))
            case "e":
                self._number()
                return self._pool.text(self._number())
            case "@":
                self._annotation(depth)
            case "[":
                for _ in range(self._number()):
                    self._value(depth + 1)
            case "c":
                self._number()
            case "B" | "C" | "D" | "F" | "I" | "J" | "S":
                return self._pool.number(self._number())
            case _:
                raise ClassFileError(f"annotation: has a value of the unknown kind {tag!r}")
        return None

    def _number(self) -> int:
        (value,) = struct.unpack_from(">H", self._data, self._offset)
        self._offset += 2
        return int(value)


def _skip_members(data: bytes, offset: int) -> int:
    (count,) = struct.unpack_from(">H", data, offset)
    offset += 2
    for _ in range(count):
        (attributes,) = struct.unpack_from(">H", data, offset + 6)
        offset += 8
        for _ in range(attributes):
            offset += 6 + int(struct.unpack_from(">I", data, offset + 2)[0])
    return offset


def _read_signature(data: bytes, offset: int, pool: _Constants) -> str | None:
    (count,) = struct.unpack_from(">H", data, offset)
    offset += 2
    for _ in range(count):
        name, length = struct.unpack_from(">HI", data, offset)
        offset += 6
        if pool.text(name) == "Signature":
            return pool.text(struct.unpack_from(">H", data, offset)[0])
        offset += length
    return None
