"""What a command line asks for - a worker and its functions - with everything that is wrong found in one go."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pulsar_runtimes.config.document import read_document
from pulsar_runtimes.config.environment import apply_environment
from pulsar_runtimes.config.function import parse_function_config, read_function_config
from pulsar_runtimes.config.section import Section, nearest
from pulsar_runtimes.config.worker import (
    WORKER_CONF_VARIABLE,
    WorkerConfig,
    load_worker_config,
    parse_worker_config,
)
from pulsar_runtimes.model.errors import AdmissionError, ConfigError, PfrunError, Problem, RegistryError
from pulsar_runtimes.model.function import FunctionSpec
from pulsar_runtimes.supervisor.policy import RestartPolicy
from pulsar_runtimes.worker.broker_keeper import BROKERS, EMBEDDED_BROKER
from pulsar_runtimes.worker.worker import Worker

from .function_settings import warn_without_effect
from .options import WorkerOptions
from .package_file import base_directory, check_package

_NAMING_KEYS = frozenset(
    {
        "",  # the file as a whole
        "functionRuntimeFactoryClassName",
        "threadContainerFactory",
        "processContainerFactory",
        "kubernetesContainerFactory",
    }
)
"""A mistake at one of these leaves open which runtime it is."""


@dataclass(frozen=True, slots=True)
class LoadedFunction:
    """A function and where it was read from. ``base`` is the directory its package's relative path starts at.

    ``admitted`` tells whether the worker would run it; ``spec`` has the absolute path of the package then.
    """

    file: str
    section: Section
    spec: FunctionSpec
    base: Path
    admitted: bool


@dataclass
class Workload:
    """A worker, not started, and the functions to run. ``worker`` is ``None`` when its configuration is wrong."""

    worker: Worker | None = None
    functions: list[LoadedFunction] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def warnings_to_print(self) -> list[Problem]:
        """The warnings that nobody else tells: a worker that starts logs its own."""
        started = () if self.problems or self.worker is None else self.worker.warnings
        return [warning for warning in self.warnings if warning not in started]

    def require_worker(self) -> Worker:
        """The worker. ``ConfigError`` with every problem found, if there is any."""
        if self.problems or self.worker is None:
            raise ConfigError(self.problems)
        return self.worker


def load_workload(options: WorkerOptions, *, grace_seconds: float = 10.0) -> Workload:
    """Read everything that ``options`` names. Raises nothing for what is wrong in it, and starts nothing."""
    workload = Workload()
    try:
        config = load_worker_config(options.conf)
    except ConfigError as error:
        workload.problems += error.problems
        _add_what_else_is_wrong(workload, options, error)
    else:
        add_worker(workload, config, options.state_dir, options.broker, grace_seconds=grace_seconds)
    for file in options.function_config:
        add_function(workload, file)
    return workload


def _add_what_else_is_wrong(workload: Workload, options: WorkerOptions, error: ConfigError) -> None:
    """The problems of the runtime's part, and the warnings: all that is told only when the worker's part is right.

    Both are looked for as if the wrong keys were not there, unless they decide which runtime it is.
    """
    wrong = {re.split(r"[.\[]", problem.path)[0] for problem in error.problems}
    if wrong & _NAMING_KEYS:
        return
    file = options.conf or os.environ.get(WORKER_CONF_VARIABLE, "")
    document = read_document(Path(file)) if file.strip() else Section({})
    section = replace(apply_environment(document, os.environ), problems=[], warnings=[])
    for key in wrong:
        section = section.without(key)
    try:
        config = parse_worker_config(section)
    except ConfigError:  # only what was told already: nothing is read that was not read before
        return
    add_worker(workload, config, options.state_dir, options.broker)
    workload.worker = None


def add_worker(
    workload: Workload,
    config: WorkerConfig,
    state_dir: str | None,
    broker: str = EMBEDDED_BROKER,
    *,
    grace_seconds: float = 10.0,
    restart_policy: RestartPolicy | None = None,
) -> None:
    """Make the worker of ``workload``; what is wrong with it becomes problems."""
    try:
        worker = Worker(
            config,
            state_dir=state_dir,
            broker=broker,
            restart_policy=restart_policy,
            stop_grace_seconds=grace_seconds,
        )
        if not config.pulsar_service_url:
            BROKERS.find(broker)
    except (ConfigError, RegistryError) as error:
        workload.problems += _located(error, config)
        workload.warnings += (*config.warnings, *_misspelled(config.runtime_section))
        return
    workload.worker = worker
    workload.warnings += worker.warnings
    if worker.state_dir.exists() and not worker.state_dir.is_dir():
        workload.problems.append(Problem("", "the state directory must be a directory", str(worker.state_dir)))


def _misspelled(section: Section) -> Iterator[Problem]:
    """A warning for each key of a refused ``section`` that is nearly one that was looked for in it."""
    for key in section.unread():
        hint = nearest(key, sorted(section.seen))
        if hint:  # any other key may be one that its reader did not come to
            before = len(section.warnings)
            section.warn(key, f"is not a known key{hint}")
            yield from section.warnings[before:]


def _located(error: PfrunError, config: WorkerConfig) -> Sequence[Problem]:
    """``error`` as problems, at the place of the setting that its text begins with."""
    if isinstance(error, ConfigError):
        return error.problems
    text = str(error)
    for setting in config.settings:
        if text.startswith(f"{setting.key}: ") and setting.origin != "default":
            return [Problem("", text, setting.origin)]
    return [Problem("", text)]


def add_function(workload: Workload, file: str) -> None:
    """Read the function in ``file`` into ``workload``."""
    try:
        section = read_function_config(file)
    except ConfigError as error:
        workload.problems += error.problems
        return
    add_function_section(workload, section, file)


def add_function_section(workload: Workload, section: Section, file: str = "") -> None:
    """Parse and admit the function of ``section``; what is wrong with it becomes problems."""
    try:
        spec = parse_function_config(section)
    except ConfigError as error:
        workload.problems += error.problems
        workload.warnings += section.warnings
        return
    base = base_directory(spec.package, file)
    found = list(_find_problems(workload, section, spec, file))
    if workload.worker is not None:
        if not workload.worker.factory.capabilities.runs_all_replicas:
            warn_without_effect(spec, section, workload.worker)
        if not found:
            try:
                spec = workload.worker.admit(spec, base)
            except (AdmissionError, ConfigError) as error:
                found.append(Problem("", str(error), file or None))
            except RegistryError:
                pass  # the broker's name: a problem of the worker, and told as that
    workload.problems += found
    workload.warnings += section.warnings
    workload.functions.append(LoadedFunction(file, section, spec, base, workload.worker is not None and not found))


def _find_problems(workload: Workload, section: Section, spec: FunctionSpec, file: str) -> Iterator[Problem]:
    """What is wrong in the view of this command line, and needs no worker to tell."""
    for other in workload.functions:
        if other.spec.key == spec.key:
            yield Problem("", f"{spec.key} is the function of {other.file} as well; a name may be given once", file)
    before = len(section.problems)
    check_package(section, spec.package, file)
    yield from section.problems[before:]
