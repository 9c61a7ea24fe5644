"""Class files: what is read, and that damaged ones give an error and nothing else."""

from __future__ import annotations

import contextlib
import random

import pytest

from pulsar_runtimes.java.class_file import ClassFile, ClassFileError, parse_class_file
from tests.java.class_bytes import class_bytes

SIGNATURE = "Ljava/lang/Object;Ljava/util/function/Function<Ljava/lang/String;[B>;"


def test_names_and_signature_are_read() -> None:
    data = class_bytes("a.B$C", super_name="a.D", interfaces=("a.E", "a.F"), signature=SIGNATURE)
    assert parse_class_file(data) == ClassFile("a.B$C", "a.D", ("a.E", "a.F"), SIGNATURE)


def test_a_class_without_supertypes_and_signature() -> None:
    assert parse_class_file(class_bytes("java.lang.Object", super_name=None)) == ClassFile(
        "java.lang.Object", None, (), None
    )


@pytest.mark.parametrize("name", ["a.Straße", "a.\ud83d\ude00", "a.\0"])
def test_names_may_have_any_character(name: str) -> None:
    assert parse_class_file(class_bytes(name)).name == name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends too early, after 0 bytes"),
        (b"PK\3\4" + bytes(20), "does not begin with CAFEBABE"),
        (b"\xca\xfe\xba\xbe\0\0\0\x3d\0\2\x63", "constant 1: is of the unknown kind 99"),
        (b"\xca\xfe\xba\xbe\0\0\0\x3d\0\1\0\x21\0\5\0\0\0\0\0\0\0\0\0\0", "constant 5: is not there, or not a class"),
        (class_bytes("a.B").replace(b"\1\0\3a/B", b"\1\0\3a/\xff"), "is not text"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    with pytest.raises(ClassFileError, match=message):
        parse_class_file(data)


def test_one_that_is_cut_off_anywhere_is_refused() -> None:
    data = class_bytes("a.B", interfaces=("a.E",), signature=SIGNATURE)
    for length in range(len(data)):
        with pytest.raises(ClassFileError):
            parse_class_file(data[:length])


def test_damage_gives_no_other_error() -> None:
    chance = random.Random(1)
    data = class_bytes("a.B", interfaces=("a.E",), signature=SIGNATURE)
    for _ in range(5000):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 255, chance.randrange(256)))
        with contextlib.suppress(ClassFileError):
            parse_class_file(bytes(damaged))
