"""The plug point of runtimes: from the name in a configuration to a :class:`RuntimeFactory`."""

from __future__ import annotations

from pulsar_runtimes.plug_point import Plugin, PlugPoint

from .base import ENTRY_POINT_GROUP, RuntimeFactory

__all__ = ["RUNTIME_FACTORIES", "PlugPoint", "Plugin"]

RUNTIME_FACTORIES = PlugPoint(
    group=ENTRY_POINT_GROUP,
    base=RuntimeFactory,  # type: ignore[type-abstract]  # only ever compared with, never called
    what="runtime factory",
    setting="functionRuntimeFactoryClassName",
    aliases={
        "org.apache.pulsar.functions.runtime.thread.ThreadRuntimeFactory": "thread",
        "org.apache.pulsar.functions.runtime.process.ProcessRuntimeFactory": "process",
        "org.apache.pulsar.functions.runtime.kubernetes.KubernetesRuntimeFactory": "kubernetes",
    },
)
"""The backends. Its aliases are the class names that ``functions_worker.yml`` files of Apache Pulsar hold."""
