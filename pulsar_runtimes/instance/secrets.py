"""Secrets providers: from an entry of a function's ``secrets`` map to the secret's text."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from pulsar_runtimes.model.errors import LaunchError


class SecretsProvider(Protocol):
    """The two calls of the reference's Python secrets providers, under its names."""

    def init(self, config: Mapping[str, Any] | None) -> Any: ...

    def provide_secret(self, secret_name: str, path_to_secret: Any) -> Any: ...


class ClearTextSecretsProvider:
    """The entry of the ``secrets`` map is the secret itself."""

    def init(self, config: Mapping[str, Any] | None) -> None:
        pass

    def provide_secret(self, secret_name: str, path_to_secret: Any) -> Any:
        return path_to_secret


class EnvironmentBasedSecretsProvider:
    """The secret is in the environment variable of the secret's name."""

    def init(self, config: Mapping[str, Any] | None) -> None:
        pass

    def provide_secret(self, secret_name: str, path_to_secret: Any) -> Any:
        return os.environ.get(secret_name)


_PROVIDERS: Mapping[str, type[ClearTextSecretsProvider] | type[EnvironmentBasedSecretsProvider]] = {
    "": ClearTextSecretsProvider,
    "secretsprovider.ClearTextSecretsProvider": ClearTextSecretsProvider,
    "secretsprovider.EnvironmentBasedSecretsProvider": EnvironmentBasedSecretsProvider,
}


def build_secrets_provider(class_name: str, config: Mapping[str, Any] | None) -> SecretsProvider:
    """The provider that ``--secrets_provider`` names. ``LaunchError`` for one that is not known."""
    try:
        provider = _PROVIDERS[class_name]()
    except KeyError:
        known = ", ".join(name for name in _PROVIDERS if name)
        raise LaunchError(f"no secrets provider named {class_name!r}; known: {known}") from None
    provider.init(config)
    return provider
