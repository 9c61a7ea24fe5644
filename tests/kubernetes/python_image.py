"""An image like that of the ``Containerfile``, made from what this machine has: no registry, no engine, no downloads.

It holds the interpreter that runs the tests, the shared libraries it needs, pfrun with what it depends on, and nothing
else; there is not even a shell.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from tests.kubernetes.image import Image, write_image, write_layer

NAME = "pfrun.test/python:1"
JAVA_NAME = "pfrun.test/java:1"
PULSAR_ROOT = "/pulsar"
USER = "10001:10001"

_ROOT = Path(__file__).parents[2]
_PLACE = "/usr/local"
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_PACKAGES = f"{_PLACE}/lib/{_VERSION}/site-packages"
_LEFT_OUT = ("test", "idlelib", "tkinter", "ensurepip", "site-packages", "dist-packages", "lib2to3", "turtledemo")
_LDD_FILES = 500


def build_python_image(directory: Path) -> Path:
    """The archive of the image :data:`NAME`, made in ``directory``."""
    return write_image(directory / "image.tar", _image(NAME, _python_layers(directory)))


def build_java_image(directory: Path, java: Path, pulsar_home: Path) -> Path:
    """The same with what Java functions need, as :data:`JAVA_NAME`: the Java whose program is ``java``, and Pulsar."""
    runtime = java.resolve().parents[1]
    links = [path for path in runtime.rglob("*") if path.is_symlink()]
    outside = [(str(link.readlink()), link.resolve()) for link in links if link.readlink().is_absolute()]
    programs = [path for path in runtime.rglob("*.so") if path.is_file()]
    layer = write_layer(
        directory / "java.tar",
        [
            (f"{_PLACE}/java", runtime),
            (f"{_PLACE}/bin/java", _link(directory / "java", "../java/bin/java")),
            *((name, path) for name, path in outside if path.exists()),
            *((str(path), path.resolve()) for path in _libraries([java.resolve(), *programs]) if path.exists()),
            *((f"{PULSAR_ROOT}/{name}", pulsar_home / name) for name in ("instances", "lib")),
        ],
        lambda path: path.name not in ("legal", "jmods", "src.zip", "man"),
    )
    return write_image(directory / "image.tar", _image(JAVA_NAME, [*_python_layers(directory), layer]))


def _python_layers(directory: Path) -> list[Path]:
    standard = Path(sysconfig.get_path("stdlib"))
    interpreter = Path(sys.executable).resolve()
    packages = list(_installed("pulsar-runtimes", set()))

    def wanted(path: Path) -> bool:
        if path.parent == standard:
            return path.name not in _LEFT_OUT and not path.name.startswith("config-")
        return not path.name.startswith("_tkinter.")

    shared = [path for path in (standard / "lib-dynload").glob("*.so") if wanted(path)]
    shared += [path for _, path in packages if ".so" in path.suffixes]
    base = write_layer(
        directory / "python.tar",
        [
            (f"{_PLACE}/bin/{_VERSION}", interpreter),
            (f"{_PLACE}/bin/python3", _link(directory / "python3", _VERSION)),
            (f"{_PLACE}/lib/{_VERSION}", standard),
            *((str(library), library.resolve()) for library in _libraries([interpreter, *shared])),
        ],
        wanted,
    )
    own = write_layer(
        directory / "pfrun.tar",
        [*packages, (f"{_PACKAGES}/pulsar_runtimes", _ROOT / "pulsar_runtimes"), ("/tmp", _empty(directory / "tmp"))],
    )
    return [base, own]


def _image(name: str, layers: Sequence[Path]) -> Image:
    environment = {"PATH": f"{_PLACE}/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    return Image(name, layers, environment=environment, user=USER)


def _installed(name: str, seen: set[str]) -> Iterator[tuple[str, Path]]:
    """The files of a distribution and of all that it requires here, with their paths in the image."""
    if name in seen:
        return
    seen.add(name)
    distribution = importlib.metadata.distribution(name)
    for file in distribution.files or ():
        if ".." not in file.parts and not file.name.endswith(".pth"):
            yield f"{_PACKAGES}/{file}", Path(str(file.locate()))
    for text in distribution.requires or ():
        requirement = Requirement(text)
        extras = requirement.extras or {""}
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from _installed(requirement.name, seen)
            for extra in extras:
                yield from _of_extra(requirement.name, extra, seen)


def _of_extra(name: str, extra: str, seen: set[str]) -> Iterator[tuple[str, Path]]:
    for text in importlib.metadata.distribution(name).requires or ():
        requirement = Requirement(text)
        if extra and requirement.marker is not None and requirement.marker.evaluate({"extra": extra}):
            yield from _installed(requirement.name, seen)


def _libraries(files: Iterable[Path]) -> list[Path]:
    """The shared libraries of the machine that ``files`` are linked with, and the program that loads them."""
    found: set[Path] = set()
    paths = [str(path) for path in files]
    for begin in range(0, len(paths), _LDD_FILES):
        done = subprocess.run(["ldd", *paths[begin : begin + _LDD_FILES]], capture_output=True, text=True)
        for line in done.stdout.splitlines():
            name, arrow, rest = line.strip().partition(" => ")
            path = (rest if arrow else name).partition(" (")[0]
            if path.startswith("/") and not path.endswith(":") and ".libs/" not in path:
                found.add(Path(path))
    return sorted(found)


def _link(path: Path, target: str) -> Path:
    path.symlink_to(target)
    return path


def _empty(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path
