"""Images of containers, written without an engine or a registry: an OCI layout in one archive, which containerd reads.

The same files give the same bytes. Layers are archives of their own, so that images share those that change seldom.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_KINDS = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CHUNK = 1 << 20

Wanted = Callable[[Path], bool]


@dataclass(frozen=True)
class Image:
    """``name`` has a tag, which is not ``latest``: that one would be asked a registry for."""

    name: str
    layers: Sequence[Path]
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    """Numbers, as ``1000:1000``: Kubernetes cannot tell whether a name is root."""


def write_layer(target: Path, content: Iterable[tuple[str, Path]], wanted: Wanted = lambda path: True) -> Path:
    """An archive of files and whole directories, each with the path that it has in the image.

    ``wanted`` says of each path outside whether it is taken. All belongs to root; what is no file, directory or
    symbolic link is left out. Directories above are made; the first of two entries of one name counts.
    """
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        known = {""}
        for inside, outside in content:
            for path, name in _below(outside, inside.strip("/"), wanted):
                _add(archive, path, name, known)
    return target


def _below(outside: Path, inside: str, wanted: Wanted) -> Iterable[tuple[Path, str]]:
    yield outside, inside
    if outside.is_symlink() or not outside.is_dir():
        return
    for entry in sorted(outside.iterdir()):
        if wanted(entry):
            yield from _below(entry, f"{inside}/{entry.name}".strip("/"), wanted)


def _add(archive: tarfile.TarFile, path: Path, name: str, known: set[str]) -> None:
    parts = name.split("/")
    for parent in ("/".join(parts[:end]) for end in range(1, len(parts))):
        if parent not in known:
            known.add(parent)
            entry = tarfile.TarInfo(parent)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
    if name in known:
        return
    known.add(name)
    entry = archive.gettarinfo(path, name)
    if entry is None or not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
        return
    if entry.islnk():  # the other name may lie outside of the image
        entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
    entry.uid = entry.gid = 0
    entry.mtime = int(entry.mtime)  # Python looks whether what it has compiled is of that time
    entry.uname = entry.gname = ""
    if entry.isreg():
        with path.open("rb") as file:
            archive.addfile(entry, file)
    else:
        archive.addfile(entry)


def write_image(target: Path, image: Image) -> Path:
    """The archive ``target``, which ``ctr images import`` takes."""
    layers = [{**_blob(layer), "mediaType": f"{_KINDS}.layer.v1.tar"} for layer in image.layers]
    system = {"architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux"}
    config = _json(
        {
            **system,
            "config": {
                "Env": [f"{name}={value}" for name, value in image.environment.items()],
                **({"Entrypoint": list(image.command)} if image.command else {}),
                **({"User": image.user} if image.user else {}),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_KINDS}.manifest.v1+json",
            "config": {**_described(config), "mediaType": f"{_KINDS}.config.v1+json"},
            "layers": layers,
        }
    )
    index = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_KINDS}.index.v1+json",
            "manifests": [
                {
                    **_described(manifest),
                    "mediaType": f"{_KINDS}.manifest.v1+json",
                    "platform": system,
                    "annotations": {"io.containerd.image.name": image.name},
                }
            ],
        }
    )
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        _write(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _write(archive, "index.json", index)
        for content in (config, manifest):
            _write(archive, _place(_described(content)["digest"]), content)
        for digest, path in {layer["digest"]: path for path, layer in zip(image.layers, layers, strict=True)}.items():
            entry = tarfile.TarInfo(_place(digest))
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(entry, file)
    return target


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _described(content: bytes) -> dict[str, Any]:
    return {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def _blob(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return {"digest": f"sha256:{digest.hexdigest()}", "size": path.stat().st_size}


def _place(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _write(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
