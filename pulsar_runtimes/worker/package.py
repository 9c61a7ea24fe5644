"""Where a function's code lies on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import FunctionSpec


def resolve_package(function: FunctionSpec, base: Path) -> FunctionSpec:
    """``function`` with the absolute path of its code. A relative path starts at ``base``.

    ``AdmissionError`` when there is no such file, or when the code would have to be fetched from elsewhere.
    """
    location = function.package
    if not location:
        raise AdmissionError(f"{function.key}: it has no code; give its file as py, jar or go")
    parts = urlsplit(location)
    if parts.scheme == "file":
        location = unquote(parts.path)
    elif "://" in location:
        raise AdmissionError(
            f"{function.key}: package {location!r}: this version of pfrun reads packages from local files only"
        )
    path = (base / location).resolve()
    if not path.is_file():
        raise AdmissionError(f"{function.key}: package {str(path)!r}: there is no such file")
    return replace(function, package=str(path))
