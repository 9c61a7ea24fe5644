"""The labels of what is made for a function, by which its pods are found.

Source: ``KubernetesRuntime#getLabels`` and ``#toValidLabelName`` of Apache Pulsar 4.0.8. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pulsar_runtimes.model.function import ComponentType, FunctionSpec

LONGEST_LABEL = 63

FINDING_LABELS = ("component", "tenant", "namespace", "name")
"""What tells the pods of one function from those of another."""

_PULSAR_SINK = "org.apache.pulsar.functions.sink.PulsarSink"
_NOT_IN_A_LABEL = re.compile(r"[^a-zA-Z0-9-_.]")
_NO_END = re.compile(r"^[^a-zA-Z0-9]|[^a-zA-Z0-9]$")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_PREFIX = 253


def clean_label(text: str, *, strict: bool = False) -> str:
    """``text`` as the value of a label: lower case, a dash for a bad character, ``0`` for a bad one at an end.

    The reference cuts to 63 characters last, so that a value may end in a dash, which the API server refuses; with
    ``strict`` so does this.
    """
    cleaned = _NO_END.sub("0", _NOT_IN_A_LABEL.sub("-", text.lower()))[:LONGEST_LABEL]
    return cleaned if strict else _NO_END.sub("0", cleaned)


def component_of(function: FunctionSpec) -> str:
    """``function``, ``source`` or ``sink`` (``InstanceUtils#calculateSubjectType``)."""
    kind = function.component_type
    if kind is ComponentType.UNKNOWN:
        if not function.source.input_specs:
            kind = ComponentType.SOURCE
        elif function.sink.builtin or function.sink.class_name not in ("", _PULSAR_SINK):
            kind = ComponentType.SINK
        else:
            kind = ComponentType.FUNCTION
    return kind.name.lower()


def build_labels(function: FunctionSpec, custom: Mapping[str, str], *, strict: bool = False) -> dict[str, str]:
    """The labels of StatefulSet, pods and Service, which are also what selects the pods.

    ``custom`` are the operator's, cleaned here and only here; they may replace the others.
    """
    own = {
        "component": component_of(function),
        "tenant": clean_label(function.tenant, strict=strict),
        "namespace": clean_label(function.namespace, strict=strict),
        "name": clean_label(function.name, strict=strict),
    }
    return own | {key: clean_label(value, strict=strict) for key, value in custom.items()}


def is_label_key(key: str) -> bool:
    """Whether Kubernetes takes ``key`` as the key of a label or an annotation."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _LONGEST_PREFIX or not _LABEL_PREFIX.fullmatch(prefix)):
        return False
    return _LABEL_NAME.fullmatch(name) is not None


def is_label_value(value: str) -> bool:
    """Whether Kubernetes takes ``value`` as the value of a label."""
    return _LABEL_VALUE.fullmatch(value) is not None
