"""From where a request may have its package fetched. With the defaults that is the worker's own archives only.

Source: ``PackageUrlValidator`` of Apache Pulsar 4.0.8. Stricter than there: a path must stay where it seems to lead
when its escapes and symbolic links are followed, and a redirect is held to the same rules.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit, urlunsplit

from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.function import ComponentType

PACKAGE_SCHEMES = ("function", "sink", "source")
"""Names of packages that the brokers keep: ``function://tenant/namespace/name@version``."""

REFUSED = "Function Package url is not valid.supported url (http/https/file)"
"""What the reference says of a URL that it does not take, whatever the reason."""


@dataclass(frozen=True, slots=True)
class UrlRules:
    """A directory is ``None`` when its files must not be named. Patterns must match the whole URL."""

    connectors_directory: Path | None = None
    functions_directory: Path | None = None
    connector_patterns: tuple[re.Pattern[str], ...] = ()
    function_patterns: tuple[re.Pattern[str], ...] = ()

    @classmethod
    def from_config(cls, config: WorkerConfig) -> Self:
        """``ConfigError`` for a pattern that is none."""
        connectors, functions = Path(config.connectors_directory), Path(config.functions_directory)
        return cls(
            connectors.absolute() if config.enable_referencing_connector_directory_files else None,
            functions.absolute() if config.enable_referencing_functions_directory_files else None,
            _patterns("additionalEnabledConnectorUrlPatterns", config.additional_enabled_connector_url_patterns),
            _patterns("additionalEnabledFunctionsUrlPatterns", config.additional_enabled_functions_url_patterns),
        )

    def allows(self, kind: ComponentType, url: str) -> bool:
        """Whether a component of ``kind`` may come from ``url``, which is ``http``, ``https`` or ``file``."""
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            return False
        is_function = kind is ComponentType.FUNCTION
        patterns = self.function_patterns if is_function else self.connector_patterns
        directory = self.functions_directory if is_function else self.connectors_directory
        if parts.scheme in ("http", "https"):
            return bool(parts.hostname) and _matches(patterns, _normalised(url))
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or "\0" in unquote(parts.path):
            return False
        path = Path(unquote(parts.path))
        if not path.is_absolute() or ".." in path.parts:
            return False
        real = path.resolve()
        if directory is not None and real.is_relative_to(directory.resolve()):
            return True
        return _matches(patterns, _normalised(url)) and _matches(patterns, *_spellings(real))


def is_package_name(url: str) -> bool:
    """Whether ``url`` is the name of a package that the brokers keep."""
    return url.partition("://")[0] in PACKAGE_SCHEMES and "://" in url


def without_password(url: str) -> str:
    """``url`` fit to be shown."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}"))


def _patterns(key: str, texts: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    problems, patterns = [], []
    for index, text in enumerate(texts):
        try:
            patterns.append(re.compile(text))
        except re.error as error:
            problems.append(Problem(f"{key}[{index}]", f"is no regular expression ({error})"))
    if problems:
        raise ConfigError(problems)
    return tuple(patterns)


def _matches(patterns: Sequence[re.Pattern[str]], *urls: str) -> bool:
    return any(pattern.fullmatch(url) for pattern in patterns for url in urls)


def _normalised(url: str) -> str:
    """``url`` without ``.`` and ``..`` in its path."""
    parts = urlsplit(url)
    path = posixpath.normpath(parts.path) if parts.path else ""
    if parts.path.endswith("/") and not path.endswith("/"):
        path += "/"
    normal = urlunsplit(parts._replace(path=path))
    # A file's URL keeps the number of slashes that it was written with.
    return normal if parts.scheme != "file" or url.startswith("file://") else normal.replace("file://", "file:", 1)


def _spellings(path: Path) -> tuple[str, str]:
    return path.as_uri(), path.as_uri().replace("file://", "file:", 1)
