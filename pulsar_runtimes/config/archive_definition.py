"""What a nar says of itself: ``META-INF/services/pulsar-io.yaml``, the classes and names of a connector or function.

Mirrors ``ConnectorDefinition`` and ``FunctionDefinition`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from pulsar_runtimes.model.errors import ConfigError, Problem

from .document import parse_document

DEFINITION_ENTRY = "META-INF/services/pulsar-io.yaml"
"""Where a nar has it, that of a function as well as that of a connector."""

MAX_DEFINITION_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ArchiveDefinition:
    """The members of the file; those that are not there are empty, and others are passed over."""

    name: str = ""
    description: str = ""
    source_class: str = ""
    sink_class: str = ""
    source_config_class: str = ""
    sink_config_class: str = ""
    function_class: str = ""


def parse_archive_definition(text: str, where: str) -> ArchiveDefinition:
    """``ConfigError``, with ``where`` for the file, when ``text`` is no YAML mapping with text in it."""
    section = parse_document(text, where)
    members = {field.name: section.text(_camel(field.name)).strip() for field in fields(ArchiveDefinition)}
    section.done()
    return ArchiveDefinition(**members)


def decode_definition(data: bytes, where: str) -> ArchiveDefinition:
    """The same from the bytes of the file."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ConfigError(Problem("", "must be UTF-8 text", where)) from None
    return parse_archive_definition(text, where)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
