"""``PF_*`` variables over the settings of a file, as the images of Apache Pulsar apply them before a start.

``PF_functionRuntimeFactoryConfigs_jobNamespace=x`` sets ``functionRuntimeFactoryConfigs.jobNamespace``. Source:
``gen-yml-from-env.py`` of Apache Pulsar 4.0.8. That script rewrites the file; here only the section read from
it changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pulsar_runtimes.model.errors import Problem

from .section import Section, one_line, shown

PREFIX = "PF_"

INTEGER_KEYS = frozenset(
    {
        "workerPort",
        "numFunctionPackageReplicas",
        "failureCheckFreqMs",
        "rescheduleTimeoutMs",
        "initialBrokerReconnectMaxRetries",
        "assignmentWriteMaxRetries",
        "instanceLivenessCheckFreqMs",
    }
)
"""Last parts whose values must be whole numbers. All other values stay text, for the reader to convert."""

LIST_KEYS = frozenset(
    {
        "brokerInterceptors",
        "messagingProtocols",
        "tlsProtocols",
        "tlsCiphers",
        "authenticationProviders",
        "superUserRoles",
        "proxyRoles",
        "schemaRegistryCompatibilityCheckers",
        "brokerClientTlsCiphers",
        "brokerClientTlsProtocols",
    }
)
"""Last parts whose values are lists, split at each comma."""

CONTAINER_FACTORIES = {
    "k8s": "kubernetesContainerFactory",
    "process": "processContainerFactory",
    "thread": "threadContainerFactory",
}
"""What the pseudo-key ``containerFactory`` keeps of the three old sections; it drops the two others."""


def apply_environment(section: Section, environ: Mapping[str, str]) -> Section:
    """``section`` with every ``PF_`` variable of ``environ`` applied, in the order of their names.

    Neither argument changes. A variable that cannot be applied is a problem of the section, with the variable
    as its place. A key that contains ``_`` cannot be addressed.
    """
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        section = _apply(section, variable, environ[variable])
    return _choose_container_factory(section)


def _apply(section: Section, variable: str, value: str) -> Section:
    origin = f"environment variable {one_line(variable, 200)}"
    keys = variable.removeprefix(PREFIX).split("_")
    path = ".".join(keys)
    if not all(keys):
        section.problems.append(Problem("", "names no key; write PF_<key>, with one _ between nested keys", origin))
        return section
    scalar = _scalar_on_the_way(section.values, keys)
    if scalar:
        section.problems.append(Problem(one_line(path, 200), f"cannot be set, as {scalar} is not a mapping", origin))
        return section
    changed = section.with_value(keys, _convert(keys[-1], value), origin)
    if keys[-1] in INTEGER_KEYS and isinstance(_convert(keys[-1], value), str):
        changed.problem(path, f"must be a whole number (got {section.got(path, value)})")
        return section
    return changed


def _scalar_on_the_way(values: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    """The path to a value that stands where a mapping has to be; null is taken as an empty mapping."""
    for depth, key in enumerate(keys[:-1], start=1):
        inner = values.get(key)
        if inner is None:
            return None
        if not isinstance(inner, dict):
            return ".".join(keys[:depth])
        values = inner
    return None


def _convert(key: str, value: str) -> int | str | list[str]:
    """``value`` as the type that ``key`` asks for; unchanged when it must be an integer and is none."""
    if key in LIST_KEYS:
        return value.split(",")
    if key in INTEGER_KEYS and re.fullmatch(r"\s*[-+]?\d{1,19}\s*", value, re.ASCII):
        return int(value)
    return value


def _choose_container_factory(section: Section) -> Section:
    """``section`` without the old sections that the pseudo-key ``containerFactory`` rules out, and without it.

    In the file itself ``containerFactory`` is a key like any other.
    """
    key = "containerFactory"
    if not section.origins.get(section.where(key), "").startswith("environment"):
        return section
    chosen = section.values[key]
    if not isinstance(chosen, str) or chosen not in CONTAINER_FACTORIES:
        section.problem(key, f"must be one of {', '.join(CONTAINER_FACTORIES)} (got {shown(chosen)})")
        return section.without(key)
    for name, old_section in CONTAINER_FACTORIES.items():
        if name != chosen:
            section = section.without(old_section)
    return section.without(key)
