"""The goods behind the invoices: one item a code, the same in every store and in the hub's catalogue."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from data_contracts.amounts import format_amount
from data_contracts.documents import sku_key
from deployments.sample_store.tickets import Invoice

STANDARD = 0
NON_INVENTORY = 7
VOUCHER = 9
WITHOUT_STOCK = (NON_INVENTORY, VOUCHER)

NOT_GOODS = frozenset({"AMAZONFEE", "B", "BANK CHARGES", "C2", "CRUK", "D", "DOT", "M", "POST", "S"})
"""Codes of the source that are carriage, fees, discounts, samples and manual entries."""

CATALOG_COLUMNS = ("sku", "name", "upc", "price", "item_type", "active")


@dataclass(frozen=True, slots=True)
class SampleItem:
    """An item of the shop; `price` in ten-thousandths, `upc` an EAN-13 or empty."""

    sku: str
    name: str
    item_type: int
    price: int
    upc: str


def collect_items(invoices: Iterable[Invoice]) -> list[SampleItem]:
    """One item for every code, by SKU; codes that differ only by case are one, spelled as first seen.

    Name and price are those of its first regular sale, so that a write-off's "damaged" names nothing.
    """
    spelling: dict[str, str] = {}
    regular: dict[str, tuple[str, int]] = {}
    any_name: dict[str, str] = {}
    for invoice in invoices:
        for line in invoice.lines:
            key = sku_key(line.code)
            spelling.setdefault(key, line.code)
            if line.description:
                any_name.setdefault(key, line.description)
                if line.quantity > 0 and line.price > 0:
                    regular.setdefault(key, (line.description, line.price))
    items = []
    for index, key in enumerate(sorted(spelling)):
        name, price = regular.get(key, (any_name.get(key, key), 0))
        kind = _item_type(key)
        # Every third item has no barcode, and what is no goods never has one.
        upc = ean13(index) if kind == STANDARD and index % 3 else ""
        items.append(SampleItem(spelling[key], name, kind, price, upc))
    return items


def ean13(index: int) -> str:
    """The `index`-th barcode of the range that GS1 leaves to shops (prefix 20), with its check digit."""
    body = f"20{index:010d}"
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return f"{body}{-weighted % 10}"


def write_catalog(path: str | Path, invoices: Iterable[Invoice], *, leave_out: Collection[str] = ()) -> int:
    """Write the products as CSV (`CATALOG_COLUMNS`, price with four decimals, by SKU); returns how many.

    `leave_out` names SKUs that the hub shall not know.
    """
    unwanted = {sku_key(sku) for sku in leave_out}
    items = [item for item in collect_items(invoices) if sku_key(item.sku) not in unwanted]
    with Path(path).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(CATALOG_COLUMNS)
        for item in items:
            price = format_amount(item.price)
            writer.writerow([item.sku, item.name, item.upc, price, item.item_type, "true"])
    return len(items)


def _item_type(key: str) -> int:
    if key.startswith("GIFT_"):
        return VOUCHER
    return NON_INVENTORY if key in NOT_GOODS else STANDARD
