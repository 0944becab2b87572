"""Products into the hub from a file; tickets that waited for them leave the quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_contracts.errors import ConfigurationError
from tasks.hub import products
from tasks.hub.database import open_hub
from tasks.hub.product_standing import FoundProduct, ProductStanding, product_standing
from tasks.hub.product_standing import find_product as product_standing_of
from tasks.hub.products import CatalogOutcome
from tasks.settings import Settings


def import_catalog(
    settings: Settings, path: Path | None = None, *, dry_run: bool = False, skip_same: bool = False
) -> CatalogOutcome:
    """Load a CSV, that of [catalog] where none is named; what fails the contract is left out and named.

    With `skip_same` a file that was imported last is not looked at again. Raises `ConfigurationError` that
    names the line of a file that is no table, `ContractBroken`, `HubUnavailable`.
    """
    file = path or configured_file(settings)
    if file is None:
        raise ConfigurationError(
            "No catalogue file is named.",
            next_step="name one, or set `file` in [catalog] of tillbridge.toml",
        )
    with open_hub(settings.hub_url) as hub:
        return products.import_catalog(hub, settings, file, dry_run=dry_run, skip_same=skip_same)


def configured_file(settings: Settings) -> Path | None:
    """The catalogue file of the settings; None where none is set."""
    return settings.folder / settings.catalog.file if settings.catalog.file else None


def show_products(settings: Settings, stores: Sequence[str] = (), *, most: int = 20) -> ProductStanding:
    """The catalogue, and where it stands at the tills of some stores, all by default."""
    chosen = settings.chosen_stores(stores)
    with open_hub(settings.hub_url) as hub, hub.reading() as connection:
        return product_standing(connection, settings, chosen, most=most)


def find_product(settings: Settings, code: str) -> FoundProduct | None:
    """A product by SKU, UPC or alias, in all stores; None if the hub does not know it."""
    with open_hub(settings.hub_url) as hub, hub.reading() as connection:
        return product_standing_of(connection, settings, code)
