"""The name that a function has on Kubernetes: of its StatefulSet, of its Service, and the beginning of its pods'.

Source: ``KubernetesRuntime#createJobName`` and ``#doChecks`` of Apache Pulsar 4.0.8. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from pulsar_runtimes.model.names import FunctionKey

LONGEST_JOB_NAME = 53
"""Kubernetes gives pods a label with the name and the revision of their StatefulSet, which leaves this much."""

_HASH_DIGITS = 8
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9-.]")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")

_REMEDY = "give the function another name, or a jobName of its own"


def clean_name(text: str) -> str:
    """``text`` in lower case, with a dash for each character that a name may not hold."""
    return _NOT_IN_A_NAME.sub("-", text.lower())


def build_job_name(key: FunctionKey, override: str = "") -> str:
    """The job's name: ``pf-tenant-namespace-name``, or ``override`` with the hash that keeps it apart from others.

    What had to be cleaned gets a hash, too, as several names may be alike then. Nothing is cut off, and the name may
    be one that Kubernetes refuses: see :func:`job_name_problems`.
    """
    base = f"{key.tenant}-{key.namespace}-{key.name}"
    if override:
        return f"{clean_name(override)}-{_hash(f'{override}-{base}')}"
    name = f"pf-{base}"
    cleaned = clean_name(name)
    return name if cleaned == name else f"{cleaned}-{_hash(base)}"


def _hash(text: str) -> str:
    # Told apart, not protected: names have to be those of the reference.
    digest = hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False)
    return digest.hexdigest()[:_HASH_DIGITS]


def job_name_problems(name: str, *, strict: bool = False) -> Iterator[str]:
    """Why ``name`` cannot be that of a job.

    With ``strict`` only what the reference finds. It lets a dot pass, and a digit at the front, which the API server
    refuses in the name of a Service.
    """
    if not _DNS_NAME.fullmatch(name):
        yield f"its job name {name!r} must begin and end with a letter or digit, also around each dot; {_REMEDY}"
    elif not strict and not _SERVICE_NAME.fullmatch(name):
        yield (
            f"its job name {name!r} must begin with a letter and hold no dot, "
            f"or the API server refuses the Service; {_REMEDY}"
        )
    if len(name) > LONGEST_JOB_NAME:
        yield f"its job name {name!r} has {len(name)} characters, and {LONGEST_JOB_NAME} are the most; {_REMEDY}"
