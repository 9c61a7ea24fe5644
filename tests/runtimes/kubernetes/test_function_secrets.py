"""Secrets that are references become variables of the pods, and a wrong reference is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pulsar_runtimes.model.details import parse_details
from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.runtimes.kubernetes.function_secrets import (
    build_secret_variables,
    secret_problems,
    shown_references,
)
from pulsar_runtimes.testing import function_spec

GOOD = {"path": "database-creds", "key": "password"}


def test_each_secret_is_a_variable() -> None:
    variables = build_secret_variables(function_spec(secrets_map={"DATABASE_PASSWORD": GOOD, "B": {**GOOD, "more": 1}}))
    reference = {"secretKeyRef": {"name": "database-creds", "key": "password"}}
    assert variables == [
        {"name": "DATABASE_PASSWORD", "valueFrom": reference},
        {"name": "B", "valueFrom": reference},
    ]


@pytest.mark.parametrize(
    ("reference", "found", "strictly"),
    [
        (GOOD, 0, 0),
        ({**GOOD, "more": "x"}, 0, 0),
        ("text", 1, 1),
        (None, 1, 1),
        (["path", "key"], 1, 1),
        ({}, 2, 2),
        ({"path": "p"}, 1, 1),
        ({"key": "k", "other": "x"}, 1, 1),
        ({"path": None, "key": "k"}, 1, 0),
        ({"path": "p", "key": 5}, 1, 0),
        ({"path": "Not A Name", "key": "k"}, 1, 0),
        ({"path": "p", "key": "a/b"}, 1, 0),
    ],
)
def test_a_reference_has_a_path_and_a_key(reference: Any, found: int, strictly: int) -> None:
    function = function_spec(secrets_map={"S": reference})
    assert len(list(secret_problems(function))) == found
    assert len(list(secret_problems(function, strict=True))) == strictly


@pytest.mark.parametrize("name", ["POD_NAME", "a=b", "", "ä"])
def test_a_name_that_cannot_be_a_variable_is_refused(name: str) -> None:
    function = function_spec(secrets_map={name: GOOD})
    assert len(list(secret_problems(function))) == 1
    assert list(secret_problems(function, strict=True)) == []


def test_all_of_them_are_told() -> None:
    assert len(list(secret_problems(function_spec(secrets_map={"A": 1, "B": {}, "C": GOOD})))) == 3


def test_a_null_is_left_out_and_a_number_fails_at_the_start() -> None:
    function = function_spec(secrets_map={"S": {"path": None, "key": "k"}})
    assert build_secret_variables(function)[0]["valueFrom"] == {"secretKeyRef": {"key": "k"}}
    with pytest.raises(LaunchError, match="secret 'S'"):
        build_secret_variables(function_spec(secrets_map={"S": {"path": 1, "key": "k"}}))


def test_an_empty_list_stands_for_no_secrets() -> None:
    function = parse_details('{"secretsMap": "[]"}')
    assert list(secret_problems(function)) == []
    assert build_secret_variables(function) == []


def test_a_reference_may_be_shown_and_nothing_else() -> None:
    assert shown_references({"A": {**GOOD, "hint": "s3cret"}, "B": "s3cret"}) == {
        "A": {**GOOD, "hint": "***"},
        "B": "***",
    }
