"""The types of functions, connectors and SerDes, beside what Apache Pulsar's own code says of the same classes."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulsar_runtimes.java.jar import Jar
from pulsar_runtimes.java.known_classes import find_known_class, known_class_names
from pulsar_runtimes.java.signature import erased
from pulsar_runtimes.java.type_arguments import JavaTypeError, check_serde, function_types, sink_type, source_type
from tests.java.conftest import Ask

pytestmark = [pytest.mark.slow, pytest.mark.standalone]

PREFIX = "sample.Functions$"

# Pulsar's answer is wrong, or an internal error. These are right.
OURS = {
    "function AnyRecord": "java.lang.String java.lang.Object",
    "function BoundRecord": "java.lang.String sample.Functions$Animal",
    "function Raw": "java.lang.Object java.lang.Object",
    "function RawBase": "java.lang.Object java.lang.Object",
    "function RawRecord": "java.lang.String java.lang.Object",
    "function RecordOfOwn": "java.lang.String java.lang.String",
    "function Same": "java.lang.String java.lang.String",
    "function ThroughOfString": "java.lang.String java.lang.Integer",
    "function ThroughTurned": "java.lang.Integer java.lang.String",
    "window OwnListWindow": "java.lang.String java.lang.String",
    "window Same": "error IllegalArgumentException: Window function must take a collection as input",
    "sink WritesRaw": "java.lang.Object",
}


@pytest.fixture
def jar(sample_jar: Path) -> Iterator[Jar]:
    with Jar(sample_jar) as opened:
        yield opened


def answer(jar: Jar, kind: str, name: str) -> str:
    """As ``Oracle.java`` writes it."""
    try:
        match kind:
            case "source":
                return erased(source_type(jar, name))
            case "sink":
                return erased(sink_type(jar, name))
        types = function_types(jar, name, windowed=kind == "window")
        return f"{types.input_class} {types.output_class}"
    except JavaTypeError as error:
        # What stands behind the semicolon is not in Pulsar's text.
        return f"error IllegalArgumentException: {str(error).partition(';')[0]}"


def serde_answer(jar: Jar, kind: str, function: str, serde: str) -> str:
    types = function_types(jar, function)
    is_input = kind == "input-serde"
    try:
        check_serde(jar, serde, types.input if is_input else types.output, is_input=is_input)
    except JavaTypeError as error:
        return f"error IllegalArgumentException: {error}"
    return "ok"


def test_types_are_those_that_pulsar_tells(sample_jar: Path, jar: Jar, ask_pulsar: Ask) -> None:
    names = [name for name in class_names(sample_jar) if name != "sample.Functions"]
    asked = [*itertools.product(("function", "window", "source", "sink"), [*names, "sample.Missing"])]
    # Missing from a source's or sink's package, Pulsar's own function fails before the one that words the error.
    asked = [(kind, name) for kind, name in asked if name != "sample.Missing" or kind in ("function", "window")]
    told = ask_pulsar([f"{sample_jar} {kind} {name}" for kind, name in asked])
    ours = {f"{kind} {name.removeprefix(PREFIX)}": answer(jar, kind, name) for kind, name in asked}
    wanted = {question: as_wanted(question, said) for question, said in zip(ours, told, strict=True)}
    assert ours == wanted


def as_wanted(question: str, said: str) -> str:
    if said.startswith("error NullPointerException"):
        # A function where a window function should be, or the other way around, is not noticed there.
        kind, _, name = question.partition(" ")
        assert kind in ("function", "window")
        return f"error IllegalArgumentException: Function class {PREFIX}{name} does not implement the correct interface"
    if question in OURS:
        assert said != OURS[question], f"Pulsar is right about {question} now"
        return OURS[question]
    return said


def test_a_serde_must_fit_as_pulsar_says(sample_jar: Path, jar: Jar, ask_pulsar: Ask) -> None:
    functions = ["CatToCat", "AnimalToAnimal", "BytesToBytes", "StringToString", "ListToList", "IntsToInts", "Objects"]
    serdes = ["AnimalSerDe", "CatSerDe", "ObjectSerDe", "BytesSerDe", "ObjectsSerDe", "ListSerDe", "Plain", "Missing"]
    asked = [
        (kind, PREFIX + function, PREFIX + serde)
        for kind, function, serde in itertools.product(("input-serde", "output-serde"), functions, serdes)
    ]
    told = ask_pulsar([" ".join((str(sample_jar), *question)) for question in asked])
    assert {question: serde_answer(jar, *question) for question in asked} == dict(zip(asked, told, strict=True))


def test_a_serde_may_inherit_its_interface(jar: Jar) -> None:
    function, serde = f"{PREFIX}CatToCat", f"{PREFIX}InheritedSerDe"
    assert serde_answer(jar, "input-serde", function, serde) == "ok"


def test_the_examples_of_the_distribution(pulsar_home: Path, ask_pulsar: Ask) -> None:
    examples = pulsar_home / "examples" / "api-examples.jar"
    names = class_names(examples)
    asked = [*itertools.product(("function", "window"), names)]
    told = ask_pulsar([f"{examples} {kind} {name}" for kind, name in asked])
    with Jar(examples) as jar:
        ours = {f"{kind} {name}": answer(jar, kind, name) for kind, name in asked}
    answered = {
        question: said for question, said in zip(ours, told, strict=True) if not said.startswith("error NullPointer")
    }
    assert {question: ours[question] for question in answered} == answered
    assert ours["function org.apache.pulsar.functions.api.examples.VoidFunction"] == "java.lang.String java.lang.Void"
    assert ours["window org.apache.pulsar.functions.api.examples.AddWindowFunction"] == (
        "java.lang.Integer java.lang.Integer"
    )
    assert sum("error" not in said for said in answered.values()) > 35


def test_what_is_known_of_classes_is_true(ask_pulsar: Ask) -> None:
    """Each supertype is one, and each class has as many type parameters."""
    wanted = {}
    for name in known_class_names():
        known = find_known_class(name)
        assert known is not None
        for supertype in (known.superclass, *known.interfaces):
            wanted[f"- supertype {name} {supertype.name}"] = f"true {len(known.parameters)}"
    assert dict(zip(wanted, ask_pulsar([*wanted]), strict=True)) == wanted


def class_names(jar: Path) -> list[str]:
    """Of all classes in a package, without those that have no name in the source."""
    with zipfile.ZipFile(jar) as archive:
        entries = [entry.removesuffix(".class") for entry in archive.namelist() if entry.endswith(".class")]
    return sorted(entry.replace("/", ".") for entry in entries if not entry.endswith("package-info"))
