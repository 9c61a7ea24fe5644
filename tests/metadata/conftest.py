"""Small Java programs that run with the classes of a real Apache Pulsar."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.standalone.distribution import find_java
from tests.standalone.requirement import or_skip


@pytest.fixture(scope="session")
def run_java(pulsar_home: Path, compile_java: Callable[[Path], Path]) -> Callable[[Path], Callable[..., str]]:
    """``run_java(source)("a", "b")`` is what the program of that one file prints with these arguments."""
    java = or_skip(lambda: find_java(os.environ))

    def compiled(source: Path) -> Callable[..., str]:
        classes = compile_java(source)

        def run(*arguments: str) -> str:
            options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{pulsar_home}/lib/*", source.stem]
            done = subprocess.run([java, *options, *arguments], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            return done.stdout

        return run

    return compiled


@pytest.fixture
def table_options(request: pytest.FixtureRequest) -> dict[str, bool]:
    """What a table must be told of the broker that all tests share."""
    return {"asks_end": bool(request.config.getoption("--on-pulsar"))}
