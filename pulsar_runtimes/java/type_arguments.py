"""The types that a Java function, connector or SerDe works with, which Pulsar reads from its code.

Source: ``FunctionCommon``, ``FunctionConfigUtils#doJavaChecks`` and ``ValidatorUtils`` of Apache Pulsar 4.0.8. Names
of types are as ``typeClassName`` has them: without type arguments, ``[B`` for ``byte[]``.

Where Pulsar gives an answer, this gives the same, with two exceptions. Pulsar takes the arguments of the first
interface that leads to ``Function``, as if they were those of ``Function``. For ``interface Turned<A, B> extends
Function<B, A>`` that turns input and output around, and with fewer or no arguments it ends in an internal error. Here
they are followed to ``Function`` itself, and what has no answer then is ``java.lang.Object``. And a SerDe may inherit
its interface from a superclass, where Pulsar sees only what the class itself names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pulsar_runtimes.java.class_file import ClassFile, ClassFileError
from pulsar_runtimes.java.jar import Jar, JarError
from pulsar_runtimes.java.known_classes import find_known_class
from pulsar_runtimes.java.signature import (
    OBJECT,
    OBJECT_TYPE,
    PRIMITIVES,
    ArrayType,
    ClassSignature,
    ClassType,
    JavaType,
    Variable,
    Wildcard,
    erased,
    parse_class_signature,
    readable,
    substitute,
)

DEFAULT_SERDE = "org.apache.pulsar.functions.api.utils.DefaultSerDe"

MAX_SUPERTYPES = 1000
"""How many classes are looked at on the way from one to its supertypes."""

_FUNCTION = "org.apache.pulsar.functions.api.Function"
_NATIVE_FUNCTION = "java.util.function.Function"
_WINDOW_FUNCTION = "org.apache.pulsar.functions.api.WindowFunction"
_SERDE = "org.apache.pulsar.functions.api.SerDe"
_SOURCE = "org.apache.pulsar.io.core.Source"
_BATCH_SOURCE = "org.apache.pulsar.io.core.BatchSource"
_SINK = "org.apache.pulsar.io.core.Sink"
_COLLECTION = "java.util.Collection"
_RECORD = "org.apache.pulsar.functions.api.Record"
_FUTURE = "java.util.concurrent.CompletableFuture"


class JavaTypeError(Exception):
    """The code is not what the config says it is. The text is Pulsar's, with more behind it where that helps."""


@dataclass(frozen=True, slots=True)
class FunctionTypes:
    """What a function takes and gives; ``java.lang.Void`` when it gives nothing."""

    input: JavaType
    output: JavaType

    @property
    def input_class(self) -> str:
        """The ``typeClassName`` of the source."""
        return erased(self.input)

    @property
    def output_class(self) -> str:
        """The ``typeClassName`` of the sink."""
        return erased(self.output)


def function_types(jar: Jar, class_name: str, *, windowed: bool = False) -> FunctionTypes:
    """What the function ``class_name`` takes and gives; ``windowed`` when its config has a ``windowConfig``.

    A window function takes elements of its window, and what it gives in a ``Record`` or ``CompletableFuture`` counts
    without. ``JavaTypeError`` when the package has no such class, or it is no function; ``JarError`` when the package
    is damaged.
    """
    hierarchy = _Hierarchy(jar)
    if not hierarchy.knows(class_name):
        raise JavaTypeError(f"Function class {class_name} must be in class path")
    for interface in (_WINDOW_FUNCTION if windowed else _FUNCTION, _NATIVE_FUNCTION):
        arguments = hierarchy.arguments(hierarchy.declared(class_name), interface)
        if arguments is not None:
            break
    else:
        raise hierarchy.no_interface("Function", class_name)
    taken, given = arguments
    if windowed and interface == _NATIVE_FUNCTION:
        elements = hierarchy.arguments(taken, _COLLECTION)
        if elements is None:
            raise JavaTypeError("Window function must take a collection as input")
        (taken,) = elements
    # In this order, and each once: a record in a future stays a record.
    for wrapper in (_RECORD, _FUTURE):
        wrapped = hierarchy.arguments(given, wrapper)
        if wrapped is not None:
            (given,) = wrapped
    return FunctionTypes(taken, given)


