"""YAML and JSON text to plain data with lines, or one clear error."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulsar_runtimes.config import document
from pulsar_runtimes.config.document import parse_document, read_document
from pulsar_runtimes.model.errors import ConfigError


def problems_of(text: str) -> list[str]:
    """Every problem of ``text``, whether it makes the document unusable or not."""
    try:
        return [str(problem) for problem in parse_document(text, "f.yml").problems]
    except ConfigError as error:
        return [str(problem) for problem in error.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", 1),
        ("a: 0x1F", 31),
        ("a: 010", 8),
        ("a: 1_000", 1000),
        ("a: -2.5", -2.5),
        ("a: 1e3", "1e3"),
        ("a: .inf", math.inf),
        ("a: true", True),
        ("a: yes", True),
        ("a: OFF", False),
        ("a: 'true'", "true"),
        ("a:", None),
        ("a: ~", None),
        ("a: ''", ""),
        ("a: 2024-01-02", "2024-01-02"),
        ("a: 12:30", "12:30"),
        ("a: 12:30.5", "12:30.5"),
        ("a: =", "="),
        ("a: !!str 1", "1"),
        ("a: !!int '1'", 1),
        ("a: ! 1", "1"),
        ("a: 0b", "0b"),
        ("a: " + "9" * 5000, "9" * 5000),
        ("a: &x [1, {b: 2}]\nb: *x", [1, {"b": 2}]),
        ('{"a": "\\ud83d\\ude00\\/"}', "\U0001f600/"),
        ('\ufeff{"a":\t[1,\n\t2]}', [1, 2]),
        ('{"a": "\\\\ud83d\\\\ude00"}', "\\ud83d\\ude00"),
        ("a: |\n  x\n  y\n", "x\ny\n"),
        ("%YAML 1.1\n---\na: b\n...\n", "b"),
    ],
)
def test_a_scalar_means_what_yaml_1_1_says(text: str, value: Any) -> None:
    assert parse_document(text).values["a"] == value


def test_every_key_and_item_knows_its_line() -> None:
    section = parse_document("a:\n  b:\n    - x\n    - c: 1\n1: z\n")
    assert section.lines == {"a": 1, "a.b": 2, "a.b[0]": 3, "a.b[1]": 4, "a.b[1].c": 4, "1": 5}
    assert list(section) == ["a", "1"]


def test_a_number_read_as_text_is_as_it_was_written() -> None:
    section = parse_document("a: 007\nb: 1.10\nc: yes\nd: [0x10]\n")
    assert (section.text("a"), section.text("b"), section.text("c"), section.texts("d")) == (
        "007",
        "1.10",
        "yes",
        ("0x10",),
    )


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("", ["f.yml: is empty; a configuration must be a mapping of keys to values"]),
        ("# nothing\n", ["f.yml: is empty; a configuration must be a mapping of keys to values"]),
        ("--- ~\n", ["f.yml: must be a mapping of keys to values (got null)"]),
        ("[1]", ["f.yml: must be a mapping of keys to values (got a list)"]),
        ("eyJhbGciOi", ["f.yml: must be a mapping of keys to values (got text)"]),
        ("a: 1\nb: 2\na: 3", ["f.yml:3: a: is given twice (lines 1 and 3)"]),
        ("x:\n  a: 1\n  a: 2", ["f.yml:3: x.a: is given twice (lines 2 and 3)"]),
        ("1: x\n'1': y", ["f.yml:2: 1: is given twice (lines 1 and 2)"]),
        ("? [a]\n: 1", ["f.yml:1: holds a key that is no text but a list or mapping"]),
        ("true: 1", ["f.yml:1: holds the key true, which is no text; write it in quotes"]),
        ("~: 1", ["f.yml:1: holds the key null, which is no text; write it in quotes"]),
        ("1.5: 1", ["f.yml:1: holds the key 1.5, which is no text; write it in quotes"]),
        (
            "a: &a {b: 1}\nc:\n  <<: *a",
            ["f.yml:3: c: holds the merge key '<<', which is not supported; repeat the keys"],
        ),
        (
            "a: !!python/object/apply:os.system [x]",
            ["f.yml:1: a: has the unknown tag '!!python/object/apply:os.system'; only plain values are read"],
        ),
        ("a: !mine x", ["f.yml:1: a: has the unknown tag '!mine'; only plain values are read"]),
        ("a: !!set {b}", ["f.yml:1: a: has the unknown tag '!!set'; only plain values are read"]),
        ("a: !!binary aGk=", ["f.yml:1: a: has the unknown tag '!!binary'; only plain values are read"]),
        ("a: !!int x", ["f.yml:1: a: is not what its tag !!int says (got 'x')"]),
        ("a: !!bool x", ["f.yml:1: a: is not what its tag !!bool says (got 'x')"]),
        ("a: !!float", ["f.yml:1: a: is not what its tag !!float says (got '')"]),
        ("password: !!int x", ["f.yml:1: password: is not what its tag !!int says (got ***)"]),
        ("a: *b", ["f.yml:1: no value is named &b"]),
        ("a: &a [*a]", ["f.yml:1: the value named &a holds itself"]),
        ("a: 1\n---\nb: 2", ["f.yml:2: holds more than one document; only one is read"]),
        ("a: b: c", ["f.yml:1: is not valid YAML: mapping values are not allowed in this context"]),
        ("a: 1\nb: \x00", ["f.yml:2: holds the control character U+0000; is it a text file?"]),
        ("a: \ud800", ["f.yml:1: holds the control character U+D800; is it a text file?"]),
        ("a: " + "[" * 5000, ["f.yml:1: is nested more than 100 levels deep"]),
        ("a: " + "{b: " * 5000, ["f.yml:1: is nested more than 100 levels deep"]),
    ],
)
def test_what_is_no_plain_mapping_is_told_with_its_line(text: str, messages: list[str]) -> None:
    assert problems_of(text) == messages


def test_an_open_quote_is_told_with_a_line() -> None:
    (message,) = problems_of("a: 1\nb: 'x\n")
    assert message.startswith("f.yml:")
    assert "is not valid YAML" in message


def test_aliases_of_aliases_are_refused_before_they_explode() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 40))
    assert problems_of(text) == ["f.yml:6: holds more than 200000 values"]


def test_aliases_do_not_hide_the_depth() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200))
    assert problems_of(text) == ["f.yml:100: is nested more than 100 levels deep"]


def test_too_many_values_are_refused() -> None:
    assert problems_of("a: [" + "x," * 200_001 + "]") == ["f.yml:1: holds more than 200000 values"]


def test_a_problem_below_an_alias_has_the_line_of_the_alias() -> None:
    section = parse_document("a: &a {b: x}\n\nc: *a\n", "f.yml")
    inner = section.section("c")
    assert inner is not None
    inner.problem("b", "is wrong")
    assert [str(problem) for problem in section.problems] == ["f.yml:3: c.b: is wrong"]


def test_the_pure_parser_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [1, {b: yes}]\nc: &x 'd'\ne: *x\n"
    compiled = parse_document(text)
    monkeypatch.setattr(document, "_LOADER", yaml.SafeLoader)
    pure = parse_document(text)
    assert (pure.values, pure.lines, pure.spelled) == (compiled.values, compiled.lines, compiled.spelled)
    assert problems_of("a: b: c") == ["f.yml:1: is not valid YAML: mapping values are not allowed here"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "cannot be read: is a directory"),
        (lambda path: path.write_bytes(b"a: 1\nb: \xff\n"), "is not UTF-8 text (byte 0xff)"),
        (lambda path: path.write_bytes(b"\x7fELF\x00"), "holds the control character U+007F; is it a text file?"),
        (lambda path: path.write_bytes(b"a: 1\n" * (2 << 20) + b"#"), "is larger than 10 MiB"),
    ],
)
def test_an_unreadable_file_is_told_with_the_reason(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "f.yml"
    make(path)
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.message) == (str(path), message)


def test_a_path_that_cannot_be_one_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="embedded null byte"):
        read_document(Path("a\0b"))
