"""The typed reader: where a value stands, what replaces it, what a message may show."""

from __future__ import annotations

import pytest

from pulsar_runtimes.config.section import Section, one_line, shown
from pulsar_runtimes.model.errors import ConfigError


def test_a_value_put_in_leaves_the_section_as_it_was() -> None:
    section = Section({"a": {"b": 1, "c": 2}}, file="f", lines={"a": 1, "a.b": 2, "a.b.x": 3, "a.c": 4})
    changed = section.with_value(("a", "b"), {"x": "y"}, "command line")
    assert section.values == {"a": {"b": 1, "c": 2}}
    assert changed.values == {"a": {"b": {"x": "y"}, "c": 2}}
    inner = changed.section("a")
    assert inner is not None
    assert (changed.origin("a"), inner.origin("b"), inner.origin("c")) == ("f:1", "command line", "f:4")
    deeper = inner.section("b")
    assert deeper is not None
    assert deeper.origin("x") == "command line"
    assert (deeper.origin("z"), section.origin("z")) == ("default", "default")


def test_what_was_made_on_the_way_comes_from_the_same_place() -> None:
    section = Section({}, file="f").with_value(("a", "b"), 1, "PF_a_b")
    section.refuse_unread()
    assert [str(problem) for problem in section.problems] == ["PF_a_b: a: is not a known key"]


@pytest.mark.parametrize(
    ("value", "number", "problems"),
    [
        (None, None, []),
        ("7", 7, []),
        (7.9, 7, []),
        (0, None, ["n: must be at least 1 (got 0)"]),
        ("x", None, ["n: must be a number (got 'x')"]),
        (10**400, None, [f"n: must be a number (got 1{'0' * 56}...)"]),
        (float("nan"), None, ["n: must be a number (got nan)"]),
    ],
)
def test_an_optional_integer_is_none_when_absent_null_or_wrong(
    value: object, number: int | None, problems: list[str]
) -> None:
    section = Section({"n": value})
    assert section.optional_integer("n", minimum=1) == number
    assert [str(problem) for problem in section.problems] == problems
    assert Section({}).optional_integer("n", minimum=1) is None


def test_a_message_is_one_printable_line() -> None:
    section = Section({"a\nb\x1b": []}, file="f\n")
    section.text("a\nb\x1b")
    section.refuse_unread()
    with pytest.raises(ConfigError) as caught:
        section.done()
    assert str(caught.value) == "f\\n: a\\nb\\x1b: must be text (got a list)"


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 10_000_000)) == 60
    assert shown(10**5000) == "a number with thousands of digits"
    assert one_line("x" * 100, 20) == "x" * 17 + "..."


def test_the_repr_shows_no_values() -> None:
    assert "hunter2" not in repr(Section({"password": "hunter2"}))
