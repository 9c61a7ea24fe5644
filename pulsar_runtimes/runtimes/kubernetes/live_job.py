"""What is on Kubernetes beside what a configuration says: comparing one function, and finding what nobody wants."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .api import ApiError, KubernetesApi, Manifest
from .change import Change, Difference, Step, decide, differences, has_template, replacement
from .function_auth import SECRET_PREFIX
from .ownership import FUNCTION_ANNOTATION, Job, foreign_reason, selector
from .paths import path_of, resource_of
from .pod_details import shown_options

_FORBIDDEN = 403
_KINDS = {"statefulsets": "StatefulSet", "services": "Service", "secrets": "Secret", "configmaps": "ConfigMap"}
_NOT_ALWAYS_MADE = ("secrets", "configmaps")
_COMMAND = re.compile(r"\.command\[\d+\]$")
_OPTION = re.compile(r"(?<!\S)(?P<name>--?[A-Za-z][\w.-]*)(?P<value>.*?)(?=\s--?[A-Za-z]|\Z)", re.DOTALL)
_DRAWN_ANEW = frozenset({"--function_id", "--function_version"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """One function: what would be done, and which fields differ. ``foreign`` tells why nothing would be done."""

    job: Job
    change: Change
    differences: tuple[Difference, ...] = ()
    foreign: str = ""

    @property
    def is_equal(self) -> bool:
        return not (self.differences or self.foreign) and self.change.step is Step.KEEP


def compare(api: KubernetesApi, job: Job) -> Comparison:
    """How ``job`` differs from what is there. Reads only. Values of Secrets are not among the differences."""
    live = {
        manifest["kind"]: api.find(path_of(resource_of(manifest["kind"]), job.namespace, manifest["metadata"]["name"]))
        for manifest in job.manifests.documents
    }
    for kind, found in live.items():
        reason = "" if found is None else foreign_reason({"kind": kind, **found}, job)
        if reason:
            return Comparison(job, Change(Step.KEEP), foreign=reason)
    stateful_set = live["StatefulSet"]
    change = decide(stateful_set, job)
    if stateful_set is None:
        return Comparison(job, change)
    wanted = replacement(stateful_set, job)
    differing = [*differences(stateful_set, wanted), *differences(live["Service"], job.manifests.service, "Service")]
    if job.manifests.secret is not None and (live.get("Secret") is None or not has_template(stateful_set, job)):
        differing.append(Difference("Secret", "***" if live.get("Secret") else None, "***"))
    if job.manifests.config_map is not None:
        differing += _details_differences(live.get("ConfigMap"), job.manifests.config_map)
    return Comparison(job, change, tuple(each for each in map(_shown, differing) if each is not None))


def _details_differences(live: Manifest | None, wanted: Manifest) -> Iterator[Difference]:
    """By the names of the options, as for a command: what people configure may be secret."""
    if live is None:
        yield Difference("ConfigMap", None, "what instances are told")
        return
    before, after = shown_options(live), shown_options(wanted)
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    told = [name for name in names if name not in (*_DRAWN_ANEW, "digest")]
    if told:
        yield Difference("ConfigMap", "what instances are told", f"what differs in {', '.join(told)}")


def _shown(difference: Difference) -> Difference | None:
    """Fit to be shown: of a command only the options that differ, and not what is drawn anew at each start."""
    if not _COMMAND.search(difference.path):
        return difference
    before, after = (_options(str(each or "")) for each in (difference.live, difference.wanted))
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    told = [name for name in names if name and name not in _DRAWN_ANEW]
    if not told and before.get("") == after.get(""):
        return None
    return Difference(difference.path, "a command", f"one that differs in {', '.join(told) or 'what it runs'}")


def _options(command: str) -> dict[str, list[str]]:
    """The values of each option in ``command``, in their order; ``""`` has what stands before the first one."""
    found: dict[str, list[str]] = {}
    first = _OPTION.search(command)
    found[""] = [command[: first.start()] if first is not None else command]
    for option in _OPTION.finditer(command):
        found.setdefault(option["name"], []).append(option["value"])
    return found


@dataclass(frozen=True, slots=True, order=True)
class Stray:
    """An object with our label that belongs to nothing."""

    namespace: str
    kind: str
    name: str
    function: str
    reason: str
    uid: str = field(default="", repr=False)


def delete_stray(api: KubernetesApi, stray: Stray) -> None:
    """Delete that very object, and what Kubernetes has made for it. Idempotent; ``ApiError`` when it cannot be done."""
    api.delete(path_of(resource_of(stray.kind), stray.namespace, stray.name), stray.uid)


def find_strays(
    api: KubernetesApi, cluster: str, namespaces: Collection[str], known: Collection[str] | None
) -> Iterator[Stray]:
    """What carries the label of ``cluster`` in ``namespaces``, all of them when it is empty, and is of no use.

    That is a Service, Secret or ConfigMap without the StatefulSet it was made for and, unless ``known`` is ``None``,
    whatever is of a function that is not among ``known``. The token of a function is needed while that is stopped, so
    it is a stray only by the latter. Reads only, four lists a namespace. Who may not list Secrets
    or ConfigMaps, as he makes none, is told of none.
    """
    for namespace in namespaces or ("",):
        found = {resource: _list(api, resource, namespace, cluster) for resource in _KINDS}
        running = {_job(item) for item in found["statefulsets"]}
        for resource, items in found.items():
            for item in items:
                function = _function(item)
                if known is not None and function not in known:
                    reason = "its function is not among those that were given"
                elif _job(item) not in running and not _is_token(item):
                    reason = "its StatefulSet is not there"
                else:
                    continue
                metadata = item["metadata"]
                yield Stray(
                    metadata["namespace"], _KINDS[resource], metadata["name"], function, reason, metadata["uid"]
                )


def _list(api: KubernetesApi, resource: str, namespace: str, cluster: str) -> list[Manifest]:
    try:
        answer = api.request("GET", path_of(resource, namespace), query={"labelSelector": selector(cluster)})
    except ApiError as error:
        if error.status == _FORBIDDEN and resource in _NOT_ALWAYS_MADE:
            return []
        raise
    return list(answer.get("items") or ())


def _is_token(item: Mapping[str, Any]) -> bool:
    return str(item["metadata"]["name"]).startswith(SECRET_PREFIX)


def _job(item: Mapping[str, Any]) -> tuple[str, str]:
    return str(item["metadata"]["namespace"]), _function(item)


def _function(item: Mapping[str, Any]) -> str:
    return str((item["metadata"].get("annotations") or {}).get(FUNCTION_ANNOTATION) or "")
