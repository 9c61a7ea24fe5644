"""The server distribution of Apache Pulsar, fetched once through Maven and kept in the user's cache.

It holds the broker, the Java instance, the Python instance and the examples. A test run needs nothing of it unless a
test is marked ``standalone``; 245 MB are downloaded then, once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

VERSION = "4.0.8"
SHA256 = "35c7d064c9e0928edbf2e708989faba0379662f98aa84ce0d4190c59efb6765e"
"""Of the archive, as first downloaded; Maven by itself compares only what the same server says of it."""

CONNECTOR_SHA256 = "c18e151a29c172f8803724fe047a28aeffd2a4a95e5f4feed058fb912509d9c6"
"""Of the nar of the data generator, a connector that is source and sink."""

JAVA_VERSION = 17
"""The oldest Java that runs this version of Pulsar."""

FETCH_SECONDS = 1800.0

_ARTIFACT = f"org.apache.pulsar:pulsar-server-distribution:{VERSION}:tar.gz:bin"
# A nar all the same.
_CONNECTOR = f"org.apache.pulsar:pulsar-io-data-generator:{VERSION}:jar"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_TOP_FOLDER = f"apache-pulsar-{VERSION}"
_HINT = "on Debian: apt-get install openjdk-17-jdk-headless maven"
_TAIL_LINES = 5


class UnavailableError(Exception):
    """This machine lacks something that Pulsar needs; the text says what, and how to get it."""


class DistributionError(Exception):
    """What was downloaded is not the distribution."""


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Where the distribution is kept: ``PFRUN_CACHE``, else ``pfrun`` in the user's cache directory."""
    if named := environment.get("PFRUN_CACHE"):
        return Path(named).absolute()
    # A relative XDG_CACHE_HOME is invalid, says the specification, and to be ignored.
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "pfrun"


def home(environment: Mapping[str, str]) -> Path:
    """The directory that the distribution has, or will have. It exists only when it is complete."""
    return cache_directory(environment) / f"pulsar-{VERSION}"


def fetch(environment: Mapping[str, str]) -> Path:
    """The directory of the distribution, downloaded when it is not there yet.

    Any number of processes may call this at once: one downloads, the others wait. One that was killed leaves
    nothing that a later call would take for the distribution. ``UnavailableError`` without Maven, or when Maven
    cannot get it; ``DistributionError`` when it is not what it should be.
    """
    target = home(environment)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(f"{target.name}.lock")):
        if not target.is_dir():
            _fetch_into(target, environment)
    return target


def fetch_connector(environment: Mapping[str, str]) -> Path:
    """The nar of the data generator, downloaded when it is not in the cache yet; else as :func:`fetch`."""
    target = cache_directory(environment) / f"pulsar-io-data-generator-{VERSION}.nar"
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(f"{target.name}.lock")):
        if not target.is_file():
            with tempfile.TemporaryDirectory(prefix=f"{target.name}.partial-", dir=target.parent) as partial:
                archive = _download(_CONNECTOR, CONNECTOR_SHA256, Path(partial), environment)
                archive.rename(target)
    return target


def find_java(environment: Mapping[str, str], program: str = "java") -> str:
    """The path of ``program`` (``java`` or ``javac``), of ``JAVA_HOME`` or else of the ``PATH``.

    ``UnavailableError`` when there is none, or one older than :data:`JAVA_VERSION`.
    """
    java_home = environment.get("JAVA_HOME")
    path = f"{java_home}/bin/{program}" if java_home else find_program(program, environment)
    if path is None or not os.access(path, os.X_OK):
        where = f"JAVA_HOME is {java_home}" if java_home else "it is not on the PATH"
        raise UnavailableError(f"no {program} ({where}); {_HINT}")
    answer = subprocess.run([path, "-version"], capture_output=True, text=True, errors="replace", timeout=60)
    # ``openjdk version "17.0.15" 2025-04-15``, ``javac 17.0.15``; 1.8 for Java 8.
    found = re.search(r"\b(\d+)[.\d]*", answer.stderr + answer.stdout)
    if found is None or int(found[1]) < JAVA_VERSION:
        said = (answer.stderr + answer.stdout).partition("\n")[0]
        raise UnavailableError(f"{path}: Java {JAVA_VERSION} or newer is needed (it says {said!r}); {_HINT}")
    return path


def _fetch_into(target: Path, environment: Mapping[str, str]) -> None:
    """Make ``target``, all at once. The lock is held."""
    prefix = f"{target.name}.partial-"
    for left_over in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_over)
    # Beside the target: a rename is atomic within one file system only.
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        archive = _download(_ARTIFACT, SHA256, partial, environment)
        _run(["tar", "--no-same-owner", "-xzf", str(archive)], partial, environment)
        archive.unlink()
        (partial / _TOP_FOLDER).rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _download(artifact: str, sha256: str, directory: Path, environment: Mapping[str, str]) -> Path:
    """The file of ``artifact``, in ``directory``, which is empty."""
    maven = find_program("mvn", environment)
    if maven is None:
        raise UnavailableError(f"no mvn on the PATH, which downloads Apache Pulsar; {_HINT}")
    arguments = ["-q", "-B", "-ntp", _COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={directory}"]
    _run([maven, *arguments], directory, environment)
    (archive,) = (path for path in directory.iterdir() if path.is_file())
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        raise DistributionError(
            f"{artifact}: sha256 is {digest}, it must be {sha256}; remove the artifact from Maven's local repository"
        )
    return archive


def find_program(name: str, environment: Mapping[str, str]) -> str | None:
    return shutil.which(name, path=environment.get("PATH", os.defpath))


def _run(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
    """Run ``command`` to its end; ``UnavailableError`` with its last lines when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=FETCH_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{command[0]}: not done within {FETCH_SECONDS:g} s") from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.strip().splitlines()[-_TAIL_LINES:])
        raise UnavailableError(f"{command[0]}: ended with exit code {done.returncode}; its last lines:\n{tail}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock, and hold it. It ends with the process; the file stays."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
