"""With ``strictReference`` pfrun launches what Apache Pulsar's own classes launched, argument by argument."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.meaning import assert_same
from tests.oracle.recorder import SOURCE, Recorder
from tests.oracle.variations import vary
from tests.standalone.distribution import find_java
from tests.standalone.requirement import or_skip

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "scripts" / "oracle_answers.py"
CASES = sorted(path.stem for path in (HERE / "cases").glob("*.json"))

VARIED = ("k8s-customizer-merge", "k8s-doc-token-auth", "k8s-python-images", "process-go", "process-java-full")
"""Of each kind of launch one."""


def read(directory: str, name: str) -> Any:
    return json.loads((HERE / directory / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answer() -> Any:
    found = importlib.util.spec_from_file_location("oracle_answers", SCRIPT)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.answer


@pytest.fixture(scope="module")
def recorder(pulsar_home: Path, compile_java: Callable[[Path], Path]) -> Recorder:
    return Recorder(or_skip(lambda: find_java(os.environ)), compile_java(SOURCE), pulsar_home)


@pytest.mark.parametrize("name", CASES)
def test_pfrun_answers_as_the_reference_did(name: str, answer: Any) -> None:
    assert_same(answer(read("cases", name)), read("expected", name))


@pytest.mark.slow
@pytest.mark.standalone
@pytest.mark.parametrize(
    "name", ["admission-lock-step", "k8s-token-update", "process-environment", "thread-limit-both"]
)
def test_the_reference_answers_as_it_did(name: str, recorder: Recorder) -> None:
    assert_same(recorder.answer(read("cases", name)), read("expected", name))


@pytest.mark.slow
@pytest.mark.standalone
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", VARIED)
def test_pfrun_answers_as_the_reference_does_where_nobody_recorded_it(
    name: str, number: int, answer: Any, recorder: Recorder
) -> None:
    case = vary(read("cases", name), number)
    ignored = {"ignored": case.get("ignored", [])}
    assert_same(answer(case), recorder.answer(case) | ignored)


def test_there_are_cases() -> None:
    assert len(CASES) >= 13
