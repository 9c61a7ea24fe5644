"""What an operator lets change the manifests of functions. Third parties bring their own by entry point."""

from __future__ import annotations

import abc
from typing import Any, Self

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.plug_point import PlugPoint


class ManifestCustomizer(abc.ABC):
    """Changes the namespace, the name and the manifests of functions (``KubernetesManifestCustomizer``).

    Everything here is pure: the same answers for the same function, no client, no files. What is not overridden changes
    nothing. An error is an ``AdmissionError`` that begins with the function's key.
    """

    @classmethod
    @abc.abstractmethod
    def from_config(cls, section: Section, *, strict: bool) -> Self:
        """Build the customizer from ``runtimeCustomizerConfig``. Notes what is wrong in ``section``, raises nothing.

        The caller warns of keys that are left unread. ``strict``: ``strictReference`` is on.
        """

    def check(self, function: FunctionSpec) -> None:
        """``AdmissionError`` when ``function`` asks for what cannot be done."""

    def job_name(self, function: FunctionSpec, current: str) -> str:
        """What stands at the front of the job's name in place of ``current``; blank for the usual name."""
        return current

    def namespace(self, function: FunctionSpec, current: str) -> str:
        """The namespace of everything made for ``function``, in place of ``current``."""
        return current

    def stateful_set(self, function: FunctionSpec, manifest: dict[str, Any]) -> dict[str, Any]:
        """``manifest`` with changes; it may be changed in place. Its name and namespace stay as they are."""
        return manifest

    def service(self, function: FunctionSpec, manifest: dict[str, Any]) -> dict[str, Any]:
        """The same for the Service."""
        return manifest


MANIFEST_CUSTOMIZERS = PlugPoint(
    group="pulsar_runtimes.manifest_customizers",
    base=ManifestCustomizer,  # type: ignore[type-abstract]  # only ever compared with, never called
    what="manifest customizer",
    setting="runtimeCustomizerClassName",
    aliases={"org.apache.pulsar.functions.runtime.kubernetes.BasicKubernetesManifestCustomizer": "basic"},
)
"""The customizers, by the class name of the reference's, an entry point, or a path to a class."""
