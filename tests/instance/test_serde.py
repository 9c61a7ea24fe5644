"""Bytes to values and back, as the client library's own classes do it."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest
from pulsar.functions.serde import IdentitySerDe, PickleSerDe
from pulsar.schema import BytesSchema, Integer, JsonSchema, Record, StringSchema

from pulsar_runtimes.instance.client import MessageBuilder
from pulsar_runtimes.instance.serde import build_decoder, build_encoder, build_schema, identity_bytes, identity_value
from pulsar_runtimes.model.errors import LaunchError
from tests.instance.workbench import GivenCode

NO_CODE = GivenCode()


def outcome(call: Callable[[Any], Any], value: Any) -> tuple[type, str]:
    """The kind and the text of what ``call`` gives or raises; so not-a-number equals itself."""
    try:
        result = call(value)
    except Exception as error:
        return type(error), str(error)
    return type(result), repr(result)


def message(data: bytes) -> Any:
    return MessageBuilder().content(data).build()


# IdentitySerDe


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\n", "0", "-0", "+5", "007", "1_000", "1__0", " 12 ", "12\n", "0x10", "1e5", "1E-5", ".5", "5."),
        *("nan", "NaN", "-nan", "inf", "Infinity", "-INFINITY", "infinit", "i", "in", "n", "j", "J", "1j", "-2.5J"),
        *("(1+2j)", "(1)", "1+2j", "1 + 2j", "true", "None", "a", "hello", "{}", '{"a": 1}', "[1]", "1,5", "1/2"),
        *("\u0661\u0662", "\uff11", "\u0663.\u0664", "\u2212", "\u221e", "\u00bd", "\u0bef", "k\u00e4se", "\U0001f600"),
        *("\x00", "1\x00", "\ufeff1", "\u30001", "1\u2003", "_1", "e5", "E", "9" * 400, "9" * 5000),
    ],
)  # fmt: skip
def test_a_text_becomes_what_identity_serde_makes_of_it(text: str) -> None:
    data = text.encode()
    assert outcome(identity_value, data) == outcome(IdentitySerDe().deserialize, data)


@pytest.mark.parametrize("data", [b"\xff", b"\x80abc", b"1\xff", b"\xed\xa0\x80", bytes(range(256)), b"\xc0\x80"])
def test_bytes_that_are_no_text_stay_bytes(data: bytes) -> None:
    assert identity_value(data) == IdentitySerDe().deserialize(data) == data


def test_any_text_becomes_what_identity_serde_makes_of_it() -> None:
    chance, reference = random.Random(7), IdentitySerDe()
    characters = [chr(code) for code in range(128)]
    texts = [*characters, *(c + tail for c in characters for tail in ("1", "nf", "an", "1j", "nfinity", " "))]
    texts += [
        "".join(chance.choices("0123456789+-._eEjJnNaAiIfFtTyY ()xk\t", k=chance.randint(1, 7))) for _ in range(3000)
    ]
    texts += ["".join(chr(chance.randint(128, 0x3000)) for _ in range(2)) for _ in range(1000)]  # fmt: skip
    different = [t for t in texts if outcome(identity_value, t.encode()) != outcome(reference.deserialize, t.encode())]
    assert different == []


class Text(str):
    pass


@pytest.mark.parametrize(
    "value",
    [
        *(0, -5, 1.5, float("nan"), 1e300, 2j, "", "text", "k\u00e4se", "\ud800", b"", b"\xff", True, None, [1], {}),
        *(Text("t"), bytearray(b"b"), memoryview(b"m"), object, 10**400),
    ],
)  # fmt: skip
def test_a_value_becomes_the_bytes_identity_serde_makes_of_it(value: Any) -> None:
    assert outcome(identity_bytes, value) == outcome(IdentitySerDe().serialize, value)


# By name


@pytest.mark.parametrize("name", ["", "serde.IdentitySerDe", "org.apache.pulsar.functions.api.utils.DefaultSerDe"])
def test_the_default_serde_is_identity(name: str) -> None:
    assert build_decoder(name, None, NO_CODE)(message(b"12")) == 12
    assert build_encoder(name, None, NO_CODE)(1.5) == b"1.5"


@pytest.mark.parametrize("name", ["serde.PickleSerDe", "pulsar.functions.serde.PickleSerDe"])
def test_pickle_serde_is_the_client_library_s(name: str) -> None:
    value = {"a": [1, None, 2.5]}
    data = build_encoder(name, None, NO_CODE)(value)
    assert data == PickleSerDe().serialize(value) == pickle.dumps(value)
    assert build_decoder(name, None, NO_CODE)(message(data)) == value


class JsonSerDe:
    """As users write one."""

    def serialize(self, value: object) -> bytes:
        return json.dumps(value).encode()

    def deserialize(self, data: bytes) -> object:
        return json.loads(data)


def test_a_serde_of_the_user_s_own_is_used_both_ways() -> None:
    code = GivenCode(**{"mine.JsonSerDe": JsonSerDe})
    assert build_encoder("mine.JsonSerDe", None, code)({"a": 1}) == b'{"a": 1}'
    assert build_decoder("mine.JsonSerDe", None, code)(message(b'{"a": 1}')) == {"a": 1}


class Demanding:
    def __init__(self, directory: str) -> None: ...


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("serde.NoSuchSerDe", r"^'serde.NoSuchSerDe': module 'pulsar.functions.serde' .* has no 'NoSuchSerDe'"),
        ("no_such_module.SerDe", r"^'no_such_module.SerDe': there is no module 'no_such_module' in"),
        ("Demanding", r"^the SerDe 'Demanding' cannot be made: TypeError: .*missing 1 required positional argument"),
        ("Half", r"^the SerDe 'Half' has no method serialize$"),
    ],
)
def test_a_serde_that_cannot_be_had_is_a_clear_error(name: str, message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        build_encoder(name, None, GivenCode(Demanding=Demanding, Half=object))


# Schemas


class Point(Record):  # type: ignore[misc]
    x = Integer()
    y = Integer()


class Rows:
    """A schema of the user's own, which shows what it was made with."""

    def __init__(self, record: Any, properties: Any) -> None:
        self.made_with = (record, properties)


