"""What is built in, as the admin API tells it: ``ConnectorDefinition``, ``FunctionDefinition`` and their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pulsar_runtimes.config.archive_definition import ArchiveDefinition
from pulsar_runtimes.java.class_file import ClassFileError
from pulsar_runtimes.java.config_fields import ConfigField, config_fields
from pulsar_runtimes.java.jar import Jar, JarError
from pulsar_runtimes.model.errors import PfrunError
from pulsar_runtimes.worker.worker import Worker

from .component import SINKS, Component
from .errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Builtins:
    """The archives of one worker."""

    worker: Worker

    def connectors(self) -> list[dict[str, str]]:
        """Every connector."""
        return [_connector(archive.definition) for archive in self.worker.archives.connectors.values()]

    def sinks(self) -> list[dict[str, str]]:
        """Those that can be sinks."""
        return [each for each in self.connectors() if "sinkClass" in each]

    def sources(self) -> list[dict[str, str]]:
        """Those that can be sources."""
        return [each for each in self.connectors() if "sourceClass" in each]

    def functions(self) -> list[dict[str, str]]:
        """Every function."""
        return [
            _told(name=each.name, description=each.description, functionClass=each.function_class)
            for each in (archive.definition for archive in self.worker.archives.functions.values())
        ]

    def config_fields(self, name: str, component: Component) -> list[dict[str, Any]]:
        """``ConfigFieldDefinition`` of each setting of the sink or source ``name``.

        ``NotFoundError`` when there is no such connector, or it names no class for its configs.
        """
        archive = self.worker.archives.connectors.get(name)
        definition = ArchiveDefinition() if archive is None else archive.definition
        class_name = definition.sink_config_class if component is SINKS else definition.source_config_class
        if archive is None or not class_name:
            raise NotFoundError(f"builtin {component.title.lower()} does not exist")
        try:
            with Jar(archive.path) as jar:
                return [_field(each) for each in config_fields(jar, class_name)]
        except (JarError, ClassFileError) as error:
            raise PfrunError(f"{archive.path}: {error}") from None

    def reload(self) -> None:
        """Look for archives anew."""
        self.worker.reload_archives()


def _connector(definition: ArchiveDefinition) -> dict[str, str]:
    return _told(
        name=definition.name,
        description=definition.description,
        sourceClass=definition.source_class,
        sinkClass=definition.sink_class,
        sourceConfigClass=definition.source_config_class,
        sinkConfigClass=definition.sink_config_class,
    )


def _told(**members: str) -> dict[str, str]:
    return {key: value for key, value in members.items() if value}


def _field(field: ConfigField) -> dict[str, Any]:
    return {"fieldName": field.name, "typeName": field.type_name, "attributes": dict(field.attributes)}
