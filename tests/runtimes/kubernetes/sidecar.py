"""A customizer as a third party would write it."""

from __future__ import annotations

from typing import Any, Self

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.runtimes.kubernetes.customizer import ManifestCustomizer


class Sidecar(ManifestCustomizer):
    """Puts a second container with a volume beside each instance, and tries to rename everything."""

    def __init__(self, image: str) -> None:
        self.image = image

    @classmethod
    def from_config(cls, section: Section, *, strict: bool) -> Self:
        return cls(section.text("image", "sidecar:1"))

    def namespace(self, function: FunctionSpec, current: str) -> str:
        return f"{current}-{function.tenant}"

    def stateful_set(self, function: FunctionSpec, manifest: dict[str, Any]) -> dict[str, Any]:
        pod = manifest["spec"]["template"]["spec"]
        mounts = [{"name": "scratch", "mountPath": "/scratch"}]
        pod["containers"].append({"name": "sidecar", "image": self.image, "volumeMounts": mounts})
        pod["volumes"] = [{"name": "scratch", "emptyDir": {}}]
        return {**manifest, "metadata": {"name": "other", "namespace": "elsewhere"}}


class Misshapen(ManifestCustomizer):
    """Makes what the API server would never take."""

    @classmethod
    def from_config(cls, section: Section, *, strict: bool) -> Self:
        return cls()

    def stateful_set(self, function: FunctionSpec, manifest: dict[str, Any]) -> dict[str, Any]:
        manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = "a while"
        return manifest