def source_type(jar: Jar, class_name: str) -> JavaType:
    """What the source or batch source ``class_name`` gives. Errors as with :func:`function_types`."""
    return _connector_type(jar, "Source", class_name, (_SOURCE, _BATCH_SOURCE))


def sink_type(jar: Jar, class_name: str) -> JavaType:
    """What the sink ``class_name`` takes. Errors as with :func:`function_types`."""
    return _connector_type(jar, "Sink", class_name, (_SINK,))


def is_batch_source(jar: Jar, class_name: str) -> bool:
    """Whether ``class_name`` is a batch source. False for a class that is not there."""
    hierarchy = _Hierarchy(jar)
    if not hierarchy.knows(class_name):
        return False
    return hierarchy.arguments(hierarchy.declared(class_name), _BATCH_SOURCE) is not None


def transform_input(jar: Jar, class_name: str) -> JavaType:
    """What the function takes that a sink applies to its input. It must give a ``Record``; else ``JavaTypeError``."""
    hierarchy = _Hierarchy(jar)
    if not hierarchy.knows(class_name):
        raise JavaTypeError(f"Function class {class_name} not found")
    for interface in (_FUNCTION, _NATIVE_FUNCTION):
        arguments = hierarchy.arguments(hierarchy.declared(class_name), interface)
        if arguments is not None:
            taken, given = arguments
            if hierarchy.arguments(given, _RECORD) is None:
                raise JavaTypeError("Sink transform function output must be of type Record")
            return taken
    raise hierarchy.no_interface("Function", class_name)


def check_serde(jar: Jar, serde_class: str, function_type: JavaType, *, is_input: bool) -> None:
    """``JavaTypeError`` unless the SerDe reads (``is_input``) or writes what the function takes or gives.

    The default SerDe, and none, always will do. What cannot be told, because a class is neither in the package nor
    known, is let through.
    """
    if serde_class in ("", DEFAULT_SERDE):
        return
    hierarchy = _Hierarchy(jar)
    if not hierarchy.knows(serde_class):
        raise JavaTypeError(f"The input serialization/deserialization class {serde_class} does not exist")
    arguments = hierarchy.arguments(hierarchy.declared(serde_class), _SERDE)
    if arguments is None:
        raise JavaTypeError(f"{serde_class} does not implement {_SERDE}")
    (serde_type,) = arguments
    narrow, wide = (serde_type, function_type) if is_input else (function_type, serde_type)
    if hierarchy.is_assignable(narrow, wide) is False:
        raise JavaTypeError(f"Serializer type mismatch {readable(function_type)} vs {readable(serde_type)}")


def _connector_type(jar: Jar, kind: str, class_name: str, interfaces: tuple[str, ...]) -> JavaType:
    hierarchy = _Hierarchy(jar)
    if not hierarchy.knows(class_name):
        raise JavaTypeError(f"{kind} class {class_name} must be in class path")
    for interface in interfaces:
        arguments = hierarchy.arguments(hierarchy.declared(class_name), interface)
        if arguments is not None:
            return arguments[0]
    raise hierarchy.no_interface(kind, class_name)


