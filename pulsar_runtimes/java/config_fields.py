"""The settings that a connector takes: the fields of the class of its configs, with what their author says of them.

Source: ``ConnectorUtils#getConnectorConfigDefinition`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pulsar_runtimes.java.class_file import parse_fields
from pulsar_runtimes.java.jar import Jar, JarError
from pulsar_runtimes.java.signature import OBJECT, parse_type_signature, readable

MOST_SUPERCLASSES = 100

_FIELD_DOC = "org.apache.pulsar.io.core.annotations.FieldDoc"
_UNSAID = {"help": "", "defaultValue": "", "sensitive": "false", "required": "false"}


@dataclass(frozen=True, slots=True)
class ConfigField:
    """``attributes`` are ``help``, ``defaultValue``, ``sensitive`` and ``required`` as text, or none at all."""

    name: str
    type_name: str
    attributes: Mapping[str, str]


def config_fields(jar: Jar, class_name: str) -> list[ConfigField]:
    """The fields of ``class_name``, then those of its superclasses, as far as the package has them.

    ``JarError`` or ``ClassFileError`` when the class is not there, or damaged.
    """
    found: list[ConfigField] = []
    name: str | None = class_name
    for _ in range(MOST_SUPERCLASSES):
        data = None if name in (None, OBJECT) else jar.read_class(str(name))
        if data is None:
            break
        for field in parse_fields(data):
            type_name = readable(parse_type_signature(field.type_text))
            found.append(ConfigField(field.name, type_name, _attributes(field.annotations.get(_FIELD_DOC))))
        parent = jar.find_class(str(name))
        name = None if parent is None else parent.super_name
    if name == class_name:
        raise JarError(f"class {class_name} is not in the package")
    return found


def _attributes(values: Mapping[str, object] | None) -> dict[str, str]:
    if values is None:
        return {}
    said = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in values.items()}
    return {**_UNSAID, **said}
