"""Where a function's code lies on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pulsar_runtimes.model.component import BUILTIN, component_of
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import ComponentType, FunctionSpec, Language

from .archives import Archives


def resolve_package(function: FunctionSpec, base: Path, archives: Archives) -> FunctionSpec:
    """``function`` with the absolute path of its code, and of a sink's function. A relative path starts at ``base``.

    ``archives`` has what is built in. ``AdmissionError`` when there is no such file, or when the code would have to be
    fetched from elsewhere.
    """
    if not function.package:
        raise AdmissionError(f"{function.key}: it has no code; give its file as py, jar, go or archive")
    try:
        path = _find(function.package, component_of(function), function.language, base, archives)
        if function.transform_package:
            transform = _find(function.transform_package, ComponentType.FUNCTION, Language.JAVA, base, archives)
            function = replace(function, transform_package=str(transform))
    except AdmissionError as error:
        raise AdmissionError(f"{function.key}: {error}") from None
    return replace(function, package=str(path))


def _find(location: str, kind: ComponentType, language: Language, base: Path, archives: Archives) -> Path:
    if location.startswith(BUILTIN) and language is Language.JAVA:
        return archives.find(kind, location.removeprefix(BUILTIN)).path
    parts = urlsplit(location)
    if parts.scheme == "file":
        location = unquote(parts.path)
    elif "://" in location:
        raise AdmissionError(f"package {location!r}: this version of pfrun reads packages from local files only")
    path = (base / location).resolve()
    if not path.is_file():
        raise AdmissionError(f"package {str(path)!r}: there is no such file")
    return path
