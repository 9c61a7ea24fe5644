"""What marks an object of Kubernetes as made by pfrun, for which function, and from which version of it. Pure.

A label says whose it is: objects are listed and watched by it, and nothing is changed or deleted without it.
Annotations carry digests of what was asked for, so that a worker that comes later knows, from a list alone, what has
changed.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pulsar_runtimes.model.function import InstanceSpec
from pulsar_runtimes.model.names import FunctionKey

from .labels import FINDING_LABELS, clean_label
from .manifests import Manifests, build_manifests
from .settings import KubernetesSettings

CLUSTER_LABEL = "pfrun/cluster"
"""Its value is the functions' cluster (``pulsarFunctionsCluster``): that of one installation of workers."""

FUNCTION_ANNOTATION = "pfrun/function"
JOB_ANNOTATION = "pfrun/job"
TEMPLATE_ANNOTATION = "pfrun/template"

_SCRYPT_COST = 1 << 12
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Job:
    """All that there is on Kubernetes for one function, marked as ours.

    ``digest`` tells one version from another by everything but the number of replicas; ``template_digest`` by what
    the pods are made from. Random ids of the function count for neither.
    """

    key: FunctionKey
    manifests: Manifests
    cluster: str
    digest: str
    template_digest: str

    @property
    def namespace(self) -> str:
        return self.manifests.namespace

    @property
    def name(self) -> str:
        return self.manifests.name

    @property
    def replicas(self) -> int:
        """As the StatefulSet has it; a customizer may have changed what the function says."""
        return int(self.manifests.stateful_set["spec"]["replicas"])


def build_job(spec: InstanceSpec, settings: KubernetesSettings) -> Job:
    """The job for the function of ``spec``. ``AdmissionError`` or ``LaunchError`` when it cannot be made."""
    marks = build_marks(spec, settings)
    key = spec.function.key
    return Job(key, marks.on_all(build_manifests(spec, settings)), marks.cluster, marks.digest, marks.template_digest)


def build_marks(spec: InstanceSpec, settings: KubernetesSettings) -> Marks:
    """What marks the objects for the function of ``spec``."""
    lasting = build_manifests(_lasting(spec), settings)
    template_digest = _digest(
        {
            "template": lasting.stateful_set["spec"]["template"],
            "secret": _secret_digest(lasting.secret),
            "packages": [_package(spec.code_file), _package(spec.transform_file)],
        }
    )
    cluster = cluster_label(spec.cluster_name)
    digest = _job_digest(lasting, cluster, template_digest)
    return Marks(cluster, str(spec.function.key), digest, template_digest)


def cluster_label(cluster: str) -> str:
    """The value of :data:`CLUSTER_LABEL` for the functions' cluster of that name."""
    return clean_label(cluster)


def selector(cluster: str) -> str:
    """What lists the objects of all functions of that cluster; ``cluster`` is the label's value."""
    return f"{CLUSTER_LABEL}={cluster}"


def foreign_reason(live: Mapping[str, Any], job: Job) -> str:
    """Why ``live``, which has a name that ``job`` needs, cannot be proved to be its own; blank when it can."""
    metadata = live.get("metadata") or {}
    labels = metadata.get("labels") or {}
    what = f"{live.get('kind') or 'an object'} {metadata.get('name')} of namespace {metadata.get('namespace')}"
    remedy = f"delete it, or hand it over with the label {CLUSTER_LABEL}={job.cluster}"
    if CLUSTER_LABEL not in labels:
        return f"{what} is there already and was not made by pfrun; {remedy}"
    if labels[CLUSTER_LABEL] != job.cluster:
        return f"{what} belongs to the functions' cluster {labels[CLUSTER_LABEL]!r}, not to {job.cluster!r}"
    named = (metadata.get("annotations") or {}).get(FUNCTION_ANNOTATION)
    wanted = job.manifests.service["metadata"]["labels"]
    if named not in (None, str(job.key)) or any(labels.get(key) != wanted.get(key) for key in FINDING_LABELS):
        return f"{what} is that of another function ({named or 'by its labels'}); give one of them another jobName"
    return ""


@dataclass(frozen=True, slots=True)
class Marks:
    """The label and the annotations of one function's objects."""

    cluster: str
    function: str
    digest: str
    template_digest: str

    def on_all(self, manifests: Manifests) -> Manifests:
        """``manifests`` with the marks."""
        secret, config_map = manifests.secret, manifests.config_map
        return replace(
            manifests,
            service=self.on(manifests.service),
            secret=None if secret is None else self.on(secret),
            config_map=None if config_map is None else self.on(config_map),
            stateful_set=self._on_stateful_set(manifests.stateful_set),
        )

    def on(self, manifest: dict[str, Any], **annotations: str) -> dict[str, Any]:
        """``manifest`` with the label, and ``annotations`` beside that of the function."""
        metadata = manifest["metadata"]
        marked = {
            **metadata,
            "labels": {**(metadata.get("labels") or {}), CLUSTER_LABEL: self.cluster},
            "annotations": {
                **(metadata.get("annotations") or {}),
                FUNCTION_ANNOTATION: self.function,
                **annotations,
            },
        }
        return {**manifest, "metadata": marked}

    def _on_stateful_set(self, manifest: dict[str, Any]) -> dict[str, Any]:
        marked = self.on(manifest, **{JOB_ANNOTATION: self.digest})
        body = marked["spec"]
        template = self.on(body["template"], **{TEMPLATE_ANNOTATION: self.template_digest})
        return {**marked, "spec": {**body, "template": template}}


def _lasting(spec: InstanceSpec) -> InstanceSpec:
    """``spec`` without what may differ while its pods stay as they are."""
    return replace(spec.lasting, function=replace(spec.function, parallelism=1))


def _job_digest(lasting: Manifests, cluster: str, template_digest: str) -> str:
    stateful_set = copy.deepcopy(lasting.stateful_set)
    del stateful_set["spec"]["replicas"], stateful_set["spec"]["template"]
    content = {"service": lasting.service, "statefulSet": stateful_set, "template": template_digest, "cluster": cluster}
    return _digest(content | ({} if lasting.config_map is None else {"configMap": lasting.config_map}))


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _package(file: str) -> str:
    """Kept packages lie in a directory named after their content, below one that each worker has for itself."""
    return "/".join(file.split("/")[-2:])


def _secret_digest(secret: Mapping[str, Any] | None) -> str:
    """Whoever reads pods can read this: so that a password cannot be guessed from it, guessing is made dear."""
    if secret is None:
        return ""
    text = json.dumps(secret.get("stringData") or secret.get("data"), sort_keys=True).encode("utf-8", "surrogatepass")
    salt = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}".encode()
    return hashlib.scrypt(text, salt=salt, n=_SCRYPT_COST, r=8, p=1, dklen=_DIGITS // 2).hex()
