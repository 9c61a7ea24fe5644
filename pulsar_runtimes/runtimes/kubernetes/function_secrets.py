"""A function's secrets: references to Secrets become variables of its pods, and clear text is kept off its command.

Source: ``KubernetesSecretsProviderConfigurator`` of Apache Pulsar 4.0.8. Pure: Secrets are not looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import FunctionSpec, Language

OPTIONS_KEY = "options"
"""The key of a Secret with options, the name of the file that it becomes, and the end of the Secret's name."""

POD_NAME = "POD_NAME"
"""The variable that a pod's number is taken from."""

ENVIRONMENT_PROVIDERS: Mapping[Language, str] = {
    Language.JAVA: "org.apache.pulsar.functions.secretsprovider.EnvironmentBasedSecretsProvider",
    Language.PYTHON: "secretsprovider.EnvironmentBasedSecretsProvider",
    Language.GO: "",
}
"""What reads the variables in an instance. A Go program reads them itself."""

_SHAPE = "must be a mapping with the path (the Secret's name) and the key in it"
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_VARIABLE = re.compile(r"[\x20-\x3c\x3e-\x7e]+")
_LONGEST_NAME = 253


def secret_problems(function: FunctionSpec, *, strict: bool = False) -> Iterator[str]:
    """Why the secrets of ``function`` are no references.

    With ``strict`` only what the reference finds at admission: a reference that nothing can follow passes.
    """
    for name, reference in function.secrets_map.items():
        where = f"secret {name!r}"
        if not isinstance(reference, Mapping):
            yield f"{where} {_SHAPE}"
            continue
        lacking = [key for key in ("path", "key") if key not in reference]
        for key in lacking:
            yield f"{where} lacks its {key}; it {_SHAPE}"
        if not strict and not lacking:
            yield from _unusable(name, reference)


def _unusable(name: str, reference: Mapping[str, Any]) -> Iterator[str]:
    path, key = reference["path"], reference["key"]
    if not isinstance(path, str) or len(path) > _LONGEST_NAME or not _OBJECT_NAME.fullmatch(path):
        yield f"secret {name!r}: path must be the name of a Secret"
    if not isinstance(key, str) or not _SECRET_KEY.fullmatch(key):
        yield f"secret {name!r}: key must be a key of a Secret: letters, digits and -._"
    if name == POD_NAME:
        yield f"secret {name!r} would hide the variable that tells a pod its name; give it another name"
    elif not _VARIABLE.fullmatch(name):
        yield f"secret {name!r} must be the name of a variable: printable ASCII without ="


def build_secret_variables(function: FunctionSpec) -> list[dict[str, Any]]:
    """``env`` entries of the container, one for each secret, in their order.

    A path or key that is null is left out. ``LaunchError`` for one that is no text.
    """
    variables = []
    for name, reference in function.secrets_map.items():
        chosen = {}
        for member, key in (("name", "path"), ("key", "key")):
            value = reference.get(key) if isinstance(reference, Mapping) else 0
            if value is not None and not isinstance(value, str):
                raise LaunchError(f"{function.key}: secret {name!r} {_SHAPE}")
            if value is not None:
                chosen[member] = value
        variables.append({"name": name, "valueFrom": {"secretKeyRef": chosen}})
    return variables


def build_options_secret(name: str, namespace: str, labels: Mapping[str, str], options: str) -> dict[str, Any]:
    """The Secret with the options of the instances of the job ``name``, which their pods mount as a file."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-{OPTIONS_KEY}", "namespace": namespace, "labels": dict(labels)},
        "stringData": {OPTIONS_KEY: options},
    }


def shown_references(secrets: Mapping[str, Any]) -> dict[str, Any]:
    """``secrets`` fit to be shown: a reference is no secret, and anything else may be one."""
    return {
        name: {key: value if key in ("path", "key") else "***" for key, value in reference.items()}
        if isinstance(reference, Mapping)
        else "***"
        for name, reference in secrets.items()
    }