class _Hierarchy:
    """The classes of a package and the known ones, with what they extend."""

    def __init__(self, jar: Jar) -> None:
        self._jar = jar
        self._signatures: dict[str, ClassSignature | None] = {}
        self.missing: list[str] = []
        """Supertypes that were met and are not to be found."""

    def knows(self, name: str) -> bool:
        return self._signature(name) is not None

    def declared(self, name: str) -> ClassType:
        """The class as it declares itself, with the bounds of its type parameters for arguments."""
        signature = self._signature(name)
        return ClassType(name, () if signature is None else tuple(_bounds(signature.parameters).values()))

    def arguments(self, java_type: JavaType, wanted: str) -> tuple[JavaType, ...] | None:
        """The type arguments that ``wanted`` has as a supertype of ``java_type``; ``None`` when it is none.

        Object for each when the way there is without arguments.
        """
        supertype = self._supertype(_upper_bound(java_type), wanted)
        if supertype is None:
            return None
        signature = self._signature(wanted)
        assert signature is not None, f"{wanted} is in the table"
        return tuple(
            argument.bound if isinstance(argument, Wildcard) else argument
            for argument in _bind(signature, supertype).values()
        )

    def is_assignable(self, narrow: JavaType, wide: JavaType) -> bool | None:
        """Whether the erasure of one may stand for the other's; ``None`` when that cannot be told."""
        narrow, wide = _upper_bound(narrow), _upper_bound(wide)
        while isinstance(narrow, ArrayType) and isinstance(wide, ArrayType):
            narrow, wide = narrow.element, wide.element
        if not PRIMITIVES.isdisjoint((erased(narrow), erased(wide))):
            return erased(narrow) == erased(wide)
        if erased(wide) in (OBJECT, erased(narrow)):
            return True
        if not (isinstance(narrow, ClassType) and isinstance(wide, ClassType)):
            return False
        self.missing.clear()
        if self._supertype(narrow, wide.name) is not None:
            return True
        return None if self.missing or not self.knows(wide.name) else False

    def no_interface(self, kind: str, class_name: str) -> JavaTypeError:
        """That a class is not what it is configured to be; with a hint, if that may be for want of its supertypes."""
        text = f"{kind} class {class_name} does not implement the correct interface"
        if self.missing:
            text += f"; not in the package: its supertype {self.missing[0]}"
        return JavaTypeError(text)

    def _supertype(self, start: JavaType, wanted: str) -> ClassType | None:
        """``wanted`` with its arguments, found from ``start``; interfaces before superclasses, as Pulsar looks."""
        if not isinstance(start, ClassType):
            return None
        waiting = [start]
        seen = set()
        while waiting:
            current = waiting.pop()
            if current.name == wanted:
                return current
            if current.name in seen:
                continue
            seen.add(current.name)
            if len(seen) > MAX_SUPERTYPES:
                raise JavaTypeError(f"class {start.name} has more than {MAX_SUPERTYPES} supertypes")
            signature = self._signature(current.name)
            if signature is None:
                self.missing.append(current.name)
                continue
            values = _bind(signature, current)
            for supertype in (signature.superclass, *reversed(signature.interfaces)):
                # A class that is used without arguments has supertypes without arguments.
                raw = bool(signature.parameters) and not current.arguments
                waiting.append(ClassType(supertype.name) if raw else _substituted(supertype, values))
        return None

    def _signature(self, name: str) -> ClassSignature | None:
        """What a class says of itself, the package's word before the table's."""
        if name not in self._signatures:
            found = self._jar.find_class(name)
            try:
                self._signatures[name] = find_known_class(name) if found is None else _class_signature(found)
            except ClassFileError as error:
                raise JarError(f"class {name}: {error}") from error
        return self._signatures[name]


def _class_signature(found: ClassFile) -> ClassSignature:
    if found.signature is not None:
        return parse_class_signature(found.signature)
    interfaces = tuple(ClassType(interface) for interface in found.interfaces)
    return ClassSignature({}, ClassType(found.super_name or OBJECT), interfaces)


def _bind(signature: ClassSignature, used: ClassType) -> dict[str, JavaType]:
    """The value of each type parameter of a class where it is used; its bound when it is used without arguments."""
    if len(used.arguments) == len(signature.parameters):
        return dict(zip(signature.parameters, used.arguments, strict=True))
    return _bounds(signature.parameters)


def _bounds(parameters: Mapping[str, JavaType]) -> dict[str, JavaType]:
    """Each parameter's bound, through bounds that are parameters themselves."""
    found: dict[str, JavaType] = {}
    for name, bound in parameters.items():
        passed = {name}
        while isinstance(bound, Variable) and bound.name not in passed:
            passed.add(bound.name)
            bound = parameters.get(bound.name, OBJECT_TYPE)
        # Without its arguments, which may lead back here: T extends Comparable<T>.
        found[name] = ClassType(bound.name) if isinstance(bound, ClassType) else OBJECT_TYPE
    return found


def _substituted(supertype: ClassType, values: Mapping[str, JavaType]) -> ClassType:
    return ClassType(supertype.name, tuple(substitute(argument, values) for argument in supertype.arguments))


def _upper_bound(java_type: JavaType) -> JavaType:
    while isinstance(java_type, Wildcard):
        java_type = java_type.bound
    return java_type
