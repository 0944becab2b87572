"""Stock that moves without a ticket: what open orders set aside, and goods that come in from a supplier.

The caller owns the transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from data_contracts.amounts import SCALE
from deployments.sample_store.catalog import WITHOUT_STOCK
from deployments.sample_store.ring import Shop, StockItem
from tasks import faults
from tasks.rms import tables as rms

faults.declare("sample.stock_received")


class Receipt(NamedTuple):
    """Goods of one item that came in: the number of their purchase order, units in ten-thousandths."""

    number: int
    sku: str
    units: int


_commit_item = (
    update(rms.item)
    .where(bindparam("item_id") == rms.item.c["ID"])
    .values(
        QuantityCommitted=rms.item.c.QuantityCommitted + bindparam("units"),
        LastUpdated=bindparam("at"),
    )
)


def commit_stock(connection: Connection, parts: Iterable[tuple[StockItem, int]], at: datetime) -> None:
    """Set units of items aside for an order, or give them free where negative; only what is kept in stock."""
    moved: Counter[int] = Counter()
    for item, units in parts:
        if item.item_type not in WITHOUT_STOCK:
            moved[item.id] += units
    rows = [
        {"item_id": item, "units": units / SCALE, "at": at} for item, units in sorted(moved.items()) if units
    ]
    if rows:
        connection.execute(_commit_item, rows)


def receive_goods(
    connection: Connection, shop: Shop, goods: Sequence[tuple[StockItem, int]], *, batch: int, at: datetime
) -> int:
    """Book a supplier's delivery as RMS does and return the number of its purchase order.

    Orders that wait for these goods are left as they are: RMS never allocates.
    """
    log = rms.inventory_transfer_log
    number = int(connection.execute(select(func.coalesce(func.max(log.c.ReferenceID), 0))).scalar_one()) + 1
    for place, (item, units) in enumerate(goods, start=1):
        connection.execute(
            update(rms.item)
            .where(rms.item.c["ID"] == item.id)
            .values(
                Quantity=rms.item.c.Quantity + units / SCALE,
                LastReceived=at,
                LastCost=item.cost,
                LastUpdated=at,
            )
        )
        connection.execute(
            insert(log),
            {
                "ItemID": item.id,
                "StoreID": shop.store_id,
                "ReferenceID": number,
                "ReferenceEntryID": place,
                "CashierID": 1,
                "BatchNumber": batch,
                "Quantity": units / SCALE,
                "Cost": item.cost,
                "DateTransferred": at,
            },
        )
    faults.point("sample.stock_received")
    return number


def read_receipts(connection: Connection, after: int) -> list[Receipt]:
    """What came in with purchase orders above a number, in their order."""
    log, item = rms.inventory_transfer_log.c, rms.item.c
    rows = connection.execute(
        select(log.ReferenceID, item.ItemLookupCode, log.Quantity)
        .join_from(rms.inventory_transfer_log, rms.item, log.ItemID == item["ID"])
        .where(log.ReferenceID > after)
        .order_by(log["ID"])
    )
    return [Receipt(number, sku, round(quantity * SCALE)) for number, sku, quantity in rows]


def available_units(connection: Connection, items: Iterable[int]) -> Mapping[int, int]:
    """Item id -> units on hand that no layaway or work order has set aside, in ten-thousandths."""
    item = rms.item.c
    rows = connection.execute(
        select(item["ID"], item.Quantity, item.QuantityCommitted).where(item["ID"].in_(sorted(set(items))))
    )
    return {item_id: round((quantity - committed) * SCALE) for item_id, quantity, committed in rows}
