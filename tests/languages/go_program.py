"""The Go program of ``go_function/``, which stands in for a Go function."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.standalone.distribution import UnavailableError, cache_directory

GO_SOURCES = Path(__file__).parent / "go_function"
GO_SECONDS = 900.0


def build_go_function(environment: Mapping[str, str]) -> Path:
    """``UnavailableError`` when there is no Go, or no way to the modules; a compiler's complaint is a failure."""
    digest = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        digest.update((GO_SOURCES / name).read_bytes())
    target = cache_directory(environment) / f"go-function-{digest.hexdigest()[:16]}" / "function"
    if target.is_file():
        return target
    go = shutil.which("go", path=environment.get("PATH", os.defpath))
    if go is None:
        raise UnavailableError("no go on the PATH, which builds the Go function of the tests; see go.dev/doc/install")
    # This fetches what the build needs, and nothing else. Only afterwards a failure is one of the program.
    fetched = _run_go([go, "list", "-deps", "."], environment)
    if fetched.returncode != 0:
        raise UnavailableError(f"the modules of the Go function cannot be had:\n{fetched.stderr.strip()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target: a rename is atomic within one file system only. The later of two builds at once wins.
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.partial-", dir=target.parent) as partial:
        command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", f"{partial}/function", "."]
        built = _run_go(command, environment)
        assert built.returncode == 0, built.stderr
        Path(partial, "function").rename(target)
    return target


def _run_go(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    settings = {**environment, "CGO_ENABLED": "0", "GOWORK": "off"}
    try:
        return subprocess.run(command, cwd=GO_SOURCES, env=settings, capture_output=True, text=True, timeout=GO_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"go {command[1]}: not done within {GO_SECONDS:g} s") from error
