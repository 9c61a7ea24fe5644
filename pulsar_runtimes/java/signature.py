"""Generic types as class files write them: ``<T:Ljava/lang/Object;>Ljava/lang/Object;Ljava/util/List<TT;>;``.

The grammar is section 4.7.9.1 of the Java Virtual Machine Specification; methods have another one, not read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pulsar_runtimes.java.class_file import ClassFileError

MAX_DEPTH = 50
"""How deep type arguments and array dimensions may be nested. Ours is a limit on hostile input, not Java's."""

MAX_READABLE = 500

OBJECT = "java.lang.Object"

_PRIMITIVES = {
    "B": "byte",
    "C": "char",
    "D": "double",
    "F": "float",
    "I": "int",
    "J": "long",
    "S": "short",
    "Z": "boolean",
}
PRIMITIVES = frozenset(_PRIMITIVES.values())


@dataclass(frozen=True, slots=True)
class ClassType:
    """A class with its type arguments: none when it has none, or is used without. Primitive types are here too."""

    name: str
    arguments: tuple[JavaType, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayType:
    element: JavaType


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``?``, ``? extends bound`` or ``? super bound``; the lower kind is bounded by Object from above."""

    bound: JavaType


JavaType = ClassType | ArrayType | Variable | Wildcard

OBJECT_TYPE = ClassType(OBJECT)


@dataclass(frozen=True, slots=True)
class ClassSignature:
    """What a class says of itself: its type parameters with their first bound, and its supertypes."""

    parameters: Mapping[str, JavaType]
    superclass: ClassType
    interfaces: tuple[ClassType, ...]


def parse_class_signature(text: str) -> ClassSignature:
    """``ClassFileError`` when ``text`` is not the signature of a class."""
    parser = _Parser(text)
    parameters = parser.parameters()
    superclass, *interfaces = parser.supertypes()
    return ClassSignature(parameters, superclass, tuple(interfaces))


def parse_type_signature(text: str) -> JavaType:
    """The type of a field, from its signature or descriptor. ``ClassFileError`` when it is none."""
    if primitive := _PRIMITIVES.get(text):
        return ClassType(primitive)
    return _Parser(text).reference()


def substitute(pattern: JavaType, values: Mapping[str, JavaType]) -> JavaType:
    """``pattern`` with each of its variables replaced; one that has no value becomes Object."""
    match pattern:
        case Variable(name):
            return values.get(name, OBJECT_TYPE)
        case ClassType(name, arguments):
            return ClassType(name, tuple(substitute(argument, values) for argument in arguments))
        case ArrayType(element):
            return ArrayType(substitute(element, values))
        case Wildcard(bound):
            return Wildcard(substitute(bound, values))


def erased(java_type: JavaType) -> str:
    """The name of the class at run time, as ``Class.getName`` writes it: ``java.util.List``, ``[B``, ``[Lx.Y;``."""
    dimensions = 0
    while isinstance(java_type, ArrayType | Wildcard):
        dimensions += isinstance(java_type, ArrayType)
        java_type = java_type.element if isinstance(java_type, ArrayType) else java_type.bound
    name = java_type.name if isinstance(java_type, ClassType) else OBJECT
    if not dimensions:
        return name
    code = next((code for code, primitive in _PRIMITIVES.items() if primitive == name), f"L{name};")
    return "[" * dimensions + code


def readable(java_type: JavaType) -> str:
    """As a person writes it: ``java.util.List<byte[]>``. A very long one is cut off."""
    text = ""
    for word in _words(java_type, 0):
        text += word
        if len(text) > MAX_READABLE:
            return f"{text[:MAX_READABLE]}..."
    return text


def _words(java_type: JavaType, depth: int) -> Iterator[str]:
    # A type may hold another one many times over, so that the whole text would never end.
    if depth > MAX_DEPTH:
        yield "..."
        return
    match java_type:
        case Variable(name):
            yield name
        case ClassType(name, arguments):
            yield name
            for number, argument in enumerate(arguments):
                yield ", " if number else "<"
                yield from _words(argument, depth + 1)
            yield ">" if arguments else ""
        case ArrayType(element):
            yield from _words(element, depth + 1)
            yield "[]"
        case Wildcard(bound):
            yield "?"
            if bound != OBJECT_TYPE:
                yield " extends "
                yield from _words(bound, depth + 1)


class _Parser:
    """Reads from left to right; each method takes what it is named after."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parameters(self) -> dict[str, JavaType]:
        found: dict[str, JavaType] = {}
        if not self._take("<"):
            return found
        while not self._take(">"):
            name = self._until(":")
            bounds = [] if self._peek() == ":" else [self.reference()]
            while self._take(":"):
                bounds.append(self.reference())
            found[name] = bounds[0]
        return found

    def supertypes(self) -> list[ClassType]:
        found = [self.class_type()]
        while self._at < len(self._text):
            found.append(self.class_type())
        return found

    def reference(self) -> JavaType:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"types nested deeper than {MAX_DEPTH}")
        try:
            if self._take("T"):
                return Variable(self._until(";"))
            if self._take("["):
                if primitive := _PRIMITIVES.get(self._peek()):
                    self._at += 1
                    return ArrayType(ClassType(primitive))
                return ArrayType(self.reference())
            return self.class_type()
        finally:
            self._depth -= 1

    def class_type(self) -> ClassType:
        if not self._take("L"):
            raise self._error("no class")
        name = ""
        arguments: tuple[JavaType, ...] = ()
        while True:
            start = self._at
            while self._peek() not in ("<", ".", ";", ""):
                self._at += 1
            name += self._text[start : self._at].replace("/", ".")
            if self._take("<"):
                arguments = self._arguments()
            if self._take(";"):
                return ClassType(name, arguments)
            if not self._take("."):
                raise self._error("a class without an end")
            # A class inside a generic one; the outer one's arguments are none of its own.
            name += "$"
            arguments = ()

    def _arguments(self) -> tuple[JavaType, ...]:
        found: list[JavaType] = []
        while not self._take(">"):
            if self._take("*"):
                found.append(Wildcard(OBJECT_TYPE))
            elif self._take("+"):
                found.append(Wildcard(self.reference()))
            elif self._take("-"):
                self.reference()
                found.append(Wildcard(OBJECT_TYPE))
            else:
                found.append(self.reference())
        return tuple(found)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> bool:
        taken = self._peek() == character
        self._at += taken
        return taken

    def _until(self, end: str) -> str:
        found, separator, _ = self._text[self._at : self._at + 1000].partition(end)
        if not separator or not found:
            raise self._error(f"no name before {end!r}")
        self._at += len(found) + 1
        return found

    def _error(self, what: str) -> ClassFileError:
        return ClassFileError(f"signature: {what} at position {self._at} of {self._text[:100]!r}")
