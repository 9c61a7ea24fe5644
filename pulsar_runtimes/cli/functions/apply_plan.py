"""What has to be done so that a worker has the functions of a directory: found by asking, changed by nobody."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from pulsar_runtimes.client.errors import MissingError
from pulsar_runtimes.client.functions import FunctionsClient, open_file
from pulsar_runtimes.config.function import parse_function_config, read_function_config
from pulsar_runtimes.config.function_input import INPUT_KEYS
from pulsar_runtimes.config.function_json import build_function_config
from pulsar_runtimes.config.function_update import merge_update
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.names import FunctionKey, full_topic

from .function_request import FunctionRequest, build_request

CODE = "code"
"""Stands among the members of an update for the package."""

_NAMES = ("tenant", "namespace", "name")
_SUFFIXES = (".yml", ".yaml", ".json")
_CHUNK_BYTES = 1 << 20


class Action(enum.Enum):
    """What a function needs."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A function as one file has it: the ``request`` that creates it, and the ``change`` that updates it.

    ``stated`` are the members that the file names, with what they mean. One that no worker tells of, such as
    ``skipToLatest``, counts when the function is created only.
    """

    file: str
    request: FunctionRequest
    change: Mapping[str, Any]
    stated: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One function's part of the plan. ``members`` are those that differ; ``request`` is what makes it right."""

    action: Action
    key: FunctionKey
    members: tuple[str, ...] = ()
    request: FunctionRequest | None = None


def read_directory(directory: Path) -> tuple[list[Wanted], list[Problem]]:
    """The functions of the config files in ``directory``, and warnings. ``ConfigError`` with every problem of all."""
    try:
        files = sorted(str(path) for path in directory.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    except OSError as error:
        raise ConfigError(Problem("", f"cannot be read: {(error.strerror or '').lower()}", str(directory))) from None
    problems: list[Problem] = []
    warnings: list[Problem] = []
    found: dict[FunctionKey, Wanted] = {}
    for file in files:
        try:
            section = read_function_config(file)
            wanted = _read(section, file)
            warnings += section.warnings
        except ConfigError as error:
            problems += error.problems
            continue
        other = found.setdefault(wanted.request.key, wanted)
        if other is not wanted:
            problems.append(Problem("", f"{wanted.request.key} is the function of {other.file} as well", file))
    if not files:
        problems.append(Problem("", f"has no function configs: no file ends in {', '.join(_SUFFIXES)}", str(directory)))
    if problems:
        raise ConfigError(problems)
    return list(found.values()), warnings


def _read(section: Section, file: str) -> Wanted:
    request = build_request(section, file)
    config = build_function_config(parse_function_config(replace(section, problems=[], warnings=[])))
    members = {_member(key) for key in request.config}
    stated = {key: config[key] for key in config if key in members and key not in _NAMES}
    change = {key: value for key, value in request.config.items() if _member(key) in {*stated, *_NAMES}}
    resources = section.values.get("resources")
    if isinstance(resources, dict):
        stated["resources"] = {key: config["resources"][key] for key in resources if resources[key] is not None}
    return Wanted(file, request, change, stated)


def _member(key: str) -> str:
    """Where a worker tells what ``key`` of a config file sets."""
    return "inputSpecs" if key in INPUT_KEYS else "producerConfig" if key == "batchBuilder" else key


def plan_steps(client: FunctionsClient, wanted: Sequence[Wanted], *, prune: bool) -> list[Step]:
    """What to do, in the order of names. ``ConfigError`` with every difference that no update can make."""
    steps: list[Step] = []
    problems: list[Problem] = []
    for each in wanted:
        try:
            steps.append(_plan_one(client, each))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    if prune:
        steps += _plan_prune(client, {each.request.key for each in wanted})
    return sorted(steps, key=lambda step: step.key)


def _plan_one(client: FunctionsClient, wanted: Wanted) -> Step:
    request = wanted.request
    try:
        existing = client.get(request.key)
    except MissingError:
        return Step(Action.CREATE, request.key, request=request)
    members = tuple(key for key, value in wanted.stated.items() if not _is_same(key, value, existing.get(key)))
    _check(wanted, existing, members)
    is_new_code = request.file is not None and _has_other_code(client, request.key, request.file)
    if not members and not is_new_code:
        return Step(Action.NOTHING, request.key)
    needed = FunctionRequest(request.key, wanted.change, request.file if is_new_code else None, "")
    return Step(Action.UPDATE, request.key, (*members, CODE) if is_new_code else members, needed)


def _check(wanted: Wanted, existing: Mapping[str, Any], members: Sequence[str]) -> None:
    try:
        merged = merge_update(existing, wanted.change)
    except ConfigError as error:
        where = f"{wanted.file}: {wanted.request.key}"
        raise ConfigError(Problem(each.path, each.message, where) for each in error.problems) from None
    kept = [key for key in members if key in ("subscriptionPosition", "forwardSourceMessageProperty")]
    stay = [key for key in kept if merged.get(key) == existing.get(key)]
    if stay:
        why = "cannot be changed by an update; delete the function and create it anew"
        raise ConfigError(Problem(key, why, f"{wanted.file}: {wanted.request.key}") for key in stay)


def _is_same(key: str, value: Any, existing: Any) -> bool:
    if key == "resources" and isinstance(existing, dict):
        return all(existing.get(name) == amount for name, amount in value.items())
    if key == "inputSpecs" and isinstance(existing, dict):
        return _by_full_topic(value) == _by_full_topic(existing)
    if key in ("output", "logTopic", "deadLetterTopic") and isinstance(existing, str):
        return full_topic(value) == full_topic(existing)
    return bool(value == existing)


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


def _plan_prune(client: FunctionsClient, wanted: set[FunctionKey]) -> Iterator[Step]:
    """Deletes what is in the namespaces of the directory's functions, and not in the directory."""
    for tenant, namespace in sorted({(key.tenant, key.namespace) for key in wanted}):
        for name in client.names(tenant, namespace):
            key = FunctionKey(tenant, namespace, name)
            if key not in wanted:
                yield Step(Action.DELETE, key)
