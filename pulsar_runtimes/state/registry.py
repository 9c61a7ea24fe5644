"""From the URL of a state store to the store."""

from __future__ import annotations

from pulsar_runtimes.model.errors import RegistryError, StateError
from pulsar_runtimes.plug_point import PlugPoint

from .base import ENTRY_POINT_GROUP, StateStore

STATE_STORES = PlugPoint(
    group=ENTRY_POINT_GROUP,
    base=StateStore,  # type: ignore[type-abstract]
    what="state store",
    setting="stateStorageServiceUrl",
)
"""The stores, by the schemes of their URLs."""


def open_state_store(url: str) -> StateStore:
    """The store that ``url`` names; nothing is connected yet. ``StateError`` says why it cannot be used."""
    scheme, colon, _ = url.partition("://")
    if not (scheme and colon):
        raise StateError(f"stateStorageServiceUrl: must be scheme://place (got {url!r})")
    try:
        return STATE_STORES.find(scheme).from_url(url)
    except RegistryError as error:
        raise StateError(str(error)) from error
    except StateError as error:
        raise StateError(f"stateStorageServiceUrl: {error}") from error
