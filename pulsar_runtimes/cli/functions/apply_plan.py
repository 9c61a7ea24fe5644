"""What has to be done so that a worker has the functions, sinks and sources of a directory: found, not done."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from pulsar_runtimes.client.errors import MissingError, RequestError
from pulsar_runtimes.client.functions import FunctionsClient, open_file
from pulsar_runtimes.config.document import read_document
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.model.names import FunctionKey, full_topic

from .applied_kind import FUNCTION, KINDS, Kind
from .function_request import FunctionRequest

CODE = "code"
"""Stands among the members of an update for the package."""

_TOPICS = ("output", "topicName", "logTopic", "deadLetterTopic")
_NAMES = ("tenant", "namespace", "name")
_SUFFIXES = (".yml", ".yaml", ".json")
_CHUNK_BYTES = 1 << 20


class Action(enum.Enum):
    """What a function, sink or source needs."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one file describes: the ``request`` that creates it, and the ``change`` that updates it.

    ``stated`` are the members that the file names, with what they mean. One that no worker tells of, such as
    ``skipToLatest``, counts when the function is created only.
    """

    kind: Kind
    file: str
    request: FunctionRequest
    change: Mapping[str, Any]
    stated: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One component's part of the plan. ``members`` are those that differ; ``request`` is what makes it right."""

    kind: Kind
    action: Action
    key: FunctionKey
    members: tuple[str, ...] = ()
    request: FunctionRequest | None = None


