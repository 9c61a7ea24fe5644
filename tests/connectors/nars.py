"""Nars without a compiler: connectors and functions whose classes do nothing but have the right types."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from tests.java.class_bytes import class_bytes

SINK = "org.apache.pulsar.io.core.Sink"
SOURCE = "org.apache.pulsar.io.core.Source"
BATCH_SOURCE = "org.apache.pulsar.io.core.BatchSource"
FUNCTION = "org.apache.pulsar.functions.api.Function"
OBJECT = "Ljava/lang/Object;"
STRING = "Ljava/lang/String;"
RECORD = f"Lorg/apache/pulsar/functions/api/Record<{STRING}>;"


def class_of(name: str, interface: str, *arguments: str) -> bytes:
    """A class that implements ``interface`` with type arguments as signatures have them."""
    signature = f"{OBJECT}L{interface.replace('.', '/')}<{''.join(arguments)}>;"
    return class_bytes(name, interfaces=(interface,), signature=signature)


CLASSES = {
    "a.Sink": class_of("a.Sink", SINK, STRING),
    "a.Source": class_of("a.Source", SOURCE, "[B"),
    "a.Batch": class_of("a.Batch", BATCH_SOURCE, STRING),
    "a.Transform": class_of("a.Transform", FUNCTION, "Ljava/lang/Integer;", RECORD),
    "a.Plain": class_of("a.Plain", FUNCTION, STRING, STRING),
}


def write_nar(path: Path, **definition: str) -> Path:
    """A nar with all of :data:`CLASSES`, and with ``definition`` as what it says of itself, if any."""
    with zipfile.ZipFile(path, "w") as archive:
        if definition:
            archive.writestr("META-INF/services/pulsar-io.yaml", json.dumps(definition))
        for name, content in CLASSES.items():
            archive.writestr(f"META-INF/bundled-dependencies/{name.replace('.', '/')}.class", content)
    return path


def write_connector(path: Path, name: str = "both") -> Path:
    """A nar that can be a sink and a source."""
    return write_nar(path, name=name, description="A sample", sinkClass="a.Sink", sourceClass="a.Source")


def write_function(path: Path, name: str = "turn") -> Path:
    """A nar with a function that a sink can apply."""
    return write_nar(path, name=name, functionClass="a.Transform")
