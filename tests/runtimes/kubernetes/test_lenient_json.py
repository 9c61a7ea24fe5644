"""JSON is read as leniently as Apache Pulsar's worker reads it, and not more so."""

from __future__ import annotations

from typing import Any

import pytest

from pulsar_runtimes.runtimes.kubernetes.lenient_json import LenientJsonError, parse_lenient_object


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("  \n", {}),
        ("null", {}),
        ("NULL", {}),
        ("{}", {}),
        (" { } \n", {}),
        ('{"a": "b", "c": {"d": []}}', {"a": "b", "c": {"d": []}}),
        ("{'a': 'b\"c'}", {"a": 'b"c'}),
        ("{a: b, c= d; e => f}", {"a": "b", "c": "d", "e": "f"}),
        ("{a: 1, b: 1.50, c: true, d: FALSE, e: null}", {"a": "1", "b": "1.50", "c": "true", "d": "false", "e": None}),
        ('{a: "null", b: "true"}', {"a": "null", "b": "true"}),
        ("{a: [1; 2, ,3]}", {"a": ["1", "2", None, "3"]}),
        ("{a: [1,]}", {"a": ["1", None]}),
        ("// one\n{a: /* two */ 1, # three\n b: 2}", {"a": "1", "b": "2"}),
        ('{"a": "\\u00e9\\ud83d\\ude00\\n\\/\\\'"}', {"a": "é\U0001f600\n/'"}),
        ('{"a": "函"}', {"a": "函"}),
        ("\ufeff{a: 1}", {"a": "1"}),
        ("{cpu: 500m, memory: 1.5Gi}", {"cpu": "500m", "memory": "1.5Gi"}),
    ],
)
def test_what_is_taken(text: str, value: dict[str, Any]) -> None:
    assert parse_lenient_object(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "must be a JSON object"),
        ("text", "must be a JSON object"),
        ('"{}"', "must be a JSON object"),
        ("{} x", "there is more after the object"),
        ("{} // x", "there is more after the object"),
        ("{a: 1,}", "must have a name here"),
        ("{a: }", "must have a value here"),
        ("{a 1}", "must have ':' after 'a'"),
        ("{a: 1 b: 2}", "must have ',' or '}' after each member"),
        ("{a: [1 2]}", "must have ',' or ']' after each member"),
        ("{a: 1", "ends too early"),
        ("{a: 'b", "a quote is not closed"),
        ("{a: 1 /* }", "a comment is not closed"),
        ("{a: 'b\\x'}", r"has an unknown escape \x"),
        ("{a: 'b\\u12'}", r"must have four digits after \u"),
        ("{a: 1, a: 2}", "has 'a' twice"),
        ("{a: 1,\n b: ,}", "must have a value here (line 2)"),
        ("{a:" * 200, "is nested deeper than 100"),
        ("{a: /x}", "must have a value here"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(LenientJsonError) as refusal:
        parse_lenient_object(text)
    assert str(refusal.value) == why
