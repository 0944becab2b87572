"""Products on their way from the hub to a till: what travels, who owns which field, what RMS can hold.

The stream `products` runs against the others: the hub publishes it, one stream a store, and the store
answers each batch product by product. A product is its own document; its revision is a hash of what the
till shows, so that a product is sent again only when something of that has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from data_contracts.documents import PRODUCTS

MAX_BATCH_PRODUCTS = 5_000
"""Products in a batch at most; each is answered for in the acknowledgement."""


class Owner(StrEnum):
    """Whose word counts for a field of RMS's Item."""

    HUB = "hub"
    """Written whenever it differs."""
    CREATE_ONLY = "create_only"
    """Written when the item is created, the shop's from then on."""
    STORE = "store"
    """Never written."""


class TooLong(StrEnum):
    """What becomes of a text that RMS cannot hold."""

    CUT = "cut"
    """Cut at the end and reported."""
    REFUSE = "refuse"
    """The product is refused: a code that is cut is another code."""


@dataclass(frozen=True)
class Field:
    """One field of RMS's Item (or what stands for it) and the column of `PRODUCTS` it comes from."""

    name: str
    column: str
    owner: Owner
    length: int | None = None
    too_long: TooLong = TooLong.CUT
    optional: bool = False
    """Whether an empty text or 0 of the hub says nothing: what the till has then stays as it is."""


FIELDS: tuple[Field, ...] = (
    Field("ItemLookupCode", "sku", Owner.CREATE_ONLY, 25, TooLong.REFUSE),
    Field("Description", "name", Owner.HUB, 30),
    Field("ExtendedDescription", "long_description", Owner.HUB, optional=True),
    Field("SubDescription1", "sub_description_1", Owner.HUB, 30, optional=True),
    Field("SubDescription2", "sub_description_2", Owner.HUB, 30, optional=True),
    Field("SubDescription3", "sub_description_3", Owner.HUB, 30, optional=True),
    Field("Price", "price", Owner.HUB, optional=True),
    Field("PriceA", "price_a", Owner.HUB, optional=True),
    Field("PriceB", "price_b", Owner.HUB, optional=True),
    Field("PriceC", "price_c", Owner.HUB, optional=True),
    Field("MSRP", "msrp", Owner.HUB, optional=True),
    Field("Inactive", "active", Owner.HUB),
    Field("Cost", "cost", Owner.CREATE_ONLY),
    Field("ItemType", "item_type", Owner.CREATE_ONLY),
    Field("UnitOfMeasure", "unit_of_measure", Owner.CREATE_ONLY, 4),
    Field("DepartmentID", "department_code", Owner.CREATE_ONLY, 17, TooLong.REFUSE),
    Field("CategoryID", "category_code", Owner.CREATE_ONLY, 17, TooLong.REFUSE),
    Field("SupplierID", "supplier_code", Owner.CREATE_ONLY, 17, TooLong.REFUSE),
    Field("TaxID", "tax_code", Owner.CREATE_ONLY, 17, TooLong.REFUSE),
    Field("Taxable", "taxable", Owner.CREATE_ONLY),
    Field("Quantity", "", Owner.STORE),
    Field("QuantityCommitted", "", Owner.STORE),
    Field("LastCost", "", Owner.STORE),
    Field("LastReceived", "", Owner.STORE),
    Field("LastSold", "", Owner.STORE),
    Field("ReorderPoint", "", Owner.STORE),
    Field("RestockLevel", "", Owner.STORE),
    Field("BinLocation", "", Owner.STORE),
)
"""The one table of field ownership. What stands in no row of it is never written either.

Cost is create-only because RMS itself moves it with each receipt; tax, department, category and supplier
are, because a shop files goods its own way. A store's settings may hand further fields to the store.
Of an optional field the hub often has nothing: that must not wipe what a shop has entered, least of all
a price.
"""

REVISION_VERSION = 1


def revision_of(row: Mapping[str, Any], codes: Sequence[str]) -> str:
    """The revision of a product as it is sent to a store: `1-<32 hex digits>`.

    `row` has the typed cells of `PRODUCTS`; store and revision themselves do not count. Codes count as a
    set. The same product sent to two stores by the same rules has the same revision.
    """
    cells = [row[name] for name in PRODUCTS if name not in ("store", "revision")]
    said = json.dumps([cells, sorted(set(codes))], ensure_ascii=False, separators=(",", ":"))
    return f"{REVISION_VERSION}-{hashlib.sha256(said.encode()).hexdigest()[:32]}"
