"""Builds the RMS database of one sample store: tables, goods, registers, tenders, tax and the script.

Refuses any database that is neither empty nor one of ours; one of ours is built anew.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

from sqlalchemy import Connection, Engine, insert, inspect, select, text

from data_contracts.documents import sku_key
from deployments.sample_store import marker
from deployments.sample_store.catalog import STANDARD, VOUCHER, SampleItem, collect_items
from deployments.sample_store.plan import plan_tickets
from deployments.sample_store.ring import VAT
from deployments.sample_store.tickets import Invoice
from tasks.rms import tables as rms
from tasks.rms.dialects import COUNTER, create_rowversions

log = logging.getLogger(__name__)

DESCRIPTION_LENGTH = 30
"""Characters of Item.Description; a longer name goes whole into ExtendedDescription."""

TENDERS = (("CASH", "Cash"), ("CARD", "Card"), ("CHECK", "Check"), ("VOUCHER", "Voucher"))
DEPARTMENTS = ("Home", "Kitchen", "Gifts", "Toys", "Services")
CATEGORIES = ("Everyday", "Seasonal", "Clearance")
SUPPLIERS = ("Abbey", "Northern", "Riverside")
UK_VAT = 2_000
"""20 % in basis points."""


@dataclass(frozen=True)
class BuildReport:
    """What a built store holds and what its script will ring."""

    store_id: int
    items: int
    aliases: int
    registers: int
    invoices: int
    invoice_lines: int
    script: int
    """Entries of the script: invoices and everything mixed in between."""


def build_store(
    url: str,
    *,
    store_id: int,
    invoices: Sequence[Invoice],
    seed: int,
    all_invoices: Sequence[Invoice] | None = None,
    registers: int = 2,
    tax_system: int = VAT,
    tax_basis_points: int = UK_VAT,
    orders: bool = True,
) -> BuildReport:
    """Make the database of one store, without a single ticket yet.

    `invoices` are this store's share, `all_invoices` those whose goods the store carries (default: its
    own). `tax_system` 1 has the tax in the prices, 0 adds it on top. Without `orders` the script rings
    tickets only: no layaways, backorders, work orders and quotes. Raises `ConfigurationError` for a
    database that is neither empty nor marked as ours, `StoreUnavailable` if nothing answers.
    """
    goods = collect_items(all_invoices if all_invoices is not None else invoices)
    entries = plan_tickets(invoices, seed=f"{seed}/{store_id}", registers=registers, orders=orders)
    opened = _opening_day(invoices)
    mark = marker.Mark(store_id, seed, registers, tax_system, tax_basis_points)
    engine = marker.sample_engine(url)
    try:
        prepare_database(engine)
        with engine.begin() as connection:
            connection.execute(insert(marker.marker), vars(mark))
            if entries:
                connection.execute(
                    insert(marker.script),
                    [
                        {
                            "position": entry.position,
                            "day": entry.day,
                            "time": entry.time,
                            "register": entry.register,
                            "kind": entry.kind,
                            "of": entry.of,
                            "invoice": entry.invoice,
                            "lines": marker.pack_lines(entry.lines),
                            "share": entry.share,
                        }
                        for entry in entries
                    ],
                )
            _fill_shop(connection, mark, opened)
            missing = {
                sku_key(line.code) for entry in entries if entry.kind == "backorder" for line in entry.lines
            }
            aliases = _fill_items(connection, goods, mark, opened, missing)
    finally:
        engine.dispose()
    log.info("built sample store %s: %s items, %s entries to ring", store_id, len(goods), len(entries))
    return BuildReport(
        store_id=store_id,
        items=len(goods),
        aliases=aliases,
        registers=registers,
        invoices=len(invoices),
        invoice_lines=sum(len(invoice.lines) for invoice in invoices),
        script=len(entries),
    )


def prepare_database(engine: Engine) -> None:
    """Empty tables with working rowversions, or `ConfigurationError` if the database is not ours to fill."""
    with marker.connect(engine) as connection:
        marked = marker.read_mark(connection) is not None
        inspector = inspect(connection)
        if not marked and (inspector.get_table_names() or inspector.get_view_names()):
            raise marker.foreign_database(engine)
    if engine.dialect.name == "sqlite":
        # A till rings while an export reads: neither shall wait for the other. Outside any transaction.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    with engine.begin() as connection:
        if marked:
            _drop_all(connection)
        rms.metadata.create_all(connection)
        create_rowversions(connection, rms.metadata)
        marker.marker_metadata.create_all(connection)


def _drop_all(connection: Connection) -> None:
    rms.metadata.drop_all(connection)
    marker.marker_metadata.drop_all(connection)
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"DROP TABLE IF EXISTS {COUNTER}"))
    elif connection.dialect.name == "postgresql":
        connection.execute(text("DROP FUNCTION IF EXISTS tillbridge_next_rowversion()"))
        connection.execute(text(f"DROP SEQUENCE IF EXISTS {COUNTER}"))


def _opening_day(invoices: Sequence[Invoice]) -> datetime:
    """The evening before the first invoice; all set-up rows carry it, so that no clock is needed."""
    first = min((invoice.time for invoice in invoices), default=datetime.fromisoformat("2010-12-01"))
    return first.replace(hour=0, minute=0, second=0) - timedelta(hours=4)


def _fill_shop(connection: Connection, mark: marker.Mark, opened: datetime) -> None:
    """One row or a few in every set-up table. Store stays empty: only Headquarters fills it."""
    connection.execute(
        insert(rms.configuration),
        {
            "StoreID": mark.store_id,
            "TaxSystem": mark.tax_system,
            "ItemTaxID": 1,
            "DefaultTenderID": 1,
            "StoreName": f"Sample store {mark.store_id}",
            "StoreCountry": "United Kingdom" if mark.tax_system == VAT else "United States",
            "LayawayExpirationDays": 90,
            "BackOrderExpirationDays": 90,
            "LastUpdated": opened,
        },
    )
    connection.execute(insert(rms.version_history), {"Version": "2.0", "Date": opened})
    name = "VAT" if mark.tax_system == VAT else "Sales tax"
    connection.execute(
        insert(rms.tax), {"Description": name, "Code": "TAX", "Percentage": mark.tax_basis_points / 100}
    )
    connection.execute(insert(rms.item_tax), {"Description": name, "Code": "TAX", "TaxID01": 1})
    connection.execute(
        insert(rms.tender),
        [
            {"Code": code, "Description": description, "DisplayOrder": place}
            for place, (code, description) in enumerate(TENDERS, start=1)
        ],
    )
    connection.execute(
        insert(rms.reason_code),
        [
            {"Type": 4, "Code": "DISCOUNT", "Description": "Discount"},
            {"Type": 5, "Code": "RETURN", "Description": "Goods came back"},
        ],
    )
    connection.execute(
        insert(rms.register),
        [
            {"StoreID": mark.store_id, "Number": number, "Description": f"Register {number}"}
            for number in range(1, mark.registers + 1)
        ],
    )
    connection.execute(insert(rms.department), [{"Name": name, "code": name.upper()} for name in DEPARTMENTS])
    connection.execute(
        insert(rms.category),
        [
            {"DepartmentID": department, "Name": name, "Code": f"{department}-{name.upper()}"}
            for department in range(1, len(DEPARTMENTS) + 1)
            for name in CATEGORIES
        ],
    )
    connection.execute(
        insert(rms.supplier),
        [
            {"SupplierName": f"{name} Trading", "Code": name.upper(), "LastUpdated": opened}
            for name in SUPPLIERS
        ],
    )


def _fill_items(
    connection: Connection,
    goods: Sequence[SampleItem],
    mark: marker.Mark,
    opened: datetime,
    missing: Collection[str],
) -> int:
    """All items with a seeded opening stock, and their barcodes as aliases; returns the aliases.

    `missing` are the keys of SKUs that are not in stock: a backorder will wait for them.
    """
    draw = random.Random(f"{mark.seed}/{mark.store_id}/stock")  # noqa: S311 - reproducible on purpose
    drawn = [draw.randint(0, 400) if item.item_type == STANDARD else 0 for item in goods]
    stock = [
        0 if sku_key(item.sku) in missing else quantity for item, quantity in zip(goods, drawn, strict=True)
    ]
    if not goods:
        return 0
    connection.execute(
        insert(rms.item),
        [item_row(item, quantity, opened) for item, quantity in zip(goods, stock, strict=True)],
    )
    ids = dict(connection.execute(select(rms.item.c.ItemLookupCode, rms.item.c.ID)).tuples().all())
    aliases = [{"ItemID": ids[item.sku], "Alias": item.upc} for item in goods if item.upc]
    if aliases:
        connection.execute(insert(rms.alias), aliases)
    return len(aliases)


def item_row(item: SampleItem, quantity: int, created: datetime) -> dict[str, object]:
    """The Item row of a sample item with `quantity` whole units on hand."""
    department = len(DEPARTMENTS) if item.item_type != STANDARD else 1 + crc32(item.sku.encode()) % 4
    category = 1 + (department - 1) * len(CATEGORIES) + crc32(item.name.encode()) % len(CATEGORIES)
    long_name = len(item.name) > DESCRIPTION_LENGTH
    return {
        "ItemLookupCode": item.sku,
        "Description": item.name[:DESCRIPTION_LENGTH],
        "ExtendedDescription": item.name if long_name else "",
        "DepartmentID": department,
        "CategoryID": category,
        "TaxID": 1,
        "ItemType": item.item_type,
        "Price": item.price,
        "Cost": sample_cost(item.price),
        "Quantity": float(quantity),
        "Taxable": item.item_type != VOUCHER,
        "DateCreated": created,
        "LastUpdated": created,
    }


def sample_cost(price: int) -> int:
    """What an item cost, in ten-thousandths: two fifths of its price, to the cent."""
    return price * 2 // 5 // 100 * 100
