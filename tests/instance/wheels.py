"""Wheels and sdists as tests need them: tiny, written by hand, and built without anything from elsewhere."""

from __future__ import annotations

import io
import tarfile
import textwrap
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

_BACKEND = """
import sys
import zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    {before}
    name = "{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel_directory + "/" + name, "w") as file:
        for path, content in {files!r}.items():
            file.writestr(path, content)
    return name
"""


def _files(name: str, version: str, requires: Iterable[str], more: Mapping[str, str]) -> dict[str, str]:
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    files = dict(more) or {f"{name}.py": f"VERSION = {version!r}\n"}
    files |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    return files | {f"{info}/RECORD": "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])}


def make_wheel(
    directory: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Iterable[str] = (),
    files: Mapping[str, str] | None = None,
) -> Path:
    """A wheel of one module, which knows its ``VERSION``, unless it is to hold other ``files``."""
    directory.mkdir(parents=True, exist_ok=True)
    wheel = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for path, content in _files(name, version, requires, files or {}).items():
            file.writestr(path, content)
    return wheel


def make_sdist(directory: Path, name: str, version: str = "1.0", *, before: str = "pass") -> Path:
    """An sdist with a build backend of its own that needs nothing; it runs the statement ``before`` first."""
    directory.mkdir(parents=True, exist_ok=True)
    backend = textwrap.dedent(_BACKEND).format(
        before=before, name=name, version=version, files=_files(name, version, (), {})
    )
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": backend,
    }
    sdist = directory / f"{name}-{version}.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return sdist
