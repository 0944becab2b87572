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


DEPARTMENTS = {
    "Kitchen": ("MUG", "CUP", "PLATE", "BOWL", "JAR", "TIN", "CAKE", "TEA", "SPOON", "BAKING", "LUNCH"),
    "Home": ("LIGHT", "HOLDER", "CANDLE", "FRAME", "CLOCK", "CUSHION", "MIRROR", "HOOK", "DOOR", "DRAWER"),
    "Toys": ("DOLL", "TOY", "GAME", "PUZZLE", "CHILDREN", "PLAY", "CHALK", "SKIPPING", "BEAR"),
    "Paper": ("CARD", "PAPER", "WRAP", "STICKER", "PENCIL", "BOOK", "TISSUE", "CALENDAR"),
    "Bags": ("BAG", "PURSE", "LUGGAGE", "SHOPPER"),
}
"""Department -> words in the name of its goods; the first that fits counts, in this order."""

ELSEWHERE = "Gifts"
SUPPLIERS = ("Potter & Daughters", "Lisbon Trading", "North Sea Imports")

SELLERCLOUD_COLUMNS = (
    "ProductID",
    "ProductName",
    "LongDescription",
    "UPC",
    "Aliases",
    "SitePrice",
    "StorePrice",
    "ListPrice",
    "SiteCost",
    "ProductTypeName",
    "CategoryName",
    "DefaultVendor",
    "DefaultVendorSKU",
    "ShadowOf",
    "IsKit",
    "RMSItemType",
    "Status",
)


def filing(item: SampleItem) -> tuple[str, str, str]:
    """(department, category, supplier) of an item, always the same: by the words of its name."""
    words = item.name.upper()
    department, category = next(
        (
            (name, word.title())
            for name, known in DEPARTMENTS.items()
            for word in known
            if word in words.split() or f"{word}S" in words.split()
        ),
        (ELSEWHERE, "Other"),
    )
    return department, category, SUPPLIERS[sum(map(ord, sku_key(item.sku))) % len(SUPPLIERS)]


def write_sellercloud_catalog(
    path: str | Path, invoices: Iterable[Invoice], *, leave_out: Collection[str] = ()
) -> int:
    """The products of `write_catalog` as Sellercloud exports them; returns how many.

    The same SKUs, UPCs and prices; site price and store price are equal, the list price is a fifth above
    it and the cost half of it. RMS's item type stands in a column of the tenant's own.
    """
    unwanted = {sku_key(sku) for sku in leave_out}
    items = [item for item in collect_items(invoices) if sku_key(item.sku) not in unwanted]
    with Path(path).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(SELLERCLOUD_COLUMNS)
        for item in items:
            department, category, supplier = filing(item)
            price = format_amount(item.price)
            more, half = format_amount(item.price * 6 // 5), format_amount(item.price // 2)
            alias = f"SC-{item.sku}" if item.upc else ""
            texts = [item.sku, item.name, item.name.capitalize(), item.upc, alias]
            filed = [department, category, supplier, f"V{sku_key(item.sku)}"[:25]]
            writer.writerow([*texts, price, price, more, half, *filed, "", "0", item.item_type, "1"])
    return len(items)


def _item_type(key: str) -> int:
    if key.startswith("GIFT_"):
        return VOUCHER
    return NON_INVENTORY if key in NOT_GOODS else STANDARD
