"""Where the file of a function's code is, when a command line or a config file names it by a relative path."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pulsar_runtimes.config.function import PACKAGE_KEYS
from pulsar_runtimes.config.section import Section


def is_url(package: str) -> bool:
    """Whether ``package`` is something else than a path: ``http://``, ``function://``, ``builtin://``, ``file:``."""
    return "://" in package or package.startswith("file:")


def base_directory(package: str, file: str) -> Path:
    """Where the relative path ``package`` starts: the working directory, or where the function's own file lies."""
    here, beside = Path.cwd(), _directory(file)
    return beside if not (here / package).is_file() and (beside / package).is_file() else here


def check_package(section: Section, package: str, file: str, keys: Iterable[str] = PACKAGE_KEYS) -> None:
    """Note in ``section`` when there is no such file. ``file`` is where the config was read from.

    ``keys`` are those that may name the package.
    """
    if is_url(package) or (base_directory(package, file) / package).is_file():
        return
    key = next((key for key in keys if section.values.get(key)), "")
    places = dict.fromkeys([Path.cwd(), _directory(file)])
    looked = "" if Path(package).is_absolute() else f"; looked in {' and in '.join(map(str, places))}"
    section.problem(key, f"there is no such file (got {package!r}){looked}")


def _directory(file: str) -> Path:
    return Path(file).absolute().parent if file else Path.cwd()