class OneArgument:
    def __init__(self, given: Any) -> None:
        self.made_with = given


CODE = GivenCode(Point=Point, Rows=Rows, OneArgument=OneArgument, Raw=BytesSchema)


@pytest.mark.parametrize("kind", ["", "bytes", "NONE"])
def test_plain_bytes_need_no_schema(kind: str) -> None:
    assert build_schema(kind, {}, "", NO_CODE) is None


@pytest.mark.parametrize("kind", ["string", "STRING", "String"])
def test_a_string_schema_never_makes_a_number_of_a_text(kind: str) -> None:
    made = build_schema(kind, {}, "", NO_CODE)
    assert isinstance(made, StringSchema)
    assert build_decoder("serde.PickleSerDe", made, NO_CODE)(message(b"12")) == "12"
    assert build_encoder("", made, NO_CODE)("k\u00e4se") == "k\u00e4se".encode()


@pytest.mark.parametrize("kind", ["json", "JSON"])
def test_a_json_schema_takes_the_record_class_of_the_user(kind: str) -> None:
    made = build_schema(kind, {}, "Point", CODE)
    assert isinstance(made, JsonSchema)
    data = build_encoder("", made, CODE)(Point(x=1, y=2))
    assert json.loads(data) == {"x": 1, "y": 2}
    assert build_decoder("", made, CODE)(message(data)) == Point(x=1, y=2)


def test_a_schema_class_of_the_user_is_made_with_as_much_as_it_takes() -> None:
    assert isinstance(build_schema("Raw", {}, "", CODE), BytesSchema)
    assert build_schema("OneArgument", {"a": "b"}, "Point", CODE).made_with is Point
    assert build_schema("OneArgument", {"a": "b"}, "", CODE).made_with == {"a": "b"}
    assert build_schema("Rows", {"a": "b"}, "Point", CODE).made_with == (Point, {"a": "b"})


@pytest.mark.parametrize(
    ("kind", "type_class", "message"),
    [
        ("json", "", r"^the schema 'json' needs a record class in typeClassName$"),
        ("AVRO", "", r"^the schema 'AVRO' needs a record class in typeClassName$"),
        ("json", "OneArgument", r"^the schema 'json' cannot be made: "),
        ("json", "gone.Point", r"^'gone.Point': there is no module 'gone'"),
        ("gone.Schema", "", r"^'gone.Schema': there is no module 'gone'"),
    ],
)
def test_a_schema_that_cannot_be_made_is_a_clear_error(kind: str, type_class: str, message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        build_schema(kind, {}, type_class, CODE)


def test_avro_without_its_library_says_what_to_install() -> None:
    try:
        import fastavro  # type: ignore[import-not-found] # noqa: F401
    except ImportError:
        with pytest.raises(LaunchError, match=r"^the schema 'avro' cannot be made: .*pulsar-client\[avro\]"):
            build_schema("avro", {}, "Point", CODE)
    else:
        assert build_schema("avro", {}, "Point", CODE).encode(Point(x=1, y=2))
