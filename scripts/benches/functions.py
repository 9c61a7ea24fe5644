"""Functions in the form of ``--function-config-file``, as both sides take them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .probe import input_topic, output_topic


def exclamation(home: Path) -> dict[str, Any]:
    """The Java example of Pulsar's distribution in ``home``."""
    return {
        "jar": str(home / "examples" / "api-examples.jar"),
        "className": "org.apache.pulsar.functions.api.examples.ExclamationFunction",
    }


def python_function(code: Path, class_name: str) -> dict[str, Any]:
    return {"py": str(code), "className": class_name}


def document_of(function: Mapping[str, Any]) -> dict[str, Any]:
    """A function under a name and on topics that nothing else has."""
    name = f"bench-{uuid.uuid4().hex[:12]}"
    return {
        "tenant": "public",
        "namespace": "default",
        "name": name,
        "inputs": [input_topic(name)],
        "output": output_topic(name),
        "subscriptionPosition": "Earliest",
        **function,
    }
