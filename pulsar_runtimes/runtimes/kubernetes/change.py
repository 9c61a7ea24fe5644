"""What has to happen so that what there is becomes what is wanted: decisions and comparisons. Pure."""

from __future__ import annotations

import copy
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .manifests import amount_of
from .ownership import JOB_ANNOTATION, TEMPLATE_ANNOTATION, Job

MUTABLE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
"""What the API server lets be changed in the spec of a StatefulSet (its validation of updates, Kubernetes 1.34)."""

_KEYS_OF_LISTS = ("name", "mountPath", "key")
_TEXT_RESOURCES = ("requests", "limits")


class Step(enum.Enum):
    """What is done to the StatefulSet of a job."""

    CREATE = "create"
    KEEP = "keep"
    SCALE = "scale"
    """Another number of replicas, and nothing else: no pod that stays is touched."""
    REPLACE = "replace"
    """In place; pods are restarted one after another if their template differs."""
    RECREATE = "recreate"
    """Deleted and created, as the API server lets nobody change the fields in question."""


@dataclass(frozen=True, slots=True)
class Change:
    """A decision. ``immutable`` are the fields for which a StatefulSet has to be made anew."""

    step: Step
    restarts_pods: bool = False
    immutable: tuple[str, ...] = ()


def decide(live: Mapping[str, Any] | None, job: Job) -> Change:
    """What to do so that ``live``, which is the job's own, or absent, becomes what ``job`` says.

    The digests that ``live`` carries decide, so that what the API server adds to an object counts for nothing, and
    neither does what somebody else has changed in it.
    """
    if live is None:
        return Change(Step.CREATE)
    if is_leaving(live):
        return Change(Step.RECREATE, restarts_pods=True)
    body = live.get("spec") or {}
    if _annotation(live, JOB_ANNOTATION) == job.digest:
        return Change(Step.KEEP if body.get("replicas") == job.replicas else Step.SCALE)
    immutable = immutable_differences(live, job.manifests.stateful_set)
    if immutable:
        return Change(Step.RECREATE, restarts_pods=True, immutable=immutable)
    return Change(Step.REPLACE, restarts_pods=not has_template(live, job))


def is_leaving(live: Mapping[str, Any]) -> bool:
    """Whether ``live`` is being deleted."""
    return bool((live.get("metadata") or {}).get("deletionTimestamp"))


def has_template(live: Mapping[str, Any], job: Job) -> bool:
    """Whether the pods of ``live`` are made from what ``job`` has for them."""
    template = (live.get("spec") or {}).get("template") or {}
    return _annotation(template, TEMPLATE_ANNOTATION) == job.template_digest


def immutable_differences(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of the spec that differ and cannot be changed."""
    before, after = live.get("spec") or {}, wanted.get("spec") or {}
    return tuple(
        sorted(
            f"spec.{name}"
            for name in {*before, *after} - MUTABLE
            if (name in after and next(differences(before.get(name), after[name]), None) is not None)
            or (name not in after and name == "volumeClaimTemplates")
        )
    )


def replacement(live: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """What to put in the place of ``live``, whose version it must still have then.

    The template of the pods stays word for word where it says the same, so that none is restarted.
    """
    made = copy.deepcopy(job.manifests.stateful_set)
    metadata = live["metadata"]
    for key in ("resourceVersion", "uid", "finalizers", "ownerReferences"):
        if key in metadata:
            made["metadata"][key] = metadata[key]
    if has_template(live, job):
        made["spec"]["template"] = live["spec"]["template"]
    return made


def scaled(live: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """``live`` with the replicas of ``job``, to put in its place."""
    return {**live, "spec": {**live["spec"], "replicas": job.replicas}}


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not as it is wanted; ``None`` where there is none."""

    path: str
    live: object
    wanted: object


def differences(live: object, wanted: object, path: str = "") -> Iterator[Difference]:
    """Where ``live`` lacks what ``wanted`` says. What only ``live`` has are defaults, or somebody else's, and passes.

    Members of lists belong together by their name where they have one. Quantities are compared by what they amount to.
    """
    if isinstance(wanted, Mapping):
        before: Mapping[str, Any] = live if isinstance(live, Mapping) else {}
        for key, value in wanted.items():
            place = f"{path}.{key}" if path else key
            if path.endswith(_TEXT_RESOURCES) and _same_amount(before.get(key), value):
                continue
            yield from differences(before.get(key), value, place)
    elif isinstance(wanted, list):
        yield from _list_differences(live if isinstance(live, list) else [], wanted, path)
    elif live != wanted and not (wanted in ("", None, 0, False) and live in ("", None, 0, False)):
        yield Difference(path, live, wanted)


def _list_differences(live: list[Any], wanted: list[Any], path: str) -> Iterator[Difference]:
    key = next((key for key in _KEYS_OF_LISTS if all(isinstance(item, Mapping) and key in item for item in wanted)), "")
    names = [item[key] for item in wanted] if key else []
    if key and len(set(names)) == len(names):
        found = {item.get(key): item for item in live if isinstance(item, Mapping)}
        for name, item in zip(names, wanted, strict=True):
            yield from differences(found.get(name), item, f"{path}[{name}]")
        for name in found.keys() - set(names):
            yield Difference(f"{path}[{name}]", found[name], None)
        return
    for index, item in enumerate(wanted):
        yield from differences(live[index] if index < len(live) else None, item, f"{path}[{index}]")
    for index in range(len(wanted), len(live)):
        yield Difference(f"{path}[{index}]", live[index], None)


def _same_amount(live: object, wanted: object) -> bool:
    amounts = [amount_of(each) for each in (live, wanted) if each is not None]
    return len(amounts) == 2 and amounts[0] == amounts[1] != Decimal(0)


def _annotation(manifest: Mapping[str, Any], key: str) -> str:
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(key) or "")
