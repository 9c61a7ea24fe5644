"""What kind of component a function is: a function proper, a source or a sink. Pure.

Source: ``InstanceUtils#calculateSubjectType`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

from .function import ComponentType, FunctionSpec

IDENTITY_FUNCTION = "org.apache.pulsar.functions.api.utils.IdentityFunction"
"""The function of a connector that changes nothing on the way."""

BATCH_SOURCE_EXECUTOR = "org.apache.pulsar.functions.source.batch.BatchSourceExecutor"
"""The source that runs a batch source, which its configs name."""

BATCH_CONFIG_KEY = "__BATCHSOURCECONFIGS__"
BATCH_CLASS_KEY = "__BATCHSOURCECLASSNAME__"

BUILTIN = "builtin://"
"""What a package begins with that is one of the worker's own archives."""

_PULSAR_SINK = "org.apache.pulsar.functions.sink.PulsarSink"


def component_of(function: FunctionSpec) -> ComponentType:
    """The component type as it was registered; what old workers left open is told from the rest."""
    if function.component_type is not ComponentType.UNKNOWN:
        return function.component_type
    if not function.source.input_specs:
        return ComponentType.SOURCE
    if function.sink.builtin:
        return ComponentType.SINK
    return ComponentType.FUNCTION if function.sink.class_name in ("", _PULSAR_SINK) else ComponentType.SINK


def is_connector(function: FunctionSpec) -> bool:
    """Whether it is a source or a sink."""
    return component_of(function) is not ComponentType.FUNCTION


def connector_class(function: FunctionSpec) -> str:
    """The class of a source or sink that its author wrote; empty when only the archive knows it."""
    if component_of(function) is ComponentType.SINK:
        return function.sink.class_name
    if function.source.class_name == BATCH_SOURCE_EXECUTOR:
        return str(function.source.configs.get(BATCH_CLASS_KEY) or "")
    return function.source.class_name
