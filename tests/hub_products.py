"""Products as the hub publishes them for a store, for tests of the store's side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from data_contracts.amounts import from_decimal
from data_contracts.documents import FILES, PRODUCTS, STREAM_PRODUCTS, Kind
from data_contracts.frames import write_csv
from data_contracts.manifest import Acknowledgement, Manifest
from data_contracts.products import revision_of
from data_contracts.till_items import Product
from tasks.exchange import batches
from tasks.exchange.batches import Content, Draft
from tasks.exchange.folder import Folder

_BLANK: dict[Kind, Any] = {"text": "", "integer": 0, "amount": 0, "boolean": True}


def product(sku: str, *codes: str, **cells: Any) -> Product:
    """A product of store S1, item tax TAX; amounts are text (`"12.50"`), everything else as in `PRODUCTS`."""
    row = {name: _BLANK[kind] for name, kind in PRODUCTS.items()}
    row |= {"store": "S1", "sku": sku, "name": f"Product {sku}", "tax_code": "TAX"}
    for name, value in cells.items():
        row[name] = from_decimal(value) if PRODUCTS[name] == "amount" else value
    return Product({**row, "revision": cells.get("revision") or revision_of(row, codes)}, codes)


def files_of(products: Sequence[Product]) -> dict[str, Content]:
    """The files of a batch."""
    codes = [
        {"store": p.row["store"], "sku": p.row["sku"], "code": code} for p in products for code in p.codes
    ]
    rows: dict[str, list[Any]] = {"products": [dict(p.row) for p in products], "product_codes": codes}
    return {
        role: Content(write_csv(pd.DataFrame(rows[role], columns=list(columns)), columns), len(rows[role]))
        for role, columns in FILES[STREAM_PRODUCTS].items()
    }


def publish(folder: Folder, *products: Product, batch_id: str | None = None, **draft: Any) -> Manifest:
    """Publish a batch of products as the hub does, under the next sequence."""
    said = {
        "program_version": "test",
        "store": "S1",
        "epoch": 1,
        "stream": STREAM_PRODUCTS,
        "created_utc": "2026-11-23T12:00:00.000Z",
        "documents": len(products),
        **draft,
    }
    return batches.publish_batch(folder, Draft.model_validate(said), files_of(products), batch_id=batch_id)


def answer_to(folder: Folder, manifest: Manifest) -> Acknowledgement:
    """The store's acknowledgement."""
    ack = batches.read_ack(folder, "S1", STREAM_PRODUCTS, manifest.sequence, manifest.batch_id)
    assert ack is not None
    return ack
