"""That the recorded answers about connector configs are those of Apache Pulsar."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.standalone.distribution import find_java
from tests.standalone.requirement import or_skip

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.standalone
def test_pulsar_answers_as_recorded(pulsar_home: Path, compile_java: Callable[[Path], Path]) -> None:
    recorded = json.loads((HERE.parent / "config" / "connectors.json").read_text())
    classes = compile_java(HERE / "ConnectorOracle.java")
    java = or_skip(lambda: find_java(os.environ))
    done = subprocess.run(
        [java, "-Xmx256m", "-cp", f"{classes}:{pulsar_home}/lib/*", "ConnectorOracle"],
        input="".join(f"{json.dumps(case['question'])}\n" for case in recorded),
        capture_output=True,
        text=True,
        timeout=120,
    )
    # Its log goes to the same place.
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert answers == [case["answer"] for case in recorded], done.stderr
