"""The worker's own archives: connectors and functions that a request may name as ``builtin://NAME``.

They are the nars in ``connectorsDirectory`` and ``functionsDirectory``, each under the name that it gives itself.
Source: ``ConnectorUtils#searchForConnectors`` and ``FunctionUtils#searchForFunctions`` of Apache Pulsar 4.0.8. Nothing
of an archive is trusted, and one that cannot be read is left out; :attr:`Archives.failures` tells why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pulsar_runtimes.config.archive_definition import (
    DEFINITION_ENTRY,
    MAX_DEFINITION_BYTES,
    ArchiveDefinition,
    decode_definition,
)
from pulsar_runtimes.java.jar import Jar, JarError
from pulsar_runtimes.model.errors import AdmissionError, ConfigError
from pulsar_runtimes.model.function import ComponentType

MOST_ARCHIVES = 1000
"""More files than that in one directory are no collection of archives."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One nar and what it says of itself."""

    path: Path
    definition: ArchiveDefinition


@dataclass(frozen=True, slots=True)
class Archives:
    """What was found, by name. Of two archives with the same name, the one whose file comes later counts."""

    connectors: Mapping[str, Archive] = field(default_factory=dict)
    functions: Mapping[str, Archive] = field(default_factory=dict)
    failures: tuple[str, ...] = ()

    def find(self, kind: ComponentType, name: str) -> Archive:
        """The archive of a component of ``kind``. ``AdmissionError`` when there is none, in the reference's words."""
        found = (self.functions if kind is ComponentType.FUNCTION else self.connectors).get(name)
        has = found is not None and {
            ComponentType.SINK: found.definition.sink_class,
            ComponentType.SOURCE: found.definition.source_class,
        }.get(kind, found.definition.function_class)
        if found is None or not has:
            title = {ComponentType.SINK: "sink", ComponentType.SOURCE: "source"}.get(kind, "function")
            raise AdmissionError(f"Built-in {title} is not available: builtin://{name}")
        return found


def scan_archives(connectors: Path, functions: Path) -> Archives:
    """Look for nars in both directories, which need not exist."""
    failures: list[str] = []
    found = [_scan(directory, failures) for directory in (connectors, functions)]
    own_functions = {name: archive for name, archive in found[1].items() if archive.definition.function_class}
    return Archives(found[0], own_functions, tuple(failures))


def _scan(directory: Path, failures: list[str]) -> dict[str, Archive]:
    found: dict[str, Archive] = {}
    try:
        paths = sorted(path for path in directory.absolute().glob("*.nar") if path.is_file())
    except OSError as error:
        failures.append(f"{directory}: {error.strerror or error}")
        return found
    if len(paths) > MOST_ARCHIVES:
        failures.append(f"{directory}: has more than {MOST_ARCHIVES} archives; the rest is left out")
    for path in paths[:MOST_ARCHIVES]:
        try:
            with Jar(path) as jar:
                definition = read_definition(jar, str(path))
        except (JarError, ConfigError) as error:
            failures.append(str(error))
            continue
        if definition is None or not definition.name:
            failures.append(f"{path}: {DEFINITION_ENTRY}: gives no name")
            continue
        found[definition.name] = Archive(path, definition)
    return found


def read_definition(jar: Jar, where: str) -> ArchiveDefinition | None:
    """What an open archive says of itself; ``None`` when it has nothing of the kind.

    ``JarError`` or ``ConfigError`` when that cannot be read.
    """
    data = jar.read(DEFINITION_ENTRY, MAX_DEFINITION_BYTES)
    return None if data is None else decode_definition(data, f"{where}!/{DEFINITION_ENTRY}")
