"""pfrun: a pluggable multi-runtime launcher for Apache Pulsar Functions.

For embedding, everything a program needs is here::

    from pulsar_runtimes import Worker, load_function_config, load_worker_config

    with Worker(load_worker_config("functions_worker.yml")) as worker:
        worker.submit(load_function_config("function.yml"))
        worker.wait_running("public/default/exclamation")
        print(worker.status("public/default/exclamation"))

Names are imported when first used, so that ``import pulsar_runtimes`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .config.function import load_function_config, parse_function_config
    from .config.worker import WorkerConfig, load_worker_config, parse_worker_config
    from .model.errors import AdmissionError, BrokerError, ConfigError, LaunchError, PfrunError, RegistryError
    from .model.function import FunctionSpec, InstanceSpec, Language
    from .model.names import FunctionKey, InstanceKey
    from .model.observation import Capabilities, Observation, Phase, RuntimeHandle
    from .model.status import End, FunctionStatus, InstanceStatus, State
    from .runtimes.base import FactoryContext, Runtime, RuntimeFactory
    from .supervisor.policy import RestartPolicy
    from .worker.worker import Worker

_HOMES = {
    "config.function": ("load_function_config", "parse_function_config"),
    "config.worker": ("WorkerConfig", "load_worker_config", "parse_worker_config"),
    "model.errors": ("AdmissionError", "BrokerError", "ConfigError", "LaunchError", "PfrunError", "RegistryError"),
    "model.function": ("FunctionSpec", "InstanceSpec", "Language"),
    "model.names": ("FunctionKey", "InstanceKey"),
    "model.observation": ("Capabilities", "Observation", "Phase", "RuntimeHandle"),
    "model.status": ("End", "FunctionStatus", "InstanceStatus", "State"),
    "runtimes.base": ("FactoryContext", "Runtime", "RuntimeFactory"),
    "supervisor.policy": ("RestartPolicy",),
    "worker.worker": ("Worker",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AdmissionError",
    "BrokerError",
    "Capabilities",
    "ConfigError",
    "End",
    "FactoryContext",
    "FunctionKey",
    "FunctionSpec",
    "FunctionStatus",
    "InstanceKey",
    "InstanceSpec",
    "InstanceStatus",
    "Language",
    "LaunchError",
    "Observation",
    "PfrunError",
    "Phase",
    "RegistryError",
    "RestartPolicy",
    "Runtime",
    "RuntimeFactory",
    "RuntimeHandle",
    "State",
    "Worker",
    "WorkerConfig",
    "__version__",
    "load_function_config",
    "load_worker_config",
    "parse_function_config",
    "parse_worker_config",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