def read_directory(directory: Path) -> tuple[list[Wanted], list[Problem]]:
    """What the config files in ``directory`` describe, and warnings. ``ConfigError`` with every problem of all.

    Those of functions are in the directory itself or in ``functions``, the others in ``sinks`` and ``sources``.
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    found: dict[FunctionKey, Wanted] = {}
    files = list(_files(directory, problems))
    for kind, file in files:
        try:
            section = read_document(Path(file))
            wanted = _read(kind, section, file)
            warnings += section.warnings
        except ConfigError as error:
            problems += error.problems
            continue
        other = found.setdefault(wanted.request.key, wanted)
        if other is not wanted:
            problems.append(
                Problem("", f"{wanted.request.key} is the {other.kind.title} of {other.file} as well", file)
            )
    if not files and not problems:
        problems.append(Problem("", f"has no configs: no file ends in {', '.join(_SUFFIXES)}", str(directory)))
    if problems:
        raise ConfigError(problems)
    return list(found.values()), warnings


def _files(directory: Path, problems: list[Problem]) -> Iterator[tuple[Kind, str]]:
    """Each config file, and what it describes; what is wrong with the directories goes to ``problems``."""
    folders = {kind.folder: kind for kind in KINDS}
    inner: list[tuple[Kind, Path]] = [(FUNCTION, directory)]
    for path in _entries(directory):
        if not path.is_dir():
            continue
        kind = folders.get(path.name)
        meant = folders.get(path.name.lower().removesuffix("s") + "s")
        if kind is not None:
            inner.append((kind, path))
        elif meant is not None:
            problems.append(Problem("", f"is not read; is {meant.folder}/ meant?", str(path)))
    for kind, folder in inner:
        yield from ((kind, str(path)) for path in _entries(folder) if path.suffix in _SUFFIXES and path.is_file())


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError as error:
        raise ConfigError(Problem("", f"cannot be read: {(error.strerror or '').lower()}", str(directory))) from None


def _read(kind: Kind, section: Section, file: str) -> Wanted:
    kind.refuse_other_kinds(section)
    request = kind.request(section, file)
    config = kind.config(section)
    members = {kind.member(key) for key in request.config}
    stated = {key: config[key] for key in config if key in members and key not in _NAMES}
    change = {key: value for key, value in request.config.items() if kind.member(key) in {*stated, *_NAMES}}
    resources = section.values.get("resources")
    if isinstance(resources, dict):
        stated["resources"] = {key: config["resources"][key] for key in resources if resources[key] is not None}
    return Wanted(kind, file, request, change, stated)


def plan_steps(client: FunctionsClient, wanted: Sequence[Wanted], *, prune: bool) -> list[Step]:
    """What to do, in this order: deletions, as names are shared by all kinds; then kind by kind, and by name.

    ``ConfigError`` with every difference that no update can make.
    """
    steps: list[Step] = []
    problems: list[Problem] = []
    for each in wanted:
        try:
            steps.append(_plan_one(client, each, prune=prune))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    if prune:
        steps += _plan_prune(client, {(each.kind.type, each.request.key) for each in wanted})
    return sorted(steps, key=lambda step: (step.action is not Action.DELETE, KINDS.index(step.kind), step.key))


def _plan_one(client: FunctionsClient, wanted: Wanted, *, prune: bool) -> Step:
    request, kind = wanted.request, wanted.kind
    try:
        existing = client.of_kind(kind.type).get(request.key)
    except MissingError:
        if not prune:
            _check_other_kinds(client, wanted)
        return Step(kind, Action.CREATE, request.key, request=request)
    members = tuple(key for key, value in wanted.stated.items() if not _is_same(key, value, existing.get(key)))
    if not _changes_anything(wanted, existing, members):
        members = ()
    is_new_code = request.file is not None and _has_other_code(client, request.key, request.file)
    if not members and not is_new_code:
        return Step(kind, Action.NOTHING, request.key)
    needed = FunctionRequest(request.key, wanted.change, request.file if is_new_code else None, "")
    return Step(kind, Action.UPDATE, request.key, (*members, CODE) if is_new_code else members, needed)


def _check_other_kinds(client: FunctionsClient, wanted: Wanted) -> None:
    """``ConfigError`` when the worker has the name as that of another kind, as far as it tells."""
    key = wanted.request.key
    for kind in KINDS:
        if kind is wanted.kind:
            continue
        try:
            client.of_kind(kind.type).get(key)
        except RequestError:
            continue
        why = f"is a {kind.title} on the worker; delete it first, or with --prune"
        raise ConfigError(Problem("", why, f"{wanted.file}: {key}"))


def _changes_anything(wanted: Wanted, existing: Mapping[str, Any], members: Sequence[str]) -> bool:
    """Whether an update does anything about ``members``. ``ConfigError`` when it cannot do all of it."""
    where = f"{wanted.file}: {wanted.request.key}"
    try:
        merged = wanted.kind.merge(existing, wanted.change)
    except ConfigError as error:
        raise ConfigError(Problem(each.path, each.message, where) for each in error.problems) from None
    kept = [key for key in members if key in wanted.kind.kept]
    stay = [key for key in kept if merged.get(key) == existing.get(key)]
    if (
        "inputSpecs" in members
        and _by_full_topic(wanted.stated["inputSpecs"]).keys()
        != _by_full_topic(existing.get("inputSpecs") or {}).keys()
    ):
        stay.append("inputSpecs")
    if stay:
        why = f"cannot be changed by an update; delete the {wanted.kind.title} and create it anew"
        raise ConfigError(Problem(key, why, where) for key in stay)
    return any(merged.get(key) != existing.get(key) for key in {*merged, *existing} - {"inputs"})


def _is_same(key: str, value: Any, existing: Any) -> bool:
    if key == "resources" and isinstance(existing, dict):
        return all(existing.get(name) == amount for name, amount in value.items())
    if key == "inputSpecs" and isinstance(existing, dict):
        return _by_full_topic(value) == _by_full_topic(existing)
    if key in _TOPICS and isinstance(existing, str):
        return full_topic(value) == full_topic(existing)
    if key == "transformFunctionConfig":
        return bool(_as_json(value) == _as_json(existing))
    return bool(value == existing)


def _as_json(text: object) -> Any:
    try:
        return json.loads(str(text))
    except ValueError:
        return text


def _by_full_topic(specs: Mapping[str, Any]) -> dict[str, Any]:
    return {name if spec.get("regexPattern") else full_topic(name): spec for name, spec in specs.items()}


def _has_other_code(client: FunctionsClient, key: FunctionKey, file: Path) -> bool:
    remote = _Digest()
    client.download(key, cast(BinaryIO, remote))
    local = hashlib.sha256()
    with open_file(file) as content:
        while chunk := content.read(_CHUNK_BYTES):
            local.update(chunk)
    return remote.hash.digest() != local.digest()


class _Digest:
    """Takes bytes as a file does, and keeps their hash only."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return len(data)


def _plan_prune(client: FunctionsClient, wanted: set[tuple[ComponentType, FunctionKey]]) -> Iterator[Step]:
    """Deletes what is in the namespaces of the directory's components, of any kind, and not in the directory."""
    for tenant, namespace in sorted({(key.tenant, key.namespace) for _, key in wanted}):
        for kind in KINDS:
            for name in client.of_kind(kind.type).names(tenant, namespace):
                key = FunctionKey(tenant, namespace, name)
                if (kind.type, key) not in wanted:
                    yield Step(kind, Action.DELETE, key)
