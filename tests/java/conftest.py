"""Real classes: compiled here, and those that come with Pulsar; and Pulsar's own word on them."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.standalone.distribution import find_java
from tests.standalone.requirement import or_skip

HERE = Path(__file__).parent

Ask = Callable[[Sequence[str]], list[str]]


@pytest.fixture(scope="session")
def sample_jar(compile_java: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with the classes of ``sources/Functions.java``."""
    classes = compile_java(HERE / "sources" / "Functions.java")
    target = tmp_path_factory.mktemp("jar") / "functions.jar"
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(classes.rglob("*.class")):
            archive.write(file, file.relative_to(classes))
    return target


@pytest.fixture(scope="session")
def ask_pulsar(
    pulsar_home: Path, compile_java: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Ask:
    """``ask_pulsar(questions)`` is what Pulsar's own code answers; ``Oracle.java`` says how they look."""
    classes = compile_java(HERE / "Oracle.java")
    java = or_skip(lambda: find_java(os.environ))

    def ask(questions: Sequence[str]) -> list[str]:
        options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{pulsar_home}/lib/*"]
        done = subprocess.run(
            [java, *options, "Oracle", str(tmp_path_factory.mktemp("nar"))],
            input="".join(f"{question}\n" for question in questions),
            capture_output=True,
            text=True,
            timeout=120,
        )
        answers = done.stdout.splitlines()
        assert len(answers) == len(questions), done.stderr
        return answers

    return ask
