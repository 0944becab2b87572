"""Products into the hub from a file; tickets that waited for them leave the quarantine."""

from __future__ import annotations

from pathlib import Path

from tasks.hub import products
from tasks.hub.database import open_hub
from tasks.hub.products import CatalogOutcome
from tasks.settings import Settings


def import_catalog(settings: Settings, path: Path) -> CatalogOutcome:
    """Load the CSV at `path`; raises `ConfigurationError` that names line and column."""
    with open_hub(settings.hub_url) as hub:
        return products.import_catalog(hub, settings, path)
