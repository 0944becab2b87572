"""Which product a SKU, UPC or alias names, and how often the catalogue was imported; without a frame."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from data_contracts.documents import sku_key
from tasks.hub.bulk import stage_keys
from tasks.hub.schema import catalogs, product_aliases, products


def find_products(connection: Connection, skus: Iterable[str], *, ignore_case: bool) -> dict[str, str]:
    """Compared form of each known SKU, UPC or alias -> the hub's SKU.

    A UPC that two products carry names neither of them; that of a parent and its shadows names the parent.
    """
    keys = {sku_key(sku, ignore_case=ignore_case) for sku in skus} - {""}
    staged = stage_keys(connection, "staged_skus", keys)
    own = products.c.shadow_of == ""
    by_upc = (
        select(
            staged.c.key,
            func.coalesce(func.min(products.c.sku).filter(own), func.min(products.c.sku)),
        )
        .join(products, products.c.upc == staged.c.key)
        .group_by(staged.c.key)
        .having((func.count().filter(own) == 1) | (func.count() == 1))
    )
    by_alias = (
        select(staged.c.key, products.c.sku)
        .join(product_aliases, product_aliases.c.alias_key == staged.c.key)
        .join(products, products.c.sku_key == product_aliases.c.sku_key)
    )
    by_sku = select(staged.c.key, products.c.sku).join(products, products.c.sku_key == staged.c.key)
    found: dict[str, str] = {}
    for query in (by_alias, by_upc, by_sku):  # the later one wins
        found.update((key, sku) for key, sku in connection.execute(query))
    return found


def catalog_version(connection: Connection) -> int:
    """How often the catalogue was imported."""
    return int(connection.execute(select(func.coalesce(func.max(catalogs.c.version), 0))).scalar_one())
