"""The grammar of generic types."""

from __future__ import annotations

import contextlib
import random

import pytest

from pulsar_runtimes.java.class_file import ClassFileError
from pulsar_runtimes.java.signature import (
    OBJECT_TYPE,
    ArrayType,
    ClassType,
    JavaType,
    Variable,
    Wildcard,
    erased,
    parse_class_signature,
    readable,
    substitute,
)

OBJECT = "Ljava/lang/Object;"


def argument(text: str) -> JavaType:
    """The type that ``text`` means as a type argument."""
    (found,) = parse_class_signature(f"Lx/Y<{text}>;").superclass.arguments
    return found


@pytest.mark.parametrize(
    ("text", "wanted", "name", "words"),
    [
        ("Ljava/lang/String;", ClassType("java.lang.String"), "java.lang.String", "java.lang.String"),
        ("[B", ArrayType(ClassType("byte")), "[B", "byte[]"),
        ("[[J", ArrayType(ArrayType(ClassType("long"))), "[[J", "long[][]"),
        ("[La/B;", ArrayType(ClassType("a.B")), "[La.B;", "a.B[]"),
        ("TT;", Variable("T"), "java.lang.Object", "T"),
        ("*", Wildcard(OBJECT_TYPE), "java.lang.Object", "?"),
        ("+La/B;", Wildcard(ClassType("a.B")), "a.B", "? extends a.B"),
        ("-La/B;", Wildcard(OBJECT_TYPE), "java.lang.Object", "?"),
        ("La/B<[TT;La/C;>;", ClassType("a.B", (ArrayType(Variable("T")), ClassType("a.C"))), "a.B", "a.B<T[], a.C>"),
        ("La/B<La/C;>.D<La/E;>;", ClassType("a.B$D", (ClassType("a.E"),)), "a.B$D", "a.B$D<a.E>"),
        ("La/B<La/C;>.D;", ClassType("a.B$D"), "a.B$D", "a.B$D"),
        ("La/B$C;", ClassType("a.B$C"), "a.B$C", "a.B$C"),
    ],
)
def test_types(text: str, wanted: JavaType, name: str, words: str) -> None:
    found = argument(text)
    assert (found, erased(found), readable(found)) == (wanted, name, words)


def test_parameters_have_their_first_bound() -> None:
    text = f"<A:{OBJECT}B::Ljava/util/List<TA;>;:La/I;C:TA;D:La/C;:La/I;>{OBJECT}"
    assert parse_class_signature(text).parameters == {
        "A": OBJECT_TYPE,
        "B": ClassType("java.util.List", (Variable("A"),)),
        "C": Variable("A"),
        "D": ClassType("a.C"),
    }


def test_supertypes_are_in_their_order() -> None:
    found = parse_class_signature("La/B;La/I<La/C;>;La/J;")
    assert found.superclass == ClassType("a.B")
    assert found.interfaces == (ClassType("a.I", (ClassType("a.C"),)), ClassType("a.J"))


def test_a_type_that_holds_another_many_times_is_cut_off() -> None:
    found: JavaType = ClassType("a.B")
    for _ in range(10_000):
        found = ClassType("a.Pair", (found, ArrayType(found)))
    assert readable(found).startswith("a.Pair<a.Pair<")
    assert readable(found).endswith("...")
    for _ in range(10_000):
        found = ArrayType(found)
    assert erased(found).endswith("[[La.Pair;")
    assert readable(found).startswith("...[]")


def test_variables_are_replaced_everywhere() -> None:
    pattern = argument("La/B<[TT;+TU;TV;>;")
    assert readable(substitute(pattern, {"T": ClassType("byte"), "U": ClassType("a.C")})) == (
        "a.B<byte[], ? extends a.C, java.lang.Object>"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no class at position 0"),
        ("La/B", "a class without an end"),
        ("La/B<", "no class"),
        ("B", "no class"),
        ("La/B<I>;", "no class"),
        ("<T>La/B;", "no name before ':'"),
        ("<T:", "no class"),
        ("La/B<TT>;", "no class at position 9"),
        (f"La/B<{'[' * 60}B>;", "types nested deeper than 50"),
        ("La/B<" * 60_000, "types nested deeper than 50"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(ClassFileError, match=f"^signature: {message}"):
        parse_class_signature(text)


def test_damage_gives_no_other_error() -> None:
    chance = random.Random(1)
    text = f"<A:{OBJECT}B::Ljava/util/List<TA;>;>La/B<La/C<[[B*>.D<-TB;>;>;La/I;"
    for _ in range(5000):
        damaged = list(text)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.choice("<>:;.[LTB*+-/")
        with contextlib.suppress(ClassFileError):
            parse_class_signature("".join(damaged))
