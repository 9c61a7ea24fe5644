"""Names of functions, topics and files."""

from __future__ import annotations

import pytest

from pulsar_runtimes.model.names import FunctionKey, InstanceKey, full_topic, path_problem, topic_problem


@pytest.mark.parametrize(
    "topic",
    [
        "in",
        "In-1_2.3:4=5",
        "entrée",
        "public/default/in",
        "persistent://public/default/in",
        "non-persistent://public/default/in",
        "persistent://public/default/in-partition-3",
        "persistent://public/cluster/default/in",
        "persistent://public/default/a/b/c",
        "persistent://public/default/with blank",
        "persistent://société/données/函数",
        "persistent://public/default/" + "x" * 1000,
    ],
)
def test_a_topic_name_is_taken(topic: str) -> None:
    assert topic_problem(topic) is None


@pytest.mark.parametrize(
    "topic",
    [
        "",
        " ",
        " in",
        "in\n",
        "a b",
        "a*b",
        "a/b",
        "/a/b/c",
        "a//b/c",
        "a/b/",
        "persistent://",
        "persistent://a",
        "persistent://a/b",
        "persistent://a/b/",
        "persistent:///b/c",
        "persistent://a b/c/d",
        "kafka://a/b/c",
        "PERSISTENT://a/b/c",
        "persistent://a/b/c\nd",
    ],
)
def test_what_is_no_topic_name_is_refused_and_shown(topic: str) -> None:
    problem = topic_problem(topic)

    assert problem is not None
    assert repr(topic) in problem


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("in", "persistent://public/default/in"),
        ("a/b/c", "persistent://a/b/c"),
        ("persistent://a/b/c", "persistent://a/b/c"),
        ("non-persistent://a/b/c", "non-persistent://a/b/c"),
    ],
)
def test_a_short_topic_name_is_completed_once(short: str, full: str) -> None:
    assert full_topic(short) == full
    assert full_topic(full) == full
    assert topic_problem(full) is None


@pytest.mark.parametrize("text", ["a", "...", ".hidden", "é函", "a-b_c.d", "~", "$HOME", "x" * 255, "a:b", "-rf"])
def test_a_name_may_be_a_path_segment(text: str) -> None:
    assert path_problem(text) is None


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a/b", "../etc", "/", "\\", "a\\b", "a\0", "a\n", "a b", "\t", "a\u00a0b", "a\u2028b", "\x1b"],
)
def test_a_name_that_could_leave_its_directory_is_refused(text: str) -> None:
    assert path_problem(text) is not None


def test_a_function_key_is_read_as_it_is_written() -> None:
    key = FunctionKey("t", "n", "f")

    assert FunctionKey.parse(str(key)) == key
    assert str(InstanceKey(key, -1)) == "t/n/f:-1"


@pytest.mark.parametrize("text", ["", "f", "a/b", "a/b/c/d", "/b/c", "a//c", "a/b/"])
def test_what_is_no_function_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tenant/namespace/name"):
        FunctionKey.parse(text)
