"""Looks at what of some stores waits for a person or for another flow; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.hub.database import open_hub
from tasks.hub.watching import WatchedStore, watch_store
from tasks.settings import Settings


def watch_stores(settings: Settings, stores: Sequence[str] = ()) -> tuple[WatchedStore, ...]:
    """What waits of these stores, all if none is given.

    Raises `HubUnavailable`, `ConfigurationError` for a store that is not configured.
    """
    codes = settings.chosen_stores(stores)
    with open_hub(settings.hub_url) as hub, hub.reading() as connection:
        return tuple(watch_store(connection, code) for code in codes)
