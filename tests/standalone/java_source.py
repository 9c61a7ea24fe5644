"""Java sources of the tests', compiled against all of Pulsar."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.standalone.distribution import find_java

_TIMEOUT_SECONDS = 120.0


def compile_source(source: Path, target: Path, pulsar_home: Path, environment: Mapping[str, str]) -> None:
    """Put the classes of ``source`` into the directory ``target``. ``UnavailableError`` where there is no JDK."""
    javac = find_java(environment, "javac")
    command = [javac, "-nowarn", "-proc:none", "-cp", f"{pulsar_home}/lib/*", "-d", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS)
    assert done.returncode == 0, done.stderr
