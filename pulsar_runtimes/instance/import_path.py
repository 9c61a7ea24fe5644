"""Where a function's dependencies stand on ``sys.path``, and which of them are overruled by others."""

from __future__ import annotations

import importlib.metadata
import re
import site
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

_INFO = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)\.(dist|egg)-info")


def add_dependencies(directory: Path, *, last: bool) -> list[str]:
    """Make what is installed in ``directory`` importable, and tell what of it will not be used.

    It stands where a virtual environment's packages stand: behind the standard library, in front of pfrun's. Or
    at the end (``last``), in an interpreter that other functions share.
    """
    before = list(sys.path)
    site.addsitedir(str(directory))  # also does what .pth files ask for
    added = [entry for entry in sys.path if entry not in before]
    if not last and added:
        place = _behind_the_standard_library(before)
        sys.path[:] = [*before[:place], *added, *before[place:]]
    return _overruled(directory)


def _behind_the_standard_library(path: list[str]) -> int:
    library = Path(sysconfig.get_path("stdlib"))
    return max((i for i, p in enumerate(path) if Path(p) in (library, library / "lib-dynload")), default=-1) + 1


def _overruled(directory: Path) -> list[str]:
    """Distributions in ``directory`` of which another version is used: one found earlier, or loaded already.

    What is loaded stays: an interpreter has one ``google.protobuf``, and pfrun's own parts work with it by now.
    """
    wanted = _distributions(directory)
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    found: dict[str, str] = {}
    earlier = True
    for entry in dict.fromkeys(sys.path):
        if Path(entry) == directory:
            earlier = False
            continue
        for name, (version, info) in _distributions(Path(entry)).items():
            if name not in wanted or name in found or wanted[name][0] == version:
                continue
            if earlier or _is_loaded(info, loaded):
                found[name] = f"{name} {wanted[name][0]} (there is {version})"
    return sorted(found.values())


def _distributions(directory: Path) -> Mapping[str, tuple[str, Path]]:
    """The distributions in ``directory`` by their normalized names: versions, and where their data lies."""
    found = {}
    for info in directory.glob("*-info") if directory.is_dir() else ():
        if match := _INFO.fullmatch(info.name):
            found[re.sub(r"[-_.]+", "-", match["name"]).lower()] = (match["version"], info)
    return found


def _is_loaded(info: Path, loaded: set[str | None]) -> bool:
    files = importlib.metadata.Distribution.at(info).files or ()
    return any(str(info.parent / file) in loaded for file in files)
