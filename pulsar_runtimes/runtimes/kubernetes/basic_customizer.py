"""The built-in customizer: a few options of the operator, and of each function in its ``customRuntimeOptions``.

Source: ``BasicKubernetesManifestCustomizer`` of Apache Pulsar 4.0.8. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pulsar_runtimes.config.section import MISSING, Section
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import FunctionSpec

from .config import LABEL_KEY, Refuse, read_namespace
from .customizer import ManifestCustomizer
from .labels import FINDING_LABELS, is_label_key, is_label_value
from .lenient_json import LenientJsonError, parse_lenient_object

Texts = Mapping[str, str | None]
"""A value of ``None`` takes the member away."""

_RESOURCES = ("cpu", "memory")
_TOLERATION_TEXTS = ("key", "operator", "value", "effect")
_QUANTITY = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomizerOptions:
    """What may be customized, blank or empty for nothing. Resources are quantities by ``cpu`` and ``memory``."""

    job_namespace: str = ""
    job_name: str = ""
    extra_labels: Texts = field(default_factory=dict)
    extra_annotations: Texts = field(default_factory=dict)
    node_selector_labels: Texts = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    requests: Texts = field(default_factory=dict)
    limits: Texts = field(default_factory=dict)

    def overlaid(self, by: CustomizerOptions) -> CustomizerOptions:
        """These with ``by`` laid over them. Mappings key by key; tolerations are added, as none replaces another."""
        return CustomizerOptions(
            job_namespace=by.job_namespace or self.job_namespace,
            job_name=by.job_name or self.job_name,
            extra_labels={**self.extra_labels, **by.extra_labels},
            extra_annotations={**self.extra_annotations, **by.extra_annotations},
            node_selector_labels={**self.node_selector_labels, **by.node_selector_labels},
            tolerations=(*self.tolerations, *by.tolerations),
            requests={**self.requests, **by.requests},
            limits={**self.limits, **by.limits},
        )


def read_customizer_options(section: Section, *, strict: bool, typed_quantities: bool = False) -> CustomizerOptions:
    """The options in ``section``; what is wrong becomes problems, and keys that nobody knows stay unread.

    With ``strict`` what only the API server would refuse is a warning, and ``extractLabels``, as the documents of the
    reference spell it, is no key. ``typed_quantities``: a quantity must be text.
    """
    refuse = section.warn if strict else section.problem
    resources = section.section("resourceRequirements")
    labels = _texts(section, "extraLabels")
    if not strict:
        labels = {**_texts(section, "extractLabels"), **labels}
    options = CustomizerOptions(
        job_namespace=read_namespace(section, "jobNamespace", refuse),
        job_name=section.text("jobName"),
        extra_labels=labels,
        extra_annotations=_texts(section, "extraAnnotations"),
        node_selector_labels=_texts(section, "nodeSelectorLabels"),
        tolerations=tuple(_tolerations(section)),
    )
    if resources is not None:
        options = replace(
            options,
            requests=_quantities(resources, "requests", strict=strict, typed=typed_quantities),
            limits=_quantities(resources, "limits", strict=strict, typed=typed_quantities),
        )
        resources.warn_unread()
    _check_metadata(section, options, refuse)
    return options


def _texts(section: Section, key: str) -> dict[str, str | None]:
    inner = section.section(key)
    if inner is None:
        return {}
    return {name: None if inner.values[name] is None else inner.text(name) for name in inner}


def _tolerations(section: Section) -> Iterator[dict[str, Any]]:
    value = section.raw("tolerations")
    if value is MISSING or value is None:
        return
    if not isinstance(value, list):
        section.problem("tolerations", f"must be a list (got {section.got('tolerations', value)})")
        return
    for index, item in enumerate(value):
        place = f"tolerations[{index}]"
        if not isinstance(item, dict):
            section.problem(place, "must be a mapping")
            continue
        inner = section.inner(place, item)
        texts = {key: inner.text(key) for key in _TOLERATION_TEXTS if item.get(key) is not None}
        seconds = inner.optional_integer("tolerationSeconds")
        inner.seen |= {"tolerationSeconds", *_TOLERATION_TEXTS}
        inner.warn_unread()
        yield texts if seconds is None else {**texts, "tolerationSeconds": seconds}


def _quantities(section: Section, key: str, *, strict: bool, typed: bool) -> dict[str, str | None]:
    """Only of cpu and memory, the others are told; their values are read all the same, as the reference does."""
    inner = section.section(key)
    found: dict[str, str | None] = {}
    for name in inner or ():
        assert inner is not None
        value = inner.values[name]
        if value is None and strict:
            quantity = None
        else:
            quantity = inner.text(name, null="")
            if strict and typed and not isinstance(value, str):
                inner.problem(name, f"must be text, as strictReference asks for (got {inner.got(name, value)})")
            elif not isinstance(value, dict | list) and not _QUANTITY.fullmatch(quantity):
                inner.problem(name, f"must be a quantity, such as 500m or 1Gi (got {inner.got(name, value)})")
            elif not strict and quantity.startswith("-"):
                inner.problem(name, f"must not be negative (got {inner.got(name, value)})")
        if name in _RESOURCES:
            found[name] = quantity
        else:
            inner.warn(name, "has no effect: only cpu and memory can be set")
    return found


def _check_metadata(section: Section, options: CustomizerOptions, refuse: Refuse) -> None:
    for key, texts in (
        ("extraLabels", options.extra_labels),
        ("nodeSelectorLabels", options.node_selector_labels),
        ("extraAnnotations", options.extra_annotations),
    ):
        for name, value in texts.items():
            if not is_label_key(name):
                refuse(f"{key}.{name}", LABEL_KEY)
            elif key != "extraAnnotations" and not is_label_value(value or ""):
                refuse(
                    f"{key}.{name}",
                    "must be up to 63 letters, digits and -_. with a letter or digit at both ends "
                    f"(got {section.got(name, value)})",
                )
    for name in sorted(options.extra_labels.keys() & set(FINDING_LABELS)):
        refuse(f"extraLabels.{name}", "must not be a label that tells the pods of functions apart")


class BasicManifestCustomizer(ManifestCustomizer):
    """Lays ``customRuntimeOptions`` of a function over ``runtimeCustomizerConfig``. Keeps nothing of any function."""

    def __init__(self, options: CustomizerOptions, *, strict: bool = False) -> None:
        self._options = options
        self._strict = strict

    @classmethod
    def from_config(cls, section: Section, *, strict: bool) -> Self:
        return cls(read_customizer_options(section, strict=strict, typed_quantities=True), strict=strict)

    def options(self, function: FunctionSpec) -> CustomizerOptions:
        """The options that count for ``function``. ``AdmissionError`` when its own cannot be read."""
        try:
            values = parse_lenient_object(function.custom_runtime_options)
        except LenientJsonError as error:
            raise AdmissionError(f"{function.key}: customRuntimeOptions: {error}") from None
        section = Section(values, "customRuntimeOptions")
        own = read_customizer_options(section, strict=self._strict)
        if not self._strict:
            section.refuse_unread()
            section.problems += section.warnings
        if section.problems:
            raise AdmissionError("\n".join(f"{function.key}: {problem}" for problem in section.problems))
        return self._options.overlaid(own)

    def check(self, function: FunctionSpec) -> None:
        self.options(function)

    def job_name(self, function: FunctionSpec, current: str) -> str:
        return self.options(function).job_name or current

    def namespace(self, function: FunctionSpec, current: str) -> str:
        return self.options(function).job_namespace or current

    def stateful_set(self, function: FunctionSpec, manifest: dict[str, Any]) -> dict[str, Any]:
        options = self.options(function)
        template = manifest["spec"]["template"]
        _add_metadata(manifest["metadata"], options)
        _add_metadata(template["metadata"], options)
        pod = template["spec"]
        if options.node_selector_labels:
            pod["nodeSelector"] = _laid_over(pod.get("nodeSelector") or {}, options.node_selector_labels)
        pod["tolerations"] = [*pod["tolerations"], *(dict(toleration) for toleration in options.tolerations)]
        for container in pod["containers"]:
            resources = container["resources"]
            resources["limits"] = _laid_over(resources["limits"], options.limits)
            resources["requests"] = _laid_over(resources["requests"], options.requests)
        return manifest

    def service(self, function: FunctionSpec, manifest: dict[str, Any]) -> dict[str, Any]:
        _add_metadata(manifest["metadata"], self.options(function))
        return manifest


def _add_metadata(metadata: dict[str, Any], options: CustomizerOptions) -> None:
    for key, texts in (("labels", options.extra_labels), ("annotations", options.extra_annotations)):
        if texts:
            metadata[key] = _laid_over(metadata.get(key) or {}, texts)


def _laid_over(usual: Mapping[str, str], texts: Texts) -> dict[str, str]:
    return {key: value for key, value in {**usual, **texts}.items() if value is not None}
