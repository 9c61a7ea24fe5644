"""What a backend's tests need: the conformance classes, fakes that keep the contract, and builders of specs.

Shipped with pfrun for third parties; nothing but tests imports it. Each name is imported when first used, so
only the conformance classes need pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clock import FakeClock
    from .conformance import RuntimeFactoryConformance
    from .fakes import FakeRuntime, FakeRuntimeFactory, Script
    from .specs import function_spec, instance_spec
    from .state_conformance import StateStoreConformance

__all__ = [
    "FakeClock",
    "FakeRuntime",
    "FakeRuntimeFactory",
    "RuntimeFactoryConformance",
    "Script",
    "StateStoreConformance",
    "function_spec",
    "instance_spec",
]

_MODULES = {
    "FakeClock": "clock",
    "FakeRuntime": "fakes",
    "FakeRuntimeFactory": "fakes",
    "RuntimeFactoryConformance": "conformance",
    "Script": "fakes",
    "StateStoreConformance": "state_conformance",
    "function_spec": "specs",
    "instance_spec": "specs",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
